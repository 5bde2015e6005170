/**
 * sentencepiece itself, for unigram models: normalises a text by the model file's own table and rules, then cuts it
 * into pieces, in float32 as the original does.
 */

import { everyItem, type Steps } from '../../base/steps.js'
import { bytePiece } from './merges.js'
import { PieceType, type SentencePieceFile } from './sentencepiece-file.js'
import { Unigram } from './unigram.js'

/** What stands for a space. */
export const SPACE = '▁'

/** By how much less a user's piece scores than its length says. */
const USER_DISCOUNT = 0.1

/** A model file, ready to cut texts. */
export class SentencePiece {
  /** By id. */
  readonly pieces: readonly string[]
  /** Of every piece, whatever it is for. */
  readonly ids: ReadonlyMap<string, number>
  readonly unknownId: number
  readonly #file: SentencePieceFile
  readonly #model: Unigram
  /** The user's pieces by their first character, the longest first. */
  readonly #userPieces: ReadonlyMap<string, readonly string[]>

  private constructor(parts: {
    file: SentencePieceFile
    ids: ReadonlyMap<string, number>
    unknownId: number
    model: Unigram
    userPieces: ReadonlyMap<string, readonly string[]>
  }) {
    this.#file = parts.file
    this.pieces = parts.file.pieces
    this.ids = parts.ids
    this.unknownId = parts.unknownId
    this.#model = parts.model
    this.#userPieces = parts.userPieces
  }

  /** @throws Error for a model that is not unigram, or that lacks its unknown piece */
  static *from(file: SentencePieceFile): Steps<SentencePiece> {
    const { pieces, types, algorithm, byteFallback } = file
    if (algorithm !== 'unigram') throw new Error(`its model_type must be unigram, found bpe`)
    const unknownId = types.indexOf(PieceType.unknown)
    if (unknownId < 0) throw new Error('none of its pieces is the unknown one')
    const scores = Float64Array.from(file.scores)
    const all = new Map<string, number>()
    const found = new Map<string, number>()
    const users: string[] = []
    let least = Number.POSITIVE_INFINITY
    let most = Number.NEGATIVE_INFINITY
    for (const [id, score] of scores.entries()) {
      if (types[id] !== PieceType.normal) continue
      least = Math.min(least, score)
      most = Math.max(most, score)
    }
    if (least > most) throw new Error('it has no normal pieces')
    const bytes: number[] = []
    const model = new Unigram({
      ids: found,
      scores,
      unknownId,
      least,
      single: true,
      bytes: byteFallback ? bytes : undefined,
    })
    yield* everyItem(pieces, (piece, id) => {
      all.set(piece, id)
      const type = types[id]
      if (type === PieceType.userDefined) {
        users.push(piece)
        scores[id] = Math.fround(Buffer.byteLength(piece) * most - USER_DISCOUNT)
      } else if (type !== PieceType.normal) return
      found.set(piece, id)
      model.note(piece)
    })
    for (let byte = 0; byteFallback && byte < 256; byte++) {
      const id = all.get(bytePiece(byte))
      if (id === undefined) {
        throw new Error(`byte_fallback is set, and it has no piece ${bytePiece(byte)}`)
      }
      bytes.push(id)
    }
    return new SentencePiece({ file, ids: all, unknownId, model, userPieces: byFirst(users) })
  }

  /** Ids of a text's pieces; a run of unknown characters is one. */
  encode(text: string): readonly number[] {
    return this.#model.encode(this.#normalize(text))
  }

  /** The text as the model sees it: with {@link SPACE} for spaces. */
  #normalize(text: string): string {
    const { addDummyPrefix, removeExtraWhitespaces } = this.#file
    let out = ''
    let afterSpace = removeExtraWhitespaces
    for (const part of this.#replaced(text)) {
      const rest = afterSpace ? part.replace(/^ +/, '') : part
      if (rest !== '') {
        if (out === '' && addDummyPrefix) out = SPACE
        out += rest.replaceAll(' ', SPACE)
        afterSpace = removeExtraWhitespaces && rest.endsWith(' ')
      }
    }
    return removeExtraWhitespaces ? out.replace(/▁+$/, '') : out
  }

  /** The parts of a text after the table was looked up. */
  *#replaced(text: string): Generator<string> {
    const { charsmap } = this.#file
    const bytes = Buffer.from(text)
    for (let at = 0; at < bytes.length; ) {
      const length = characterBytes(bytes[at] as number)
      const user = this.#userPieces.size > 0 ? this.#userPiece(bytes, at, length) : undefined
      const prefix = user ?? charsmap?.longest(bytes, at)
      yield prefix?.text ?? bytes.toString('utf8', at, at + length)
      at += prefix?.length ?? length
    }
  }

  /** The user's piece at a place, which is not normalised. */
  #userPiece(bytes: Buffer, at: number, length: number) {
    const first = bytes.toString('utf8', at, at + length)
    for (const text of this.#userPieces.get(first) ?? []) {
      const size = Buffer.byteLength(text)
      if (bytes.toString('utf8', at, at + size) === text) return { text, length: size }
    }
    return undefined
  }
}

/** Bytes of the character that begins with a byte; the text is well-formed. */
function characterBytes(first: number): number {
  if (first < 0x80) return 1
  if (first < 0xe0) return 2
  return first < 0xf0 ? 3 : 4
}

function byFirst(pieces: readonly string[]): Map<string, string[]> {
  const groups = new Map<string, string[]>()
  for (const piece of [...pieces].sort((a, b) => b.length - a.length)) {
    const [first] = piece
    if (first === undefined) continue
    const group = groups.get(first)
    if (group) group.push(piece)
    else groups.set(first, [piece])
  }
  return groups
}
