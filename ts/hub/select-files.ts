/** Which files of a repository or folder make a model. */
import { readFile } from 'node:fs/promises'
import { DeclipError } from '../errors.js'
import { isPlainPath } from './repository.js'

/** Small files that say how weights are to be used. */
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
]

/** Weights of a folder with a config.json, the preferred first. */
const FOLDER_WEIGHTS = [
  'model.safetensors',
  'model.safetensors.index.json',
  'pytorch_model.bin',
  'pytorch_model.bin.index.json',
]

/** Weights that stand alone. */
const FILE_WEIGHTS = ['open_clip_model.safetensors', 'open_clip_pytorch_model.bin']

/** How a weights file may end: the one list of this package; cpp/files/weight_files.cpp has its twin. */
export const WEIGHTS_FILE = /\.(safetensors|pt|pth|bin|ckpt)$/

/**
 * Which files of a listing are needed, weights last, and what the loader is to be pointed at ('' for
 * the folder). An index counts as weights here; the shards it names follow later.
 */
export function selectFiles(
  names: readonly string[],
  file?: string,
): { files: string[]; main: string } {
  const companions = COMPANIONS.filter(name => names.includes(name))
  if (file !== undefined) {
    if (!names.includes(file)) {
      const others = names.filter(name => WEIGHTS_FILE.test(name))
      throw noWeights(`has no file '${file}'`, others)
    }
    return { files: [...companions, file], main: file }
  }
  const inFolder = FOLDER_WEIGHTS.find(name => names.includes(name))
  if (inFolder && names.includes('config.json'))
    return { files: [...companions, inFolder], main: '' }
  const known = FILE_WEIGHTS.find(name => names.includes(name))
  if (known) return { files: [...companions, known], main: known }
  const candidates = names.filter(name => !name.includes('/') && WEIGHTS_FILE.test(name))
  const [only] = candidates
  if (only === undefined) throw noWeights('has no weights that this package reads', candidates)
  if (candidates.length > 1) throw noWeights('has several weights files', candidates)
  return { files: [...companions, only], main: only }
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
