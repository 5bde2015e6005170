/** Reads the vocabulary of a tokenizer from the files of a Hugging Face folder. */

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inTurns } from '../base/event-loop.js'
import { DeclipError, describe } from '../errors.js'
import { BytePairEncoder } from './byte-pairs.js'
import { CLIP_SYMBOLS, clipEncoder } from './clip-merges.js'
import { type Merge, parseMerges, toMergeTable } from './symbols.js'

/** A vocabulary: how words are encoded, and ids by name, those of the special tokens at least. */
export interface Vocabulary {
  readonly encoder: BytePairEncoder
  readonly ids: ReadonlyMap<string, number>
  /** The file that holds the ids. */
  readonly path: string
}

/** Ids above this are taken for a damaged file. */
const LARGEST_ID = 2 ** 24 - 1

/** SHA-256 of CLIP's own files: as OpenAI's models have them, and as transformers saves the ids. */
const CLIP_IDS: ReadonlySet<string> = new Set([
  '5047b556ce86ccaf6aa22b3ffccfc52d391ea4accdab9c2f2407da5b742d4363',
  'e089ad92ba36837a0d31433e555c8f45fe601ab5c221d4f607ded32d9f7a4349',
])
const CLIP_MERGES = '9fd691f7c8039210e0fced15865466c65820d09b63988b0174bfe25de299051a'

/** `vocab.json` and `merges.txt` if both are there, else `tokenizer.json`. */
export async function readVocabulary(folder: string): Promise<Vocabulary> {
  const vocabPath = join(folder, 'vocab.json')
  const mergesPath = join(folder, 'merges.txt')
  const tokenizerPath = join(folder, 'tokenizer.json')
  const [idFile, mergeFile] = await Promise.all([readIfThere(vocabPath), readIfThere(mergesPath)])
  if (idFile !== undefined && mergeFile !== undefined) {
    // As most folders do; parsing the file again would hold the event loop for some 40 ms.
    if (CLIP_IDS.has(sha256(idFile)) && sha256(mergeFile) === CLIP_MERGES) {
      const ids = new Map([
        ['<|startoftext|>', CLIP_SYMBOLS],
        ['<|endoftext|>', CLIP_SYMBOLS + 1],
      ])
      return { encoder: clipEncoder(), ids, path: vocabPath }
    }
    const ids = await usable(vocabPath, () => readIds(parse(idFile), 'the top level'))
    const merges = await usable(mergesPath, () => parseMerges(mergeFile.toString()))
    const table = await usable(`${vocabPath} and ${mergesPath}`, () => toMergeTable(ids, merges))
    return { encoder: new BytePairEncoder(table), ids, path: vocabPath }
  }
  const tokenizer = await readIfThere(tokenizerPath)
  if (tokenizer === undefined) {
    throw new DeclipError(
      'ERR_DECLIP_WEIGHTS',
      `Expected vocab.json and merges.txt, or tokenizer.json, in ${folder}, found neither. ` +
        "Add them, or leave the folder out to use CLIP's own vocabulary.",
    )
  }
  return usable(tokenizerPath, async () => {
    const { ids, merges } = await readTokenizer(parse(tokenizer))
    const encoder = new BytePairEncoder(await toMergeTable(ids, merges))
    return { encoder, ids, path: tokenizerPath }
  })
}

/** The error for a file that is there but cannot be used. */
export function unusable(path: string, why: string, cause?: unknown): DeclipError {
  return new DeclipError(
    'ERR_DECLIP_WEIGHTS',
    `Expected the vocabulary of a CLIP tokenizer in ${path}: ${why}. Download the file again.`,
    { cause },
  )
}

function sha256(file: Uint8Array): string {
  return createHash('sha256').update(file).digest('hex')
}

function parse(file: Buffer): unknown {
  return JSON.parse(file.toString())
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw new DeclipError('ERR_DECLIP_IO', `${path} cannot be read: ${message}.`, { cause })
  }
}

async function usable<T>(path: string, read: () => T | Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    throw unusable(path, (error as Error).message, error)
  }
}

/** The fields of a JSON object, of unknown kinds; undefined for anything else. */
function fields<Name extends string>(value: unknown): { [name in Name]?: unknown } | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined
}

async function readIds(vocab: unknown, place: string): Promise<Map<string, number>> {
  const symbols = fields<string>(vocab)
  if (symbols === undefined) throw new Error(`${place} must be an object from symbol to id`)
  const ids = new Map<string, number>()
  await inTurns(Object.keys(symbols), symbol =>
    ids.set(symbol, checkId(symbols[symbol], symbol, place)),
  )
  return ids
}

function checkId(id: unknown, symbol: string, place: string): number {
  if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id <= LARGEST_ID) return id
  throw new Error(
    `the id of '${symbol}' in ${place} must be an integer from 0 to ${LARGEST_ID}, found ${describe(id)}`,
  )
}

async function readTokenizer(
  json: unknown,
): Promise<{ ids: Map<string, number>; merges: Merge[] }> {
  const file = fields<'model' | 'added_tokens'>(json)
  const model = fields<'type' | 'end_of_word_suffix' | 'vocab' | 'merges'>(file?.model)
  if (model === undefined) throw new Error("it must hold an object 'model'")
  const { type = 'BPE', end_of_word_suffix: suffix, vocab, merges } = model
  if (type !== 'BPE' || suffix !== '</w>') {
    throw new Error(
      "model.type must be 'BPE' and model.end_of_word_suffix '</w>', " +
        `found ${describe(type)} and ${describe(suffix)}`,
    )
  }
  const ids = await readIds(vocab, 'model.vocab')
  const added = file?.added_tokens ?? []
  if (!Array.isArray(added)) throw new Error('added_tokens must be an array')
  for (const [i, token] of added.entries()) {
    const { content, id } = fields<'content' | 'id'>(token) ?? {}
    if (typeof content !== 'string') throw new Error(`added_tokens[${i}] must have a content`)
    ids.set(content, checkId(id, content, 'added_tokens'))
  }
  if (!Array.isArray(merges)) throw new Error('model.merges must be an array')
  const pairs: Merge[] = []
  await inTurns(merges, (merge, i) => pairs.push(readMerge(merge, i)))
  return { ids, merges: pairs }
}

/** Either 'left right' or ['left', 'right'], depending on the version that wrote the file. */
function readMerge(merge: unknown, i: number): Merge {
  const pair: unknown = typeof merge === 'string' ? merge.split(' ') : merge
  if (Array.isArray(pair) && pair.length === 2) {
    const [left, right]: unknown[] = pair
    if (typeof left === 'string' && typeof right === 'string') return [left, right]
  }
  throw new Error(`model.merges[${i}] must be two symbols`)
}
