/** The files of a folder that make its tokenizer, read at once or without holding the event loop. */

import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DeclipError, describe } from '../errors.js'

/** Small files that say how a vocabulary is used. */
const CONFIGS = [
  'tokenizer_config.json',
  'special_tokens_map.json',
  'open_clip_config.json',
] as const

/** A JSON object. */
export type Fields = Readonly<Record<string, unknown>>

/** A folder's tokenizer. */
export interface TokenizerFiles {
  readonly folder: string
  /** The first file of a vocabulary that is there. */
  readonly vocabulary: { readonly path: string; readonly name: string; readonly bytes: Buffer }
  /** tokenizer_config.json; empty if there is none. */
  readonly config: Fields
  /** special_tokens_map.json; empty if there is none. */
  readonly specials: Fields
  /** text_cfg of open_clip_config.json; empty if there is none. */
  readonly openClip: Fields
}

/**
 * Reads them at once.
 *
 * @param names - files of a vocabulary, the preferred first
 * @throws DeclipError ERR_DECLIP_WEIGHTS if none of them is there or a file is no JSON, ERR_DECLIP_IO if one cannot be read
 */
export function readTokenizerFiles(folder: string, names: readonly string[]): TokenizerFiles {
  const read = (name: string) => {
    try {
      return readFileSync(join(folder, name))
    } catch (error) {
      return missing(folder, name, error)
    }
  }
  const configs = CONFIGS.map(read)
  for (const name of names) {
    const bytes = read(name)
    if (bytes) return filesOf(folder, name, bytes, configs)
  }
  throw noVocabulary(folder, names)
}

/** The same without holding the event loop. */
export async function readTokenizerFilesLater(
  folder: string,
  names: readonly string[],
): Promise<TokenizerFiles> {
  const read = (name: string) =>
    readFile(join(folder, name)).catch((error: unknown) => missing(folder, name, error))
  const configs = await Promise.all(CONFIGS.map(read))
  for (const name of names) {
    const bytes = await read(name)
    if (bytes) return filesOf(folder, name, bytes, configs)
  }
  throw noVocabulary(folder, names)
}

function missing(folder: string, name: string, cause: unknown): undefined {
  const { code, message } = cause as NodeJS.ErrnoException
  if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
  throw new DeclipError('ERR_DECLIP_IO', `${join(folder, name)} cannot be read: ${message}.`, {
    cause,
  })
}

function noVocabulary(folder: string, names: readonly string[]): DeclipError {
  return new DeclipError(
    'ERR_DECLIP_WEIGHTS',
    `Expected the tokenizer's vocabulary in ${folder} (${names.join(' or ')}), found none. Put the file of the model's repository beside the weights, or give token ids instead of texts.`,
  )
}

function filesOf(
  folder: string,
  name: string,
  bytes: Buffer,
  configs: readonly (Buffer | undefined)[],
): TokenizerFiles {
  const [config, specials, openClip] = configs.map((file, i) =>
    file === undefined ? {} : fieldsOf(file, join(folder, CONFIGS[i] as string)),
  ) as [Fields, Fields, Fields]
  const vocabulary = { path: join(folder, name), name, bytes }
  return { folder, vocabulary, config, specials, openClip: textConfig(openClip) }
}

function fieldsOf(file: Buffer, path: string): Fields {
  let json: unknown
  try {
    json = JSON.parse(file.toString())
  } catch (error) {
    throw unusableTokenizer(path, (error as Error).message, error)
  }
  const fields = asFields(json)
  if (fields === undefined) {
    throw unusableTokenizer(path, `it must be an object, found ${describe(json)}`)
  }
  return fields
}

/** `model_cfg.text_cfg` of open_clip_config.json; `text_cfg` in a bare model configuration. */
export function textConfig(openClip: Fields): Fields {
  const model = asFields(openClip['model_cfg']) ?? openClip
  return asFields(model['text_cfg']) ?? {}
}

/** A value that is an object; undefined for anything else. */
export function asFields(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Fields)
    : undefined
}

/** The error for a file that is there but cannot be used. */
export function unusableTokenizer(path: string, why: string, cause?: unknown): DeclipError {
  return new DeclipError(
    'ERR_DECLIP_WEIGHTS',
    `The tokenizer in ${path} cannot be used: ${why}. Download the file again.`,
    { cause },
  )
}

/** The spelling of a special piece, such as `pad_token`, by tokenizer_config.json or special_tokens_map.json. */
export function specialPiece(files: TokenizerFiles, name: string): string | undefined {
  for (const value of [files.config[name], files.specials[name]]) {
    const spelled = typeof value === 'string' ? value : asFields(value)?.['content']
    if (typeof spelled === 'string') return spelled
  }
  return undefined
}
