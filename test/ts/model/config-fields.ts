/**
 * Every field of open_clip's and transformers' configurations, one at a time with another value than the base
 * has: what a model computes changes, or loading fails with a message that names the field, or it is said here
 * why the field changes nothing. No field passes without a word.
 */
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { loadModel, Tensor } from '../../../ts/index.js'
import { fixture, floats } from '../../support/calls.js'

type Json = Record<string, unknown>

/** What becomes of a value. */
type Expected =
  | 'changes' // features or information
  | 'refused' // with the field's name
  | 'sizes' // refused, as the tensors have others
  | { nothing: string } // the same features, and why

/** A value, what becomes of it, and what else the configuration says then. */
type Row = readonly [value: unknown, expected: Expected, beside?: Json]

/** One class of fields: where in the file they are, and a row for each. */
interface Section {
  readonly class: string
  readonly at: readonly string[]
  readonly rows: Record<string, Row>
}

interface Walk {
  readonly name: string
  readonly fields: Record<string, Json>
  /** Folder of the weights, with its other files. */
  readonly folder: string
  readonly file: string
  readonly config: Json
  readonly sections: readonly Section[]
  /** Ids of a text, for models that have a text tower. */
  readonly ids?: readonly number[]
}

const TRAINING = { nothing: 'it is used in training alone' } as const
const START = { nothing: 'it is what untrained weights are made with' } as const
const NO_TIMM = { nothing: "it is of timm's towers, which timm_model_name asks for" } as const
const NO_POOLER = { nothing: 'it is of attentional_pool, which is refused' } as const
const NO_HF = {
  nothing: "it is of transformers' text towers, which hf_model_name asks for",
} as const
const FORM = { nothing: 'it is the form in which the library hands results out' } as const
const TOLD = { nothing: 'the tensors tell it' } as const
const BACKBONE = {
  nothing: "it is of the library's backbones, which hand out several blocks",
} as const
const SPECIAL = { nothing: 'tokenizer and pooling do not ask for it' } as const

const fields = JSON.parse(await readFile(fixture('config-fields.json'), 'utf8'))
const read = async (...path: string[]): Promise<Json> =>
  JSON.parse(await readFile(fixture(...path), 'utf8'))

const folder = await mkdtemp(join(tmpdir(), 'declip-fields-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))
let made = 0

const PICTURE = fixture('..', '..', 'models', 'scenes', 'park.png')

/** Fields of custom blocks, which both of open_clip's towers have. */
const BLOCKS: Record<string, Row> = {
  block_type: ['parallel', 'refused'],
  qk_norm: [true, 'refused'],
  scaled_cosine_attn: [true, 'refused'],
  scale_heads: [true, 'refused'],
  scale_attn_inner: [true, 'refused'],
  scale_attn: [true, 'refused'],
  scale_fc: [true, 'refused'],
}

const OPEN_CLIP: readonly Section[] = [
  {
    class: 'CLIP',
    at: ['model_cfg'],
    rows: {
      embed_dim: [48, 'sizes'],
      vision_cfg: [7, 'refused'],
      text_cfg: [7, 'refused'],
      quick_gelu: [true, 'changes'],
      init_logit_scale: [1, START],
      init_logit_bias: [-10, START],
      nonscalar_logit_scale: [true, { nothing: "it is the tensor's shape" }],
      cast_dtype: ['fp16', { nothing: 'it is how the library computes' }],
      output_dict: [true, FORM],
    },
  },
  {
    class: 'CLIPVisionCfg',
    at: ['model_cfg', 'vision_cfg'],
    rows: {
      ...BLOCKS,
      layers: [3, 'sizes'],
      width: [48, 'sizes'],
      head_width: [32, 'changes'],
      mlp_ratio: [3, 'sizes'],
      patch_size: [10, 'sizes'],
      image_size: [32, 'changes'],
      ls_init_value: [0.1, START],
      patch_dropout: [0.5, TRAINING],
      attentional_pool: [true, 'refused'],
      attn_pooler_queries: [9, NO_POOLER],
      attn_pooler_heads: [9, NO_POOLER],
      no_ln_pre: [true, 'sizes'],
      pos_embed_type: ['sin_cos_2d', { nothing: 'its table is among the tensors' }],
      final_ln_after_pool: [true, 'changes', { pool_type: 'avg' }],
      pool_type: ['avg', 'changes'],
      output_tokens: [true, FORM],
      act_kwargs: [{ approximate: 'tanh' }, 'changes'],
      norm_kwargs: [{ eps: 0.01 }, 'changes'],
      timm_model_name: ['vit_base_patch16_clip_224', 'refused'],
      timm_model_pretrained: [true, NO_TIMM],
      timm_pool: ['map', NO_TIMM],
      timm_proj: ['mlp', NO_TIMM],
      timm_proj_bias: [true, NO_TIMM],
      timm_drop: [0.5, NO_TIMM],
      timm_drop_path: [0.5, NO_TIMM],
    },
  },
  {
    class: 'CLIPTextCfg',
    at: ['model_cfg', 'text_cfg'],
    rows: {
      ...BLOCKS,
      context_length: [12, 'sizes'],
      vocab_size: [99, 'sizes'],
      hf_tokenizer_name: ['facebook/xlm-v-base', 'changes'],
      tokenizer_mode: ['clips', 'refused'],
      tokenizer_kwargs: [{ reduction_mask: 'syntax' }, 'refused'],
      width: [48, 'sizes'],
      heads: [2, 'changes'],
      layers: [3, 'sizes'],
      mlp_ratio: [2, TOLD],
      ls_init_value: [0.1, START],
      embed_cls: [true, 'refused'],
      pad_id: [5, { nothing: "open_clip masks padding for CoCa's class token alone (embed_cls)" }],
      eos_id: [7, 'changes', { pool_type: 'eos' }],
      no_causal_mask: [true, 'changes'],
      final_ln_after_pool: [true, { nothing: 'open_clip hands it to no text tower' }],
      pool_type: ['last', 'changes'],
      proj_bias: [true, { nothing: 'its tensor has another name, by which it is told' }],
      proj_type: ['none', 'refused'],
      output_tokens: [true, FORM],
      act_kwargs: [{ approximate: 'tanh' }, 'changes'],
      norm_kwargs: [{ eps: 0.01 }, 'changes'],
      hf_model_name: ['roberta-base', 'refused'],
      hf_model_pretrained: [false, NO_HF],
      hf_proj_type: ['linear', NO_HF],
      hf_pooler_type: ['cls_pooler', NO_HF],
    },
  },
  {
    class: 'PreprocessCfg',
    at: ['preprocess_cfg'],
    rows: {
      size: [32, { nothing: "open_clip puts the tower's image_size in its place" }],
      mode: ['L', 'refused'],
      mean: [[0.1, 0.2, 0.3], 'changes'],
      std: [[0.1, 0.2, 0.3], 'changes'],
      interpolation: ['bilinear', 'changes'],
      resize_mode: ['squash', 'changes'],
      fill_color: [200, 'changes', { resize_mode: 'longest' }],
    },
  },
]

/** What transformers' towers of CLIP's kind share. */
const TOWER: Record<string, Row> = {
  hidden_size: [96, 'sizes'],
  intermediate_size: [112, 'sizes'],
  num_hidden_layers: [3, 'sizes'],
  num_attention_heads: [4, 'changes'],
  hidden_act: ['relu', 'changes'],
  layer_norm_eps: [0.01, 'changes'],
  attention_dropout: [0.5, TRAINING],
}
const CLIP_TOWER: Record<string, Row> = {
  ...TOWER,
  projection_dim: [9, { nothing: "the model's own projection_dim counts" }],
  initializer_range: [1, START],
  initializer_factor: [2, START],
}
const IMAGE: Record<string, Row> = {
  num_channels: [4, 'refused'],
  image_size: [112, 'sizes'],
  patch_size: [4, 'sizes'],
}

const clipModel = (name: string): readonly Section[] => [
  {
    class: `${name}Config`,
    at: [],
    rows: {
      text_config: [7, 'refused'],
      vision_config: [7, 'refused'],
      projection_dim: [9, 'sizes'],
      logit_scale_init_value: [1, START],
      initializer_factor: [2, START],
    },
  },
  { class: `${name}VisionConfig`, at: ['vision_config'], rows: { ...CLIP_TOWER, ...IMAGE } },
  {
    class: `${name}TextConfig`,
    at: ['text_config'],
    rows: {
      ...CLIP_TOWER,
      intermediate_size: [112, TOLD],
      vocab_size: [99, 'sizes'],
      max_position_embeddings: [9, 'sizes'],
      pad_token_id: [3, SPECIAL],
      bos_token_id: [3, SPECIAL],
      eos_token_id: [17, name === 'CLIP' ? 'refused' : 'changes'],
    },
  },
]

const siglipModel = (name: string, image: Record<string, Row>): readonly Section[] => [
  {
    class: `${name}Config`,
    at: [],
    rows: {
      text_config: [7, 'refused'],
      vision_config: [7, 'refused'],
      initializer_factor: [2, START],
    },
  },
  { class: `${name}VisionConfig`, at: ['vision_config'], rows: { ...TOWER, ...image } },
  {
    class: `${name}TextConfig`,
    at: ['text_config'],
    rows: {
      ...TOWER,
      intermediate_size: [112, TOLD],
      vocab_size: [99, 'sizes'],
      max_position_embeddings: [9, 'sizes'],
      pad_token_id: [3, SPECIAL],
      bos_token_id: [3, SPECIAL],
      eos_token_id: [3, SPECIAL],
      projection_size: [9, 'sizes'],
    },
  },
]

const DINO_3: readonly Section[] = [
  {
    class: 'DINOv3ViTConfig',
    at: [],
    rows: {
      ...TOWER,
      hidden_act: ['relu', 'refused'],
      initializer_range: [1, START],
      num_channels: [4, 'refused'],
      patch_size: [4, 'sizes'],
      rope_theta: [50, 'refused'],
      image_size: [56, 'changes'],
      query_bias: [false, 'refused'],
      key_bias: [true, 'sizes'],
      value_bias: [false, 'refused'],
      proj_bias: [false, 'refused'],
      mlp_bias: [false, 'refused'],
      layerscale_value: [0.5, START],
      drop_path_rate: [0.5, TRAINING],
      use_gated_mlp: [true, TOLD],
      num_register_tokens: [3, TOLD],
      pos_embed_shift: [0.5, TRAINING],
      pos_embed_jitter: [0.5, TRAINING],
      pos_embed_rescale: [3, TRAINING],
      _out_features: [['stage1'], BACKBONE],
      _out_indices: [[1], BACKBONE],
      apply_layernorm: [false, BACKBONE],
      reshape_hidden_states: [false, BACKBONE],
    },
  },
]

const TIPS_2: readonly Section[] = [
  {
    class: 'Tipsv2Config',
    at: [],
    rows: {
      text_config: [7, 'refused'],
      vision_config: [7, 'refused'],
      temperature_init_value: [0.1, 'changes'],
    },
  },
  {
    class: 'Tipsv2VisionConfig',
    at: ['vision_config'],
    rows: {
      hidden_size: [96, TOLD],
      num_hidden_layers: [3, TOLD],
      num_attention_heads: [4, 'changes'],
      mlp_ratio: [3, TOLD],
      hidden_act: ['relu', 'refused'],
      hidden_dropout_prob: [0.5, TRAINING],
      attention_probs_dropout_prob: [0.5, TRAINING],
      initializer_range: [1, START],
      layer_norm_eps: [0.01, 'changes'],
      image_size: [112, TOLD],
      patch_size: [16, TOLD],
      num_channels: [4, 'refused'],
      qkv_bias: [false, 'refused'],
      layerscale_value: [0.5, START],
      drop_path_rate: [0.5, TRAINING],
      use_swiglu_ffn: [true, TOLD],
      num_register_tokens: [2, TOLD],
      _out_features: [['stage1'], BACKBONE],
      _out_indices: [[1], BACKBONE],
      apply_layernorm: [false, BACKBONE],
      reshape_hidden_states: [false, BACKBONE],
    },
  },
  {
    class: 'Tipsv2TextConfig',
    at: ['text_config'],
    rows: {
      vocab_size: [99, TOLD],
      hidden_size: [96, TOLD],
      intermediate_size: [96, TOLD],
      num_hidden_layers: [3, TOLD],
      num_attention_heads: [4, 'changes'],
      max_position_embeddings: [32, 'changes'],
      hidden_act: ['gelu', 'refused'],
      layer_norm_eps: [0.01, 'changes'],
      attention_dropout: [0.5, TRAINING],
      pad_token_id: [17, 'changes'],
      bos_token_id: [3, SPECIAL],
      eos_token_id: [3, SPECIAL],
      initializer_range: [1, START],
      scale_sqrt_depth: [false, 'changes'],
      pooling_epsilon: [0.5, 'refused'],
    },
  },
]

const text = [3, 17, 40, 2, 9]

const WALKS: readonly Walk[] = [
  {
    name: 'open_clip',
    fields: fields.open_clip,
    folder: fixture('families', 'open_clip-config'),
    file: 'open_clip_config.json',
    config: await read('families', 'open_clip-config', 'gelu.json'),
    sections: OPEN_CLIP,
    ids: [3, 17, 40, 7, 99, 2],
  },
  {
    name: 'clip',
    fields: fields.transformers.clip,
    folder: fixture('clip-formats', 'hf'),
    file: 'config.json',
    config: await read('clip-formats', 'hf', 'config.json'),
    sections: clipModel('CLIP'),
    ids: [598, 17, 230, 5, 599],
  },
  {
    name: 'metaclip_2',
    fields: fields.transformers.metaclip_2,
    folder: fixture('families', 'metaclip2-hf'),
    file: 'config.json',
    config: await read('families', 'metaclip2-hf', 'config.json'),
    sections: clipModel('MetaClip2'),
    ids: text,
  },
  {
    name: 'siglip',
    fields: fields.transformers.siglip,
    folder: fixture('families', 'siglip-hf'),
    file: 'config.json',
    config: await read('families', 'siglip-hf', 'config.json'),
    sections: siglipModel('Siglip', IMAGE),
    ids: text,
  },
  {
    name: 'siglip2',
    fields: fields.transformers.siglip2,
    folder: fixture('families', 'siglip2-naflex-hf'),
    file: 'config.json',
    config: await read('families', 'siglip2-naflex-hf', 'config.json'),
    sections: siglipModel('Siglip2', {
      num_channels: [4, 'refused'],
      patch_size: [4, 'sizes'],
      num_patches: [49, 'sizes'],
    }),
    ids: text,
  },
  {
    name: 'dinov3_vit',
    fields: fields.transformers.dinov3_vit,
    folder: fixture('families', 'dinov3-hf'),
    file: 'config.json',
    config: await read('families', 'dinov3-hf', 'config.json'),
    sections: DINO_3,
  },
  {
    name: 'tipsv2',
    fields: fields.transformers.tipsv2,
    folder: fixture('families', 'tipsv2-hf'),
    file: 'config.json',
    config: await read('families', 'tipsv2-hf', 'config.json'),
    sections: TIPS_2,
    ids: text,
  },
]

/** `config` with `value` at `path`; objects on the way are made. */
function changed(config: Json, path: readonly string[], value: unknown): Json {
  const [first, ...rest] = path
  if (first === undefined) return value as Json
  const inner = config[first]
  const object = typeof inner === 'object' && inner !== null ? (inner as Json) : {}
  return { ...config, [first]: rest.length === 0 ? value : changed(object, rest, value) }
}

/** A folder like the walk's, with another configuration. */
async function checkpoint(walk: Walk, config: Json): Promise<string> {
  const path = join(folder, String(made++))
  await mkdir(path)
  for (const name of await readdir(walk.folder)) {
    if (name !== walk.file) await copyFile(join(walk.folder, name), join(path, name))
  }
  await writeFile(join(path, walk.file), JSON.stringify(config))
  return path
}

/** All that a caller sees of a checkpoint's results. */
async function outcome(walk: Walk, config: Json): Promise<string> {
  using model = await loadModel(await checkpoint(walk, config), { device: 'cpu', dtype: 'float32' })
  const { path: _, notes: __, ...info } = model.info as unknown as Json
  using image = await model.encodeImage(PICTURE)
  using dense = await model.encodeDense(PICTURE)
  const results: unknown[] = [info, [...(await floats(image))], [...(await floats(dense))]]
  if (walk.ids) {
    using tokens = Tensor.from(Int32Array.from(walk.ids), [1, walk.ids.length])
    using words = await model.encodeText(tokens)
    results.push([...(await floats(words))])
  }
  return JSON.stringify(results)
}

for (const walk of WALKS) {
  t.test(walk.name, async t => {
    const base = await outcome(walk, walk.config)
    for (const section of walk.sections) {
      const known = Object.keys(walk.fields[section.class] ?? {}).sort()
      t.same(Object.keys(section.rows).sort(), known, `${section.class}: a row for every field`)
      for (const [field, [value, expected, beside = {}]] of Object.entries(section.rows)) {
        const name = `${section.class}.${field} = ${JSON.stringify(value)}`
        let before = walk.config
        for (const [other, told] of Object.entries(beside)) {
          before = changed(before, [...section.at, other], told)
        }
        const config = changed(before, [...section.at, field], value)
        if (expected === 'refused' || expected === 'sizes') {
          const message = new RegExp(expected === 'refused' ? field : `"${field}"|tensor`)
          await t.rejects(outcome(walk, config), { code: 'ERR_DECLIP_WEIGHTS', message }, name)
          continue
        }
        const usual = Object.keys(beside).length === 0 ? base : await outcome(walk, before)
        const got = await outcome(walk, config)
        if (expected === 'changes') t.not(got, usual, `${name} is honoured`)
        else t.equal(got, usual, `${name} changes nothing: ${expected.nothing}`)
      }
    }
  })
}
