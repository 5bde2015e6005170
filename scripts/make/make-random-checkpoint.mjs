/**
 * Writes checkpoints with the tensors of published models and random weights, for benches and
 * full-size runs: time and memory do not depend on what the weights are.
 *
 *   node scripts/make/make-random-checkpoint.mjs <name>... [--out folder] [--dtype float16] [--seed n]
 *
 * name     vit-b-32, vit-b-16, vit-l-14, vit-l-14-336 (OpenAI's layout),
 *          eva02-b-16, eva02-l-14-336 (EVA-CLIP's layout), dino-b-8, sam-b (their authors' layouts),
 *          fvit-b-16, fvit-b-16-lvis, fvit-l-14-lvis (detectors, mmdetection's names),
 *          cat-seg-b-16, cat-seg-l-14-336 (CAT-Seg's names)
 * --out    default: declip-native-bench in the system's temporary folder
 * --dtype  float32 (default) or float16
 * --seed   default 0
 *
 * A file is written piece by piece, so memory stays small whatever the model's size.
 */
import { createWriteStream } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const VOCABULARY = 49408
const CONTEXT = 77

/** ln(1 / 0.07), where CLIP's training starts. */
const LOGIT_SCALE = 2.6593

/** Standard deviation of the weights: CLIP's and EVA's initialisation, cut off at twice that. */
const STD = 0.02

const TEXT_B = { width: 512, layers: 12 }
const TEXT_L = { width: 768, layers: 12 }

const EVA_B = { image: 224, patch: 16, width: 768, mlp: 2048, layers: 12, embed: 512 }
const EVA_L = { image: 336, patch: 14, width: 1024, mlp: 2730, layers: 24, embed: 768 }

/** Widths in channels, picture and patch in pixels; `mlp` is the hidden width of a block's MLP. */
export const ARCHITECTURES = {
  'vit-b-32': plain({ image: 224, patch: 32, width: 768, layers: 12, embed: 512, text: TEXT_B }),
  'vit-b-16': plain({ image: 224, patch: 16, width: 768, layers: 12, embed: 512, text: TEXT_B }),
  'vit-l-14': plain({ image: 224, patch: 14, width: 1024, layers: 24, embed: 768, text: TEXT_L }),
  'vit-l-14-336': plain({
    image: 336,
    patch: 14,
    width: 1024,
    layers: 24,
    embed: 768,
    text: TEXT_L,
  }),
  'eva02-b-16': eva({ ...EVA_B, text: TEXT_B }),
  'eva02-l-14-336': eva({ ...EVA_L, text: TEXT_L }),
  'dino-b-8': dino({ image: 224, patch: 8, width: 768, layers: 12 }),
  'sam-b': sam({ image: 1024, patch: 16, width: 768, layers: 12, embed: 256, window: 14 }),
  'fvit-b-16': fvit({ ...EVA_B, side: 640, classes: 65 }),
  'fvit-b-16-lvis': fvit({ ...EVA_B, side: 1024, classes: 1203, lvis: true }),
  'fvit-l-14-lvis': fvit({ ...EVA_L, side: 896, classes: 1203, lvis: true }),
  'cat-seg-b-16': catSeg({
    image: 224,
    patch: 16,
    width: 768,
    layers: 12,
    embed: 512,
    text: TEXT_B,
  }),
  'cat-seg-l-14-336': catSeg({
    image: 336,
    patch: 14,
    width: 1024,
    layers: 24,
    embed: 768,
    text: TEXT_L,
  }),
}

export const DEFAULT_FOLDER = join(tmpdir(), 'declip-native-bench')

/** Path of a model's checkpoint. */
export function checkpointPath(name, { folder = DEFAULT_FOLDER, dtype = 'float32' } = {}) {
  return join(folder, `${name}-${dtype}.safetensors`)
}

/** Writes one checkpoint and returns its path. */
export async function makeCheckpoint(name, { folder, dtype = 'float32', seed = 0 } = {}) {
  const { tensors, metadata } = ARCHITECTURES[name]
  const Elements = dtype === 'float16' ? Uint16Array : Float32Array
  const convert = dtype === 'float16' ? toHalf : value => value
  const path = checkpointPath(name, { folder, dtype })
  await mkdir(folder ?? DEFAULT_FOLDER, { recursive: true })

  const part = `${path}.part`
  try {
    await pipeline(function* () {
      yield header(tensors, metadata, dtype, Elements.BYTES_PER_ELEMENT)
      const draw = sampler(seed, Elements, convert)
      for (const { shape, fill, scale } of tensors) {
        for (const piece of pieces(product(shape), Elements)) {
          if (fill === 'random') draw(piece)
          else piece.fill(convert(fill))
          // Float32 alone: bits of half-precision numbers cannot be multiplied.
          if (scale && dtype === 'float32') for (const i of piece.keys()) piece[i] *= scale
          yield new Uint8Array(piece.buffer)
        }
      }
    }, createWriteStream(part))
    await rename(part, path)
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
  return path
}

/** Arrays of at most 4 MB that make up `length` elements. */
function* pieces(length, Elements) {
  const most = 2 ** 22 / Elements.BYTES_PER_ELEMENT
  for (let done = 0; done < length; done += most) yield new Elements(Math.min(most, length - done))
}

function product(shape) {
  return shape.reduce((a, b) => a * b, 1)
}

/** safetensors: the header's length as a 64-bit number, then JSON, padded to 8 bytes by spaces. */
function header(tensors, metadata, dtype, size) {
  const entries = { __metadata__: { format: 'pt', ...metadata } }
  let offset = 0
  for (const { name, shape } of tensors) {
    const end = offset + size * product(shape)
    entries[name] = {
      dtype: dtype === 'float16' ? 'F16' : 'F32',
      shape,
      data_offsets: [offset, end],
    }
    offset = end
  }
  const json = JSON.stringify(entries)
  const text = Buffer.from(json.padEnd(Math.ceil(json.length / 8) * 8))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, text])
}

/**
 * Fills arrays with truncated normal numbers: each is one of 65,536 that were drawn beforehand,
 * which makes a number cost half a step of the generator.
 */
function sampler(seed, Elements, convert) {
  const next = xorshift(seed)
  const uniform = () => ((next() >>> 0) + 1) / 2 ** 32 // (0, 1]
  const table = new Elements(2 ** 16)
  for (let i = 0; i < table.length; ) {
    // Box and Muller
    const z = Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform())
    if (Math.abs(z) <= 2) table[i++] = convert(STD * z)
  }
  return array => {
    for (let i = 0; i < array.length; i += 2) {
      const bits = next()
      array[i] = table[bits & 0xffff]
      if (i + 1 < array.length) array[i + 1] = table[bits >>> 16]
    }
  }
}

/** Marsaglia's xorshift with 32 bits of state. */
function xorshift(seed) {
  let state = (Math.imul(seed, 0x9e3779b1) ^ 0x6c078965) | 0 || 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state
  }
}

/** Bits of the half-precision number nearest to a number of magnitude below 65,504. */
function toHalf(value) {
  const sign = value < 0 ? 0x8000 : 0
  const magnitude = Math.abs(value)
  if (magnitude < 2 ** -14) return sign | Math.round(magnitude * 2 ** 24)
  const exponent = Math.floor(Math.log2(magnitude))
  const mantissa = Math.round((magnitude / 2 ** exponent - 1) * 1024)
  return sign | (((exponent + 15) << 10) + mantissa)
}

/** OpenAI's CLIP with a vision transformer: text tensors at the top level. */
function plain(sizes) {
  const { image, patch, width, layers, embed, text } = sizes
  const tensors = [
    random('visual.conv1.weight', width, 3, patch, patch),
    random('visual.class_embedding', width),
    random('visual.positional_embedding', 1 + (image / patch) ** 2, width),
    ...layerNorm('visual.ln_pre', width),
    ...resblocks('visual.transformer', width, layers),
    ...layerNorm('visual.ln_post', width),
    random('visual.proj', width, embed),
    ...textTower('', text, embed),
    constant(LOGIT_SCALE, 'logit_scale'),
  ]
  return { ...sizes, mlp: 4 * width, tensors }
}

/** EVA02-CLIP: rotary tables left out, as every loader recomputes them. */
function eva(sizes) {
  const { image, patch, width, mlp, layers, embed, text } = sizes
  const tensors = [
    random('visual.cls_token', 1, 1, width),
    random('visual.pos_embed', 1, 1 + (image / patch) ** 2, width),
    ...linear('visual.patch_embed.proj', [width, 3, patch, patch]),
  ]
  for (let i = 0; i < layers; i++) {
    const block = `visual.blocks.${i}`
    tensors.push(
      ...layerNorm(`${block}.norm1`, width),
      ...['q', 'k', 'v'].map(name => random(`${block}.attn.${name}_proj.weight`, width, width)),
      random(`${block}.attn.q_bias`, width),
      random(`${block}.attn.v_bias`, width),
      ...layerNorm(`${block}.attn.inner_attn_ln`, width),
      ...linear(`${block}.attn.proj`, [width, width]),
      ...layerNorm(`${block}.norm2`, width),
      ...linear(`${block}.mlp.w1`, [mlp, width]),
      ...linear(`${block}.mlp.w2`, [mlp, width]),
      ...layerNorm(`${block}.mlp.ffn_ln`, mlp),
      ...linear(`${block}.mlp.w3`, [width, mlp]),
    )
  }
  tensors.push(...layerNorm('visual.norm', width), ...linear('visual.head', [embed, width]))
  if (text) tensors.push(...textTower('text.', text, embed), constant(LOGIT_SCALE, 'logit_scale'))
  return { ...sizes, tensors }
}

/** Whether a detector's class counts as one that it was not trained on: every fourth. */
export function isNovel(i) {
  return i % 4 === 0
}

/**
 * F-ViT: an EVA tower with up-sampling, feature pyramid, RPN, box head and stored words; in the LVIS
 * variant also with batch norms in the RPN and a mask head. Objectness and offsets are larger than the rest, so that
 * proposals are as different as trained ones.
 */
function fvit(sizes) {
  const { width, embed, side, classes, lvis } = sizes
  const [channels, anchors, bins] = [256, 3, 7]
  const { tensors } = eva(sizes)
  const larger = (pair, scale) => pair.map(tensor => ({ ...tensor, scale }))
  const norm = name => [
    constant(1, `${name}.weight`, channels),
    random(`${name}.bias`, channels),
    random(`${name}.running_mean`, channels),
    constant(1, `${name}.running_var`, channels),
  ]
  const normed = (name, from, k) => [
    random(`${name}.conv.weight`, channels, from, k, k),
    ...norm(`${name}.bn`),
  ]
  const up = (name, of) => linear(name, [of, of, 2, 2])
  const levels = [0, 1, 2, 3]
  const box = 'roi_head.bbox_head'
  const mask = 'roi_head.mask_head'
  return {
    ...sizes,
    metadata: {
      'declip.detector': JSON.stringify({
        side,
        classes: Array.from({ length: classes }, (_, i) => `class ${i}`),
        novel: Array.from({ length: classes }, (_, i) => i)
          .filter(isNovel)
          .map(i => `class ${i}`),
      }),
    },
    tensors: [
      ...tensors.map(tensor => ({ ...tensor, name: `backbone.${tensor.name}` })),
      ...up('backbone.interpolate1.0', width),
      ...norm('backbone.interpolate1.1').map(tensor => ({ ...tensor, shape: [width] })),
      ...up('backbone.interpolate1.3', width),
      ...up('backbone.interpolate2.0', width),
      ...levels.flatMap(i => normed(`neck.lateral_convs.${i}`, width, 1)),
      ...levels.flatMap(i => normed(`neck.fpn_convs.${i}`, channels, 3)),
      ...[0, 1].flatMap(i =>
        lvis
          ? normed(`rpn_head.rpn_conv.${i}`, channels, 3)
          : linear(`rpn_head.rpn_conv.${i}.conv`, [channels, channels, 3, 3]),
      ),
      ...larger(linear('rpn_head.rpn_cls', [anchors, channels, 1, 1]), 5),
      ...larger(linear('rpn_head.rpn_reg', [4 * anchors, channels, 1, 1]), 2),
      constant(50, `${box}.detect_temperature`),
      random(`${box}.all_embeddings`, embed, classes + 1),
      ...levels.flatMap(i => normed(`${box}.shared_convs.${i}`, channels, 3)),
      ...linear(`${box}.shared_fcs.0`, [embed, channels * bins ** 2]),
      ...linear(`${box}.shared_fcs.1`, [embed, embed]),
      ...linear(`${box}.cls_fcs.0`, [embed, embed]),
      ...linear(`${box}.reg_fcs.0`, [embed, embed]),
      ...linear(`${box}.fc_reg`, [4, embed]),
      ...(lvis
        ? [
            ...levels.flatMap(i => normed(`${mask}.convs.${i}`, channels, 3)),
            ...up(`${mask}.upsample`, channels),
            ...larger(linear(`${mask}.conv_logits`, [1, channels, 1, 1]), 10),
          ]
        : []),
    ],
  }
}

/** CAT-Seg: OpenAI's CLIP with queries', keys' and values' weights apart, and the head as released. */
function catSeg(sizes) {
  const { width, embed } = sizes
  const channels = 128
  const clip = plain(sizes)
  const head = 'sem_seg_head.predictor'
  const inProjection = /in_proj_weight$/
  const outer = `${head}.transformer`
  const attention = (name, guidance, value) => [
    ...linear(`${name}.q`, [channels, channels + guidance]),
    ...linear(`${name}.k`, [channels, channels + guidance]),
    ...value.flatMap(part => linear(`${name}.${part}`, [channels, channels])),
  ]
  const feedForward = (name, [first, second]) => [
    ...layerNorm(`${name}.norm1`, channels),
    ...layerNorm(`${name}.norm2`, channels),
    ...linear(`${name}.${first}`, [4 * channels, channels]),
    ...linear(`${name}.${second}`, [channels, 4 * channels]),
  ]
  const decoder = (name, from, to, up, guidance) => [
    random(`${outer}.${name}.up.weight`, from, up, 2, 2),
    random(`${outer}.${name}.up.bias`, up),
    random(`${outer}.${name}.conv.double_conv.0.weight`, to, up + guidance, 3, 3),
    ...layerNorm(`${outer}.${name}.conv.double_conv.1`, to),
    random(`${outer}.${name}.conv.double_conv.3.weight`, to, to, 3, 3),
    ...layerNorm(`${outer}.${name}.conv.double_conv.4`, to),
  ]
  return {
    ...clip,
    tensors: [
      ...clip.tensors.flatMap(tensor => {
        const name = `${head}.clip_model.${tensor.name}`
        if (!inProjection.test(name)) return [{ ...tensor, name }]
        const [rows, columns] = tensor.shape
        return ['q', 'k', 'v'].map(part =>
          random(name.replace(inProjection, `${part}_proj_weight`), rows / 3, columns),
        )
      }),
      random('upsample1.weight', width, 256, 2, 2),
      random('upsample1.bias', 256),
      random('upsample2.weight', width, 128, 4, 4),
      random('upsample2.bias', 128),
      ...linear(`${outer}.conv1`, [channels, 1, 7, 7]),
      ...linear(`${outer}.guidance_projection.0`, [128, embed, 3, 3]),
      ...linear(`${outer}.text_guidance_projection.0`, [128, embed]),
      ...linear(`${outer}.decoder_guidance_projection.0.0`, [32, 256, 3, 3]),
      ...linear(`${outer}.decoder_guidance_projection.1.0`, [16, 128, 3, 3]),
      ...[0, 1].flatMap(i => {
        const layer = `${outer}.layers.${i}`
        return [
          ...layerNorm(`${layer}.swin_block.guidance_norm`, 128),
          ...[1, 2].flatMap(block => [
            ...attention(`${layer}.swin_block.block_${block}.attn`, 128, ['v', 'proj']),
            ...feedForward(`${layer}.swin_block.block_${block}`, ['mlp.fc1', 'mlp.fc2']),
          ]),
          random(`${layer}.attention.padding_tokens`, 1, 1, channels),
          random(`${layer}.attention.padding_guidance`, 1, 1, 128),
          ...attention(`${layer}.attention.attention`, 128, ['v']),
          ...feedForward(`${layer}.attention`, ['MLP.0', 'MLP.2']),
        ]
      }),
      ...decoder('decoder1', channels, 64, 96, 32),
      ...decoder('decoder2', 64, 32, 48, 16),
      ...linear(`${outer}.head`, [1, 32, 3, 3]),
    ],
  }
}

/** DINO's vision transformer. */
function dino(sizes) {
  const { image, patch, width, layers } = sizes
  const tensors = [
    random('cls_token', 1, 1, width),
    random('pos_embed', 1, 1 + (image / patch) ** 2, width),
    ...linear('patch_embed.proj', [width, 3, patch, patch]),
  ]
  for (let i = 0; i < layers; i++) {
    const block = `blocks.${i}`
    tensors.push(
      ...layerNorm(`${block}.norm1`, width),
      ...linear(`${block}.attn.qkv`, [3 * width, width]),
      ...linear(`${block}.attn.proj`, [width, width]),
      ...layerNorm(`${block}.norm2`, width),
      ...linear(`${block}.mlp.fc1`, [4 * width, width]),
      ...linear(`${block}.mlp.fc2`, [width, 4 * width]),
    )
  }
  tensors.push(...layerNorm('norm', width))
  return { ...sizes, mlp: 4 * width, tensors }
}

/**
 * Segment Anything's ViT-B with its prompt encoder and mask decoder. What makes logits of tokens is larger than the rest,
 * so that they are of the size that trained ones have.
 */
function sam(sizes) {
  const { image, patch, width, layers, embed, window } = sizes
  const grid = image / patch
  const head = 64
  const encoder = 'image_encoder'
  const tensors = [
    random(`${encoder}.pos_embed`, 1, grid, grid, width),
    ...linear(`${encoder}.patch_embed.proj`, [width, 3, patch, patch]),
  ]
  for (let i = 0; i < layers; i++) {
    const block = `${encoder}.blocks.${i}`
    const rows = 2 * (i % 3 === 2 ? grid : window) - 1
    tensors.push(
      ...layerNorm(`${block}.norm1`, width),
      ...['h', 'w'].map(axis => random(`${block}.attn.rel_pos_${axis}`, rows, head)),
      ...linear(`${block}.attn.qkv`, [3 * width, width]),
      ...linear(`${block}.attn.proj`, [width, width]),
      ...layerNorm(`${block}.norm2`, width),
      ...linear(`${block}.mlp.lin1`, [4 * width, width]),
      ...linear(`${block}.mlp.lin2`, [width, 4 * width]),
    )
  }
  tensors.push(
    random(`${encoder}.neck.0.weight`, embed, width, 1, 1),
    ...layerNorm(`${encoder}.neck.1`, embed),
    random(`${encoder}.neck.2.weight`, embed, embed, 3, 3),
    ...layerNorm(`${encoder}.neck.3`, embed),
    ...samPrompts('prompt_encoder', embed),
    ...samDecoder('mask_decoder', embed),
  )
  return { ...sizes, mlp: 4 * width, tensors }
}

function samPrompts(prefix, embed) {
  const hidden = 16
  const matrix = `${prefix}.pe_layer.positional_encoding_gaussian_matrix`
  return [
    { ...random(matrix, 2, embed / 2), scale: 1 / STD },
    ...[0, 1, 2, 3].map(i => random(`${prefix}.point_embeddings.${i}.weight`, 1, embed)),
    random(`${prefix}.not_a_point_embed.weight`, 1, embed),
    random(`${prefix}.no_mask_embed.weight`, 1, embed),
    ...linear(`${prefix}.mask_downscaling.0`, [hidden / 4, 1, 2, 2]),
    ...layerNorm(`${prefix}.mask_downscaling.1`, hidden / 4),
    ...linear(`${prefix}.mask_downscaling.3`, [hidden, hidden / 4, 2, 2]),
    ...layerNorm(`${prefix}.mask_downscaling.4`, hidden),
    ...linear(`${prefix}.mask_downscaling.6`, [embed, hidden, 1, 1]),
  ]
}

function samDecoder(prefix, embed) {
  const attention = (name, inner) => [
    ...['q', 'k', 'v'].flatMap(one => linear(`${name}.${one}_proj`, [inner, embed])),
    ...linear(`${name}.out_proj`, [embed, inner]),
  ]
  const larger = (tensors, scale) => tensors.map(tensor => ({ ...tensor, scale }))
  /** Transposed: inputs come first. */
  const upscaling = (name, from, to) => [
    random(`${name}.weight`, from, to, 2, 2),
    random(`${name}.bias`, to),
  ]
  const mlp = (name, widths, scale) =>
    [0, 1, 2].flatMap(i => {
      const layer = linear(`${name}.layers.${i}`, [widths[i + 1], widths[i]])
      return i === 2 ? larger(layer, scale) : layer
    })
  const layer = name => [
    ...attention(`${name}.self_attn`, embed),
    ...attention(`${name}.cross_attn_token_to_image`, embed / 2),
    ...attention(`${name}.cross_attn_image_to_token`, embed / 2),
    ...[1, 2, 3, 4].flatMap(i => layerNorm(`${name}.norm${i}`, embed)),
    ...linear(`${name}.mlp.lin1`, [8 * embed, embed]),
    ...linear(`${name}.mlp.lin2`, [embed, 8 * embed]),
  ]
  return [
    random(`${prefix}.iou_token.weight`, 1, embed),
    random(`${prefix}.mask_tokens.weight`, 4, embed),
    ...[0, 1].flatMap(i => layer(`${prefix}.transformer.layers.${i}`)),
    ...attention(`${prefix}.transformer.final_attn_token_to_image`, embed / 2),
    ...layerNorm(`${prefix}.transformer.norm_final_attn`, embed),
    ...upscaling(`${prefix}.output_upscaling.0`, embed, embed / 4),
    ...layerNorm(`${prefix}.output_upscaling.1`, embed / 4),
    ...larger(upscaling(`${prefix}.output_upscaling.3`, embed / 4, embed / 8), 10),
    ...[0, 1, 2, 3].flatMap(i =>
      mlp(`${prefix}.output_hypernetworks_mlps.${i}`, [embed, embed, embed, embed / 8], 50),
    ),
    ...mlp(`${prefix}.iou_prediction_head`, [embed, embed, embed, 4], 50),
  ]
}

function textTower(prefix, { width, layers }, embed) {
  return [
    random(`${prefix}token_embedding.weight`, VOCABULARY, width),
    random(`${prefix}positional_embedding`, CONTEXT, width),
    ...resblocks(`${prefix}transformer`, width, layers),
    ...layerNorm(`${prefix}ln_final`, width),
    random(`${prefix}text_projection`, width, embed),
  ]
}

function resblocks(prefix, width, layers) {
  return Array.from({ length: layers }, (_, i) => `${prefix}.resblocks.${i}`).flatMap(block => [
    ...layerNorm(`${block}.ln_1`, width),
    random(`${block}.attn.in_proj_weight`, 3 * width, width),
    random(`${block}.attn.in_proj_bias`, 3 * width),
    ...linear(`${block}.attn.out_proj`, [width, width]),
    ...layerNorm(`${block}.ln_2`, width),
    ...linear(`${block}.mlp.c_fc`, [4 * width, width]),
    ...linear(`${block}.mlp.c_proj`, [width, 4 * width]),
  ])
}

function layerNorm(name, width) {
  return [constant(1, `${name}.weight`, width), constant(0, `${name}.bias`, width)]
}

function linear(name, shape) {
  return [random(`${name}.weight`, ...shape), random(`${name}.bias`, shape[0])]
}

function random(name, ...shape) {
  return { name, shape, fill: 'random' }
}

function constant(fill, name, ...shape) {
  return { name, shape, fill }
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { out: { type: 'string' }, dtype: { type: 'string' }, seed: { type: 'string' } },
  })
  const { out: folder = DEFAULT_FOLDER, dtype = 'float32', seed = '0' } = values
  const known = Object.keys(ARCHITECTURES)
  const wrong = positionals.filter(name => !known.includes(name))
  if (positionals.length === 0 || wrong.length > 0) {
    throw new Error(`Name one or more of ${known.join(', ')}; received '${wrong.join(' ')}'.`)
  }
  if (!['float32', 'float16'].includes(dtype) || !/^\d+$/.test(seed)) {
    throw new Error('--dtype is float32 or float16, --seed a whole number.')
  }
  for (const name of positionals) {
    console.log(await makeCheckpoint(name, { folder, dtype, seed: Number(seed) }))
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await main()
  } catch (error) {
    console.error(error.message)
    process.exitCode = 1
  }
}
