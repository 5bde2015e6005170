/**
 * Small checkpoints with random weights, one of every family that is not CLIP's own or EVA's authors', in the layouts
 * that people bring. Sizes are those of no fixture.
 */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { DenseMode, LoadOptions } from '../../ts/index.js'
import { type Floats, Golden, safetensorsBytes } from '../golden/support.js'
import { fixture, random } from './calls.js'

/** A checkpoint that write() makes, and what is known of it. */
export interface FamilyFile {
  name: string
  /** Writes its files into an empty folder; what loadModel() takes is returned. */
  write(folder: string): string
  config?: LoadOptions['config']
  info: Record<string, unknown>
  /** Whether words can be made into ids with what is in the folder. */
  words: boolean
  /** Dense modes that it has; none: features are made in one way. */
  modes: readonly DenseMode[]
  /** Length of its features. */
  embedDim: number
  patch: number
  side: number
}

const HEAD_MODES = [
  'vanilla',
  'maskclip',
  'qq',
  'kk',
  'vv',
  'csa',
  'proxyclip',
  'declip',
  'maskclip-projection',
  'qq-projection',
] as const satisfies readonly DenseMode[]

const BLOCK_MODES = [
  'vanilla',
  'maskclip',
  'qq',
  'kk',
  'vv',
  'csa',
  'all',
  'itaclip',
  'sclip',
  'clearclip',
  'naclip',
  'proxyclip',
  'corrclip',
  'scra',
  'scclip',
  'cat-seg',
] as const satisfies readonly DenseMode[]

/** Random tensors by name. */
class Weights {
  readonly #tensors = new Map<string, Floats>()
  readonly #next: () => number

  constructor(seed: number) {
    this.#next = random(seed)
  }

  put(name: string, shape: number[], scale = 0.4, shift = 0): this {
    const length = shape.reduce((a, b) => a * b, 1)
    const data = Float32Array.from({ length }, () => shift + scale * (2 * this.#next() - 1))
    this.#tensors.set(name, { shape, data })
    return this
  }

  linear(name: string, out: number, from: number, bias = true): this {
    this.put(`${name}.weight`, [out, from], 1.5 / Math.sqrt(from))
    return bias ? this.put(`${name}.bias`, [out]) : this
  }

  norm(name: string, width: number): this {
    return this.put(`${name}.weight`, [width], 0.2, 1).put(`${name}.bias`, [width], 0.2)
  }

  write(file: string): string {
    writeFileSync(file, safetensorsBytes(this.#tensors))
    return file
  }
}

/** CLIP's names of a block, which text towers of open_clip have. */
function clipBlock(w: Weights, name: string, width: number, hidden: number): void {
  w.norm(`${name}.ln_1`, width)
    .put(`${name}.attn.in_proj_weight`, [3 * width, width], 1.5 / Math.sqrt(width))
    .put(`${name}.attn.in_proj_bias`, [3 * width])
    .linear(`${name}.attn.out_proj`, width, width)
    .norm(`${name}.ln_2`, width)
    .linear(`${name}.mlp.c_fc`, hidden, width)
    .linear(`${name}.mlp.c_proj`, width, hidden)
}

/** timm's. */
function timmBlock(w: Weights, name: string, width: number, hidden: number): void {
  w.norm(`${name}.norm1`, width)
    .linear(`${name}.attn.qkv`, 3 * width, width)
    .linear(`${name}.attn.proj`, width, width)
    .norm(`${name}.norm2`, width)
    .linear(`${name}.mlp.fc1`, hidden, width)
    .linear(`${name}.mlp.fc2`, width, hidden)
}

/** transformers'. */
function encoderLayer(w: Weights, name: string, width: number, hidden: number): void {
  w.norm(`${name}.layer_norm1`, width).norm(`${name}.layer_norm2`, width)
  for (const part of ['q', 'k', 'v']) w.linear(`${name}.self_attn.${part}_proj`, width, width)
  w.linear(`${name}.self_attn.out_proj`, width, width)
    .linear(`${name}.mlp.fc1`, hidden, width)
    .linear(`${name}.mlp.fc2`, width, hidden)
}

interface TextShape {
  width: number
  layers: number
  context: number
  vocab: number
}

const CLIP_WORDS = 49408

function clipText(w: Weights, prefix: string, t: TextShape, embedDim: number): void {
  w.put(`${prefix}token_embedding.weight`, [t.vocab, t.width])
    .put(`${prefix}positional_embedding`, [t.context, t.width])
    .norm(`${prefix}ln_final`, t.width)
    .put(`${prefix}text_projection`, [t.width, embedDim])
    .put('logit_scale', [], 0, 3)
  for (let i = 0; i < t.layers; i++) {
    clipBlock(w, `${prefix}transformer.resblocks.${i}`, t.width, 4 * t.width)
  }
}

const json = (folder: string, name: string, value: unknown): void =>
  writeFileSync(join(folder, name), JSON.stringify(value))

const HALF = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] }

function copyTokenizer(from: string, folder: string, files: readonly string[]): void {
  for (const file of files) copyFileSync(fixture('families', from, file), join(folder, file))
}

// --- PE-Core ---

function peCore(layout: 'original' | 'open_clip', classToken: boolean): FamilyFile {
  const [width, patch, grid, embedDim] = [64, 8, 5, 20]
  const text = { width: 64, layers: 2, context: 32, vocab: CLIP_WORDS }
  const rows = (classToken ? 1 : 0) + grid * grid
  const original = (w: Weights) => {
    w.put('visual.conv1.weight', [width, 3, patch, patch], 0.2)
      .put('visual.positional_embedding', [rows, width])
      .norm('visual.ln_pre', width)
      .norm('visual.ln_post', width)
      .put('visual.proj', [width, embedDim])
      .put('visual.attn_pool.probe', [1, 1, width])
      .put('visual.attn_pool.attn.in_proj_weight', [3 * width, width])
      .put('visual.attn_pool.attn.in_proj_bias', [3 * width])
      .linear('visual.attn_pool.attn.out_proj', width, width)
      .norm('visual.attn_pool.layernorm', width)
      .linear('visual.attn_pool.mlp.c_fc', 60, width)
      .linear('visual.attn_pool.mlp.c_proj', width, 60)
    if (classToken) w.put('visual.class_embedding', [width])
    for (let i = 0; i < 2; i++) clipBlock(w, `visual.transformer.resblocks.${i}`, width, 80)
    clipText(w, '', text, embedDim)
  }
  const timm = (w: Weights) => {
    const trunk = 'visual.trunk'
    w.put(`${trunk}.patch_embed.proj.weight`, [width, 3, patch, patch], 0.2)
      .put(`${trunk}.pos_embed`, [1, rows, width])
      .norm(`${trunk}.norm_pre`, width)
      .norm(`${trunk}.norm`, width)
      .linear(`${trunk}.head`, embedDim, width)
    timmHead(w, `${trunk}.attn_pool`, width)
    if (classToken) w.put(`${trunk}.cls_token`, [1, 1, width])
    for (let i = 0; i < 2; i++) timmBlock(w, `${trunk}.blocks.${i}`, width, 80)
    clipText(w, 'text.', text, embedDim)
  }
  return {
    name: `PE-Core, ${layout}, ${classToken ? 'with' : 'without'} class token`,
    write(folder) {
      const w = new Weights(classToken ? 1 : 2)
      if (layout === 'original') {
        original(w)
        return w.write(join(folder, 'pe.safetensors'))
      }
      timm(w)
      w.write(join(folder, 'open_clip_model.safetensors'))
      json(folder, 'open_clip_config.json', {
        model_cfg: {
          embed_dim: embedDim,
          vision_cfg: {
            image_size: grid * patch,
            timm_model_name: 'vit_pe_core_small_patch16_384',
            timm_pool: 'map',
            timm_proj: null,
          },
          text_cfg: {
            context_length: text.context,
            vocab_size: text.vocab,
            width: text.width,
            heads: 4,
            layers: text.layers,
          },
          custom_text: true,
        },
        preprocess_cfg: { ...HALF, interpolation: 'bilinear', resize_mode: 'squash' },
      })
      return folder
    },
    config: { headWidth: 16, textHeads: 4 },
    info: { family: 'pe', format: layout, heads: 4, contextLength: 32 },
    words: true,
    modes: HEAD_MODES,
    embedDim,
    patch,
    side: grid * patch,
  }
}

function timmHead(w: Weights, name: string, width: number): void {
  w.put(`${name}.latent`, [1, 1, width])
    .linear(`${name}.q`, width, width)
    .linear(`${name}.kv`, 2 * width, width)
    .linear(`${name}.proj`, width, width)
    .norm(`${name}.norm`, width)
    .linear(`${name}.mlp.fc1`, 60, width)
    .linear(`${name}.mlp.fc2`, width, 60)
}

// --- SigLIP ---

interface SiglipKind {
  name: string
  /** The golden case whose tokenizer it gets. */
  words: string
  files: readonly string[]
  naflex?: boolean
}

function siglip({ name, words, files, naflex = false }: SiglipKind): FamilyFile {
  const { weights, config } = new Golden('families').case(words)
  const vocab = config?.['vocab'] as number
  const [width, patch, grid, hidden] = [40, 8, 4, 56]
  const tower = { hidden_size: width, intermediate_size: hidden, num_attention_heads: 5 }
  const text = { ...tower, num_hidden_layers: 1, vocab_size: vocab, max_position_embeddings: 64 }
  const kind = naflex ? 'siglip2' : 'siglip'
  return {
    name,
    write(folder) {
      const w = new Weights(3)
      const vision = 'vision_model'
      const patches = naflex ? [width, 3 * patch * patch] : [width, 3, patch, patch]
      w.put(`${vision}.embeddings.patch_embedding.weight`, patches, 0.2)
        .put(`${vision}.embeddings.patch_embedding.bias`, [width])
        .put(`${vision}.embeddings.position_embedding.weight`, [grid * grid, width])
        .norm(`${vision}.post_layernorm`, width)
        .put(`${vision}.head.probe`, [1, 1, width])
        .put(`${vision}.head.attention.in_proj_weight`, [3 * width, width])
        .put(`${vision}.head.attention.in_proj_bias`, [3 * width])
        .linear(`${vision}.head.attention.out_proj`, width, width)
        .norm(`${vision}.head.layernorm`, width)
        .linear(`${vision}.head.mlp.fc1`, hidden, width)
        .linear(`${vision}.head.mlp.fc2`, width, hidden)
        .put('text_model.embeddings.token_embedding.weight', [vocab, width])
        .put('text_model.embeddings.position_embedding.weight', [64, width])
        .norm('text_model.final_layer_norm', width)
        .linear('text_model.head', width, width)
        .put('logit_scale', [1], 0, 3)
        .put('logit_bias', [1], 0, -10)
      for (let i = 0; i < 2; i++) encoderLayer(w, `${vision}.encoder.layers.${i}`, width, hidden)
      encoderLayer(w, 'text_model.encoder.layers.0', width, hidden)
      w.write(join(folder, 'model.safetensors'))
      const size = naflex
        ? { num_patches: grid * grid, patch_size: patch }
        : { image_size: grid * patch + 3, patch_size: patch }
      json(folder, 'config.json', {
        model_type: kind,
        text_config: { ...text, model_type: `${kind}_text_model` },
        vision_config: {
          ...tower,
          ...size,
          num_hidden_layers: 2,
          model_type: `${kind}_vision_model`,
        },
      })
      json(folder, 'preprocessor_config.json', {
        image_processor_type: naflex ? 'Siglip2ImageProcessor' : 'SiglipImageProcessor',
        image_mean: HALF.mean,
        image_std: HALF.std,
        resample: naflex ? 2 : 3,
        ...(naflex
          ? { max_num_patches: 24, patch_size: patch }
          : { size: { height: grid * patch + 3, width: grid * patch + 3 } }),
      })
      copyTokenizer(dirname(weights as string), folder, files)
      return folder
    },
    info: { family: 'siglip', format: 'huggingface', heads: 5, contextLength: 64, logitBias: -10 },
    words: true,
    modes: HEAD_MODES,
    embedDim: width,
    patch,
    side: grid * patch,
  }
}

// --- TIPSv2 ---

function tips(): FamilyFile {
  const [width, patch, grid] = [32, 7, 5]
  return {
    name: 'TIPSv2',
    write(folder) {
      const w = new Weights(4)
      w.put('vision_encoder.cls_token', [1, 1, width])
        .put('vision_encoder.register_tokens', [1, 1, width])
        .put('vision_encoder.pos_embed', [1, 1 + grid * grid, width])
        .put('vision_encoder.patch_embed.proj.weight', [width, 3, patch, patch], 0.2)
        .put('vision_encoder.patch_embed.proj.bias', [width])
        .norm('vision_encoder.norm', width)
        .put('text_encoder.token_embedding.weight', [300, width])
        .norm('text_encoder.ln_final', width)
      for (let i = 0; i < 2; i++) {
        const name = `vision_encoder.blocks.${i}`
        w.norm(`${name}.norm1`, width)
          .linear(`${name}.attn.qkv`, 3 * width, width)
          .linear(`${name}.attn.proj`, width, width)
          .put(`${name}.ls1.gamma`, [width], 0.3, 1)
          .norm(`${name}.norm2`, width)
          .linear(`${name}.mlp.c_fc`, 2 * width, width)
          .linear(`${name}.mlp.c_proj`, width, 2 * width)
          .put(`${name}.ls2.gamma`, [width], 0.3, 1)
      }
      clipBlock(w, 'text_encoder.transformer.resblocks.0', width, 2 * width)
      w.write(join(folder, 'model.safetensors'))
      json(folder, 'config.json', {
        model_type: 'tipsv2',
        temperature_init_value: 0.005,
        text_config: {
          hidden_act: 'relu',
          hidden_size: width,
          intermediate_size: 2 * width,
          layer_norm_eps: 1e-5,
          max_position_embeddings: 64,
          model_type: 'tipsv2_text_model',
          num_attention_heads: 4,
          num_hidden_layers: 1,
          pad_token_id: 0,
          scale_sqrt_depth: true,
          vocab_size: 300,
        },
        vision_config: {
          hidden_act: 'gelu',
          hidden_size: width,
          image_size: grid * patch,
          layer_norm_eps: 1e-6,
          mlp_ratio: 2,
          model_type: 'tipsv2_vision_model',
          num_attention_heads: 4,
          num_hidden_layers: 2,
          num_register_tokens: 1,
          patch_size: patch,
          use_swiglu_ffn: false,
        },
      })
      return folder
    },
    info: { family: 'tips', format: 'huggingface', heads: 4, contextLength: 64 },
    words: false,
    modes: ['vanilla', 'maskclip'],
    embedDim: width,
    patch,
    side: grid * patch,
  }
}

// --- EVA02 in timm's layout ---

function eva02(): FamilyFile {
  const [width, patch, grid, embedDim, hidden] = [64, 8, 4, 12, 44]
  const text = { width: 64, layers: 1, context: 77, vocab: CLIP_WORDS }
  return {
    name: 'EVA02, timm',
    write(folder) {
      const w = new Weights(5)
      const trunk = 'visual.trunk'
      w.put(`${trunk}.cls_token`, [1, 1, width])
        .put(`${trunk}.pos_embed`, [1, 1 + grid * grid, width])
        .put(`${trunk}.patch_embed.proj.weight`, [width, 3, patch, patch], 0.2)
        .put(`${trunk}.patch_embed.proj.bias`, [width])
        .norm(`${trunk}.norm`, width)
        .linear(`${trunk}.head`, embedDim, width)
      for (let i = 0; i < 2; i++) {
        const name = `${trunk}.blocks.${i}`
        w.norm(`${name}.norm1`, width)
          .linear(`${name}.attn.q_proj`, width, width)
          .linear(`${name}.attn.k_proj`, width, width, false)
          .linear(`${name}.attn.v_proj`, width, width)
          .norm(`${name}.attn.norm`, width)
          .linear(`${name}.attn.proj`, width, width)
          .norm(`${name}.norm2`, width)
          .linear(`${name}.mlp.fc1_g`, hidden, width)
          .linear(`${name}.mlp.fc1_x`, hidden, width)
          .norm(`${name}.mlp.norm`, hidden)
          .linear(`${name}.mlp.fc2`, width, hidden)
      }
      clipText(w, 'text.', text, embedDim)
      w.write(join(folder, 'open_clip_model.safetensors'))
      json(folder, 'open_clip_config.json', {
        model_cfg: {
          embed_dim: embedDim,
          vision_cfg: {
            image_size: grid * patch,
            timm_model_name: 'eva02_base_patch16_clip_224',
            timm_pool: 'token',
            timm_proj: null,
          },
          text_cfg: {
            context_length: text.context,
            vocab_size: text.vocab,
            width: text.width,
            heads: 4,
            layers: text.layers,
          },
          custom_text: true,
        },
        preprocess_cfg: HALF,
      })
      return folder
    },
    config: { headWidth: 16 },
    info: { family: 'eva', format: 'open_clip', heads: 4, contextLength: 77 },
    words: true,
    modes: BLOCK_MODES,
    embedDim,
    patch,
    side: grid * patch,
  }
}

// --- DINOv3 ---

function dinov3(): FamilyFile {
  const [width, patch, hidden] = [32, 8, 48]
  return {
    name: 'DINOv3',
    write(folder) {
      const w = new Weights(6)
      w.put('embeddings.cls_token', [1, 1, width])
        .put('embeddings.register_tokens', [1, 4, width])
        .put('embeddings.patch_embeddings.weight', [width, 3, patch, patch], 0.2)
        .put('embeddings.patch_embeddings.bias', [width])
        .norm('norm', width)
      for (let i = 0; i < 2; i++) {
        const name = `layer.${i}`
        w.norm(`${name}.norm1`, width)
          .linear(`${name}.attention.q_proj`, width, width)
          .linear(`${name}.attention.k_proj`, width, width, false)
          .linear(`${name}.attention.v_proj`, width, width)
          .linear(`${name}.attention.o_proj`, width, width)
          .put(`${name}.layer_scale1.lambda1`, [width], 0.3, 1)
          .norm(`${name}.norm2`, width)
          .linear(`${name}.mlp.up_proj`, hidden, width)
          .linear(`${name}.mlp.down_proj`, width, hidden)
          .put(`${name}.layer_scale2.lambda1`, [width], 0.3, 1)
      }
      w.write(join(folder, 'model.safetensors'))
      json(folder, 'config.json', {
        model_type: 'dinov3_vit',
        hidden_act: 'gelu',
        hidden_size: width,
        image_size: 5 * patch,
        intermediate_size: hidden,
        layer_norm_eps: 1e-5,
        num_attention_heads: 4,
        num_hidden_layers: 2,
        num_register_tokens: 4,
        patch_size: patch,
        rope_theta: 100,
        key_bias: false,
        use_gated_mlp: false,
      })
      return folder
    },
    info: { family: 'dinov3', format: 'huggingface', heads: 4, contextLength: null },
    words: false,
    modes: [],
    embedDim: width,
    patch,
    side: 5 * patch,
  }
}

// --- MetaCLIP 2 ---

function metaclip2(): FamilyFile {
  const [width, patch, grid, embedDim] = [32, 8, 4, 20]
  const tower = {
    hidden_size: width,
    intermediate_size: 64,
    num_attention_heads: 4,
    hidden_act: 'quick_gelu',
  }
  return {
    name: 'MetaCLIP 2',
    write(folder) {
      const w = new Weights(7)
      w.put('vision_model.embeddings.class_embedding', [width])
        .put('vision_model.embeddings.patch_embedding.weight', [width, 3, patch, patch], 0.2)
        .put('vision_model.embeddings.position_embedding.weight', [1 + grid * grid, width])
        .norm('vision_model.pre_layrnorm', width)
        .norm('vision_model.post_layernorm', width)
        .linear('visual_projection', embedDim, width, false)
        .put('text_model.embeddings.token_embedding.weight', [300, width])
        .put('text_model.embeddings.position_embedding.weight', [30, width])
        .norm('text_model.final_layer_norm', width)
        .linear('text_projection', embedDim, width, false)
        .put('logit_scale', [], 0, 3)
      for (let i = 0; i < 2; i++) encoderLayer(w, `vision_model.encoder.layers.${i}`, width, 64)
      encoderLayer(w, 'text_model.encoder.layers.0', width, 64)
      w.write(join(folder, 'model.safetensors'))
      json(folder, 'config.json', {
        model_type: 'metaclip_2',
        projection_dim: embedDim,
        text_config: {
          ...tower,
          model_type: 'metaclip_2_text_model',
          num_hidden_layers: 1,
          vocab_size: 300,
          eos_token_id: 2,
          bos_token_id: 0,
          pad_token_id: 1,
          max_position_embeddings: 30,
        },
        vision_config: {
          ...tower,
          model_type: 'metaclip_2_vision_model',
          num_hidden_layers: 2,
          image_size: grid * patch,
          patch_size: patch,
        },
      })
      return folder
    },
    info: { family: 'clip', format: 'huggingface', heads: 4, contextLength: 30 },
    words: false,
    modes: BLOCK_MODES,
    embedDim,
    patch,
    side: grid * patch,
  }
}

/** Every family, in the layouts that differ by more than names. */
export const FAMILY_FILES: readonly FamilyFile[] = [
  peCore('original', true),
  peCore('original', false),
  peCore('open_clip', true),
  peCore('open_clip', false),
  siglip({
    name: 'SigLIP',
    words: 'siglip-native',
    files: ['spiece.model', 'tokenizer_config.json'],
  }),
  siglip({
    name: 'SigLIP 2',
    words: 'siglip2-native',
    files: ['tokenizer.json', 'tokenizer_config.json'],
  }),
  siglip({
    name: 'SigLIP 2 NaFlex',
    words: 'siglip2-native',
    files: ['tokenizer.json', 'tokenizer_config.json'],
    naflex: true,
  }),
  tips(),
  eva02(),
  dinov3(),
  metaclip2(),
]

/** Writes one into a folder of its own below `parent`. */
export function writeFamily(file: FamilyFile, parent: string): string {
  const folder = join(parent, file.name.replace(/[^A-Za-z0-9]+/g, '-'))
  mkdirSync(folder)
  return file.write(folder)
}
