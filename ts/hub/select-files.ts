/** Which files of a repository or folder make a model. */
import { readFile } from 'node:fs/promises'
import { DeclipError } from '../errors.js'
import { isPlainPath } from './repository.js'

/** Files that say how weights are to be used. */
const COMPANIONS = [
  'config.json',
  'preprocessor_config.json',
  'processor_config.json',
  'open_clip_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'vocab.json',
  'merges.txt',
  'special_tokens_map.json',
  'spiece.model',
]

/** The same vocabulary as tokenizer.json, for repositories without one. */
const SENTENCEPIECE = ['tokenizer.model', 'sentencepiece.bpe.model']

// cpp/files/weight_files.cpp has the twins of these lists and of modelIn(), for folders;
// test/fixtures/hub-folders.json holds both to the same answers.

/** Transformers' names of weights, the preferred first. */
const TRANSFORMERS_NAMES = [
  'model.safetensors',
  'model.safetensors.index.json',
  'pytorch_model.bin',
  'pytorch_model.bin.index.json',
]

/** As open_clip's loader has them. */
const OPEN_CLIP_NAMES = [
  'open_clip_model.safetensors',
  'open_clip_pytorch_model.safetensors',
  'open_clip_pytorch_model.bin',
  'open_clip_pytorch_model.pth',
]

/** How weights may end, the preferred first where one model is there in several containers. */
const EXTENSIONS = ['.safetensors', '.bin', '.pt', '.pth', '.ckpt']

/** What training programs leave beside a model. */
const LEFTOVER = /^(training_args|optimizer|scheduler|scaler|rng_state|random_states)/

/** The same model in another number format. */
const VARIANT = /\.(fp16|bf16|fp32|float16|bfloat16|float32)$/

/** How a weights file may end. */
export const WEIGHTS_FILE = /\.(safetensors|pt|pth|bin|ckpt)$/

const OTHER_PROGRAMS = /\.(h5|msgpack|onnx|gguf|pb|tflite)$/

/** What is needed of a listing. */
export interface Selection {
  /** Weights last. An index counts as weights here; the shards it names follow later. */
  readonly files: string[]
  /** What the loader is to be pointed at; '' for the folder. */
  readonly main: string
}

/**
 * Which files of a listing are needed.
 *
 * @param file - the weights to take; without it they are looked for
 * @param transformers - whether config.json has a model_type; it is asked only where {@link needsConfig} says so
 * @throws DeclipError ERR_DECLIP_WEIGHTS
 */
export function selectFiles(
  names: readonly string[],
  file?: string,
  transformers = false,
): Selection {
  const tokenizers = names.includes('tokenizer.json') ? [] : SENTENCEPIECE
  const companions = [...COMPANIONS, ...tokenizers].filter(name => names.includes(name))
  if (file !== undefined) {
    if (names.includes(file)) return { files: [...companions, file], main: file }
    const others = names.filter(name => WEIGHTS_FILE.test(name))
    throw noWeights(`has no file '${file}'`, others)
  }
  const named = modelIn(names, transformers)
  if (named) {
    const inFolder = names.includes('config.json') && TRANSFORMERS_NAMES.includes(named)
    return { files: [...companions, named], main: inFolder ? '' : named }
  }
  const candidates = unnamedModels(names)
  const [only] = candidates
  if (only === undefined) {
    const others = names.find(name => OTHER_PROGRAMS.test(name))
    const but = others ? ` but ${others}, which is for other programs` : ''
    throw noWeights(`has no weights that this package reads${but}`, candidates)
  }
  if (candidates.length > 1) throw noWeights('has several weights files', candidates)
  return { files: [...companions, only], main: only }
}

/** Whether only the content of config.json tells which weights are meant. */
export function needsConfig(names: readonly string[], file?: string): boolean {
  return (
    file === undefined &&
    names.includes('config.json') &&
    modelIn(names, true) !== modelIn(names, false)
  )
}

/** Whether a config.json is transformers', which always says what kind of model it is. */
export function isTransformersConfig(text: string): boolean {
  try {
    return Object.hasOwn(JSON.parse(text) as object, 'model_type')
  } catch {
    return false
  }
}

/** Weights under one of the usual names. */
function modelIn(names: readonly string[], transformers: boolean): string | undefined {
  const plain = TRANSFORMERS_NAMES.find(name => names.includes(name))
  const openClip = OPEN_CLIP_NAMES.find(name => names.includes(name))
  // model.safetensors beside these two is timm's image tower alone.
  const isTower = names.includes('open_clip_config.json') && !transformers
  return isTower ? (openClip ?? plain) : (plain ?? openClip)
}

/** Weights under other names; a model in several containers or number formats is one. */
function unnamedModels(names: readonly string[]): string[] {
  const byStem = new Map<string, string>()
  for (const extension of EXTENSIONS) {
    for (const name of names) {
      if (name.includes('/') || !name.endsWith(extension) || LEFTOVER.test(name)) continue
      const stem = name.slice(0, -extension.length)
      if (!byStem.has(stem)) byStem.set(stem, name)
    }
  }
  const isVariant = (stem: string) => VARIANT.test(stem) && byStem.has(stem.replace(VARIANT, ''))
  return [...byStem].flatMap(([stem, name]) => (isVariant(stem) ? [] : [name])).sort()
}

function noWeights(what: string, candidates: readonly string[]): DeclipError {
  const shown = candidates.slice(0, 20).join(', ')
  const hint = shown
    ? `Name one as owner/name/file: ${shown}.`
    : 'Files ending in .safetensors, .pt, .pth, .bin or .ckpt are looked for.'
  return new DeclipError('ERR_DECLIP_WEIGHTS', `The repository ${what}. ${hint}`)
}

/** The shards that an index file names; none for any other file. */
export async function shardsOf(path: string): Promise<string[]> {
  if (!path.endsWith('.index.json')) return []
  try {
    const { weight_map: map } = JSON.parse(await readFile(path, 'utf8')) as { weight_map: object }
    const shards = [...new Set(Object.values(map))]
    if (shards.every(shard => isPlainPath(shard) && WEIGHTS_FILE.test(shard))) return shards
    throw new TypeError(
      `weight_map names files that are no weights: ${shards.slice(0, 5).join(', ')}`,
    )
  } catch (cause) {
    const message = `${path} is no index of safetensors or PyTorch files: ${(cause as Error).message}.`
    throw new DeclipError('ERR_DECLIP_WEIGHTS', message, { cause })
  }
}
