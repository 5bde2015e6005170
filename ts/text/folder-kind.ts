/** Which tokenizer a folder's configurations name. */

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DeclipError } from '../errors.js'
import type { FolderKind } from './folder-tokenizer.js'
import { type OpenClipTokenizer, openClipTokenizer } from './open-clip.js'
import { asFields, type Fields, textConfig, unusableTokenizer } from './tokenizer-folder.js'

/** A folder's tokenizer by its configurations. */
export interface NamedKind {
  readonly kind: FolderKind | 'clip'
  /** Ids per text; undefined where nothing says so. */
  readonly contextLength: number | undefined
  /** What open_clip does to a text first. */
  readonly clean?: OpenClipTokenizer['clean'] | undefined
}

const MODEL_TYPES: Readonly<Record<string, FolderKind>> = {
  siglip: 'siglip',
  siglip2: 'siglip',
  metaclip_2: 'xlm-v',
  tipsv2: 'tips',
}

const CLASSES: Readonly<Record<string, FolderKind>> = {
  SiglipTokenizer: 'siglip',
  Siglip2Tokenizer: 'siglip',
  GemmaTokenizer: 'siglip',
  XLMRobertaTokenizer: 'xlm-v',
  Tipsv2Tokenizer: 'tips',
}

/** Rows longer than this are a way to say that there is no limit. */
const LONGEST_CONTEXT = 65536

/**
 * What a folder's configurations name: transformers' `config.json` by its model type, else `open_clip_config.json`, else
 * the class in `tokenizer_config.json`; CLIP's tokenizer where none of them tells another.
 *
 * @throws DeclipError ERR_DECLIP_WEIGHTS for a configuration that is no JSON or has a field that is not understood,
 * ERR_DECLIP_IO for one that cannot be read
 */
export async function kindOfFolder(folder: string): Promise<NamedKind> {
  const [config, tokenizer] = await Promise.all([
    configOf(folder, 'config.json'),
    configOf(folder, 'tokenizer_config.json'),
  ])
  const ofConfig = ['max_position_embeddings', 'context_length'].map(
    name => asFields(config?.['text_config'])?.[name],
  )
  const contextLength = [...ofConfig, tokenizer?.['model_max_length']].find(isLength)
  const kind = MODEL_TYPES[String(config?.['model_type'])]
  if (kind) return { kind, contextLength }
  if (config?.['model_type'] === undefined) {
    const openClip = await openClipOf(folder)
    if (openClip) {
      const { own, clean } = openClip
      const length = [openClip.contextLength, contextLength].find(isLength)
      return { kind: own ? 'open_clip-folder' : 'clip', clean, contextLength: length }
    }
  }
  const named = CLASSES[String(tokenizer?.['tokenizer_class']).replace(/Fast$/, '')]
  return { kind: named ?? 'clip', contextLength: named && contextLength }
}

/**
 * What a folder's open_clip_config.json says; undefined without one.
 *
 * @throws DeclipError as {@link kindOfFolder}
 */
export async function openClipOf(
  folder: string,
): Promise<(OpenClipTokenizer & { contextLength: unknown }) | undefined> {
  const file = await configOf(folder, 'open_clip_config.json')
  if (file === undefined) return undefined
  const text = textConfig(file)
  try {
    return { ...openClipTokenizer(text), contextLength: text['context_length'] }
  } catch (error) {
    const path = join(folder, 'open_clip_config.json')
    throw new DeclipError('ERR_DECLIP_WEIGHTS', `${path}: ${(error as Error).message}.`, {
      cause: error,
    })
  }
}

async function configOf(folder: string, name: string): Promise<Fields | undefined> {
  const path = join(folder, name)
  let json: unknown
  try {
    json = JSON.parse(await readFile(path, 'utf8'))
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    if (cause instanceof SyntaxError) throw unusableTokenizer(path, message, cause)
    throw new DeclipError('ERR_DECLIP_IO', `${path} cannot be read: ${message}.`, { cause })
  }
  return asFields(json)
}

function isLength(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 2 && (value as number) <= LONGEST_CONTEXT
}
