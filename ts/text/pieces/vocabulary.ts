/** The vocabularies that texts are cut into pieces with, read from a tokenizer.json or made of a sentencepiece file. */

import { everyItem, type Steps } from '../../base/steps.js'
import { describe } from '../../errors.js'
import type { Extent, LargeJson } from './large-json.js'
import { bytePiece, Merges } from './merges.js'
import type { SentencePieceFile } from './sentencepiece-file.js'
import { Unigram } from './unigram.js'

/** Ids above this are taken for a damaged file. */
export const LARGEST_ID = 2 ** 24 - 1

/** Pieces and how a text is cut into them. */
export interface PieceVocabulary {
  /** Of every piece. */
  readonly ids: Map<string, number>
  /** By id. */
  readonly names: (string | undefined)[]
  /** Ids of a text's pieces. */
  encode(text: string): Iterable<number>
}

/** A piece and the logarithm of its probability. */
export type ScoredPiece = readonly [piece: string, score: number]

/**
 * Reads `model` of a tokenizer.json.
 *
 * @throws Error naming the field that is wrong
 */
export function* readModel(json: LargeJson, extent: Extent): Steps<PieceVocabulary> {
  const members = yield* json.members(extent)
  if (members === undefined) throw new Error("it must hold an object 'model'")
  const field = (name: string): unknown => {
    const found = members.get(name)
    return found === undefined ? undefined : json.value(found)
  }
  const vocab = members.get('vocab')
  const merges = members.get('merges')
  const type = field('type') ?? (merges ? 'BPE' : 'Unigram')
  if (type === 'Unigram') {
    const pieces = vocab && (yield* readScored(json, vocab))
    if (pieces === undefined) throw new Error('model.vocab must be a list of [piece, score]')
    return yield* unigramVocabulary(pieces, {
      unknownId: field('unk_id'),
      byteFallback: field('byte_fallback') === true,
    })
  }
  if (type !== 'BPE') {
    throw new Error(`model.type must be 'BPE' or 'Unigram', found ${describe(type)}`)
  }
  for (const name of ['end_of_word_suffix', 'continuing_subword_prefix', 'dropout']) {
    const value = field(name) ?? ''
    if (value !== '' && value !== 0) {
      throw new Error(`model.${name} must be null, found ${describe(value)}`)
    }
  }
  const ids = new Map<string, number>()
  const names: string[] = []
  const kind = vocab && (yield* json.parts(vocab, part => readIds(part, ids, names)))
  if (kind !== 'object') throw new Error('model.vocab must be an object from piece to id')
  const pairs: number[] = []
  const joined: number[] = []
  if (merges !== undefined) {
    yield* json.parts(merges, part => readMerges(part, ids, pairs, joined))
  }
  const unknown = field('unk_token') ?? undefined
  return mergesVocabulary(
    { ids, names, pairs, joined },
    {
      unknown: unknown === undefined ? undefined : String(unknown),
      fuseUnknown: field('fuse_unk') === true,
      byteFallback: field('byte_fallback') === true,
      ignoreMerges: field('ignore_merges') === true,
    },
  )
}

/**
 * A unigram vocabulary; ids are places in the list. Scores are added in float64, as by the tokenizers library.
 *
 * @throws Error naming the field that is wrong
 */
export function* unigramVocabulary(
  pieces: readonly ScoredPiece[],
  options: { unknownId: unknown; byteFallback: boolean },
): Steps<PieceVocabulary> {
  const { unknownId, byteFallback } = options
  if (typeof unknownId !== 'number' || pieces[unknownId] === undefined) {
    throw new Error(
      `model.unk_id must be an id of its ${pieces.length} pieces, found ${describe(unknownId)}`,
    )
  }
  const ids = new Map<string, number>()
  const names: string[] = []
  const scores = new Float64Array(pieces.length)
  let least = Number.POSITIVE_INFINITY
  for (const [, score] of pieces) least = Math.min(least, score)
  const bytes: number[] = []
  const model = new Unigram({
    ids,
    scores,
    unknownId,
    least,
    single: false,
    bytes: byteFallback ? bytes : undefined,
  })
  yield* everyItem(pieces, ([piece, score], id) => {
    ids.set(piece, id)
    names.push(piece)
    scores[id] = score
    model.note(piece)
  })
  for (let byte = 0; byteFallback && byte < 256; byte++) {
    bytes.push(ids.get(bytePiece(byte)) ?? unknownId)
  }
  return { ids, names, encode: text => model.encode(text) }
}

/**
 * The byte-pair vocabulary that transformers makes of a sentencepiece file: ids are places in the file, and every way
 * to make a piece of two others is a join, in the order of the pieces and then of their first part's length.
 */
export function* mergesOfPieces(
  { pieces, byteFallback }: SentencePieceFile,
  unknown: string | undefined,
): Steps<PieceVocabulary> {
  const ids = new Map<string, number>()
  yield* everyItem(pieces, (piece, id) => ids.set(piece, id))
  const pairs: number[] = []
  const joined: number[] = []
  yield* everyItem(ids, ([piece, id]) => {
    for (let at = 1; at < piece.length; at++) {
      const unit = piece.charCodeAt(at)
      if (unit >= 0xdc00 && unit < 0xe000) continue // inside a character
      const left = ids.get(piece.slice(0, at))
      const right = left === undefined ? undefined : ids.get(piece.slice(at))
      if (left === undefined || right === undefined) continue
      pairs.push(left, right)
      joined.push(id)
    }
  })
  const names = [...pieces]
  const rules = { unknown, fuseUnknown: true, byteFallback, ignoreMerges: false }
  return mergesVocabulary({ ids, names, pairs, joined }, rules)
}

function mergesVocabulary(
  {
    ids,
    names,
    pairs,
    joined,
  }: Pick<PieceVocabulary, 'ids' | 'names'> & { pairs: number[]; joined: number[] },
  options: {
    unknown: string | undefined
    fuseUnknown: boolean
    byteFallback: boolean
    ignoreMerges: boolean
  },
): PieceVocabulary {
  const { unknown, ...rest } = options
  const unknownId = unknown === undefined ? undefined : ids.get(unknown)
  if (unknown !== undefined && unknownId === undefined) {
    throw new Error(`model.unk_token '${unknown}' is not in its vocabulary`)
  }
  const model = new Merges({
    ids,
    pairs: Uint32Array.from(pairs),
    joined: Int32Array.from(joined),
    unknownId,
    ...rest,
  })
  return { ids, names, encode: text => model.encode(text) }
}

function* readScored(json: LargeJson, extent: Extent): Steps<ScoredPiece[] | undefined> {
  const pieces: ScoredPiece[] = []
  const kind = yield* json.parts(extent, part => {
    for (const entry of Array.isArray(part) ? part : [undefined]) {
      const [piece, score]: unknown[] = Array.isArray(entry) ? entry : []
      if (typeof piece !== 'string' || typeof score !== 'number') {
        throw new Error(`model.vocab[${pieces.length}] must be [piece, score]`)
      }
      pieces.push([piece, score])
    }
  })
  return kind === 'list' ? pieces : undefined
}

function readIds(part: object, ids: Map<string, number>, names: string[]): void {
  if (Array.isArray(part)) throw new Error('model.vocab must be an object from piece to id')
  for (const [piece, id] of Object.entries(part) as [string, unknown][]) {
    const checked = checkId(id, piece, 'model.vocab')
    ids.set(piece, checked)
    names[checked] = piece
  }
}

/** An id that is one. */
export function checkId(id: unknown, piece: string, place: string): number {
  if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id <= LARGEST_ID) return id
  throw new Error(
    `the id of '${piece}' in ${place} must be an integer from 0 to ${LARGEST_ID}, found ${describe(id)}`,
  )
}

/** Merges are 'left right' or ['left', 'right'], depending on the version that wrote the file. */
function readMerges(
  part: object,
  ids: ReadonlyMap<string, number>,
  pairs: number[],
  joined: number[],
): void {
  if (!Array.isArray(part)) throw new Error('model.merges must be a list')
  for (const merge of part as unknown[]) {
    const [left, right, ...more]: unknown[] =
      typeof merge === 'string' ? merge.split(' ') : Array.isArray(merge) ? merge : []
    if (typeof left !== 'string' || typeof right !== 'string' || more.length > 0) {
      throw new Error(`model.merges[${joined.length}] must be two pieces`)
    }
    const idOf = (piece: string) => {
      const id = ids.get(piece)
      if (id !== undefined) return id
      throw new Error(`model.merges[${joined.length}] needs the piece '${piece}', which has no id`)
    }
    pairs.push(idOf(left), idOf(right))
    joined.push(idOf(left + right))
  }
}
