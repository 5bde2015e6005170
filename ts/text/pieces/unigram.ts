/**
 * The unigram model of sentencepiece (Kudo, arXiv:1804.10959): of all ways to cut a text into pieces the one whose
 * scores add up to most, found by going over the text once. An own one because the library's keeps a map for every
 * letter of every piece: a vocabulary of 901,629 pieces (XLM-V) takes it 16 s and a gigabyte, this one 1 s and 0.1.
 */

import { Memo } from '../memo.js'

/** Longest piece that is looked for, in UTF-16 units; sentencepiece trains none longer than 16 characters. */
const LONGEST = 256

/** What a piece costs that is not in the vocabulary: so much less than the least of all. */
const UNKNOWN_PENALTY = 10

/** What a vocabulary says. */
export interface UnigramOptions {
  /** Ids of the pieces that may be found in a text. */
  readonly ids: ReadonlyMap<string, number>
  /** Logarithm of the probability, by id. */
  readonly scores: Float64Array
  /** Of everything else; a run of it is one. */
  readonly unknownId: number
  /** The least score of a piece. */
  readonly least: number
  /** Adds scores in float32, as sentencepiece does, or in float64, as the tokenizers library: equals are broken by it. */
  readonly single: boolean
  /** Ids of the bytes 0..255, which stand for unknown characters where given. */
  readonly bytes?: readonly number[] | undefined
}

/** Cuts texts into pieces. */
export class Unigram {
  readonly #options: UnigramOptions
  /** Longest piece by its first UTF-16 unit. */
  readonly #longest = new Map<number, number>()
  readonly #memo = new Memo<readonly number[]>()

  constructor(options: UnigramOptions) {
    this.#options = options
  }

  /** Tells that a piece can be found; called once for each. */
  note(piece: string): void {
    if (piece === '' || piece.length > LONGEST) return
    const first = piece.charCodeAt(0)
    if (piece.length > (this.#longest.get(first) ?? 0)) this.#longest.set(first, piece.length)
  }

  /**
   * Ids of a text's pieces.
   *
   * @param text - without lone surrogates
   */
  encode(text: string): readonly number[] {
    return this.#memo.get(text, word => this.#cut(word))
  }

  #cut(text: string): number[] {
    const { ids, scores, unknownId, least, single } = this.#options
    const round = single ? Math.fround : same
    const unknownScore = round(least - UNKNOWN_PENALTY)
    const length = text.length
    /** The best way to each place: its score, where its last piece begins, and which one that is. */
    const best = new Float64Array(length + 1)
    const from = new Int32Array(length + 1).fill(-1)
    const piece = new Int32Array(length + 1)
    const offer = (start: number, end: number, id: number, score: number) => {
      const total = round(score + (best[start] as number))
      if (from[end] !== -1 && total <= (best[end] as number)) return
      best[end] = total
      from[end] = start
      piece[end] = id
    }
    for (let start = 0; start < length; ) {
      const next = start + characterLength(text, start)
      const longest = this.#longest.get(text.charCodeAt(start)) ?? 0
      const stop = Math.min(length, start + longest)
      let alone = false
      for (let end = next; end <= stop; end++) {
        const id = ids.get(text.slice(start, end))
        if (id === undefined) continue
        offer(start, end, id, scores[id] as number)
        if (end === next) alone = true
      }
      if (!alone) offer(start, next, unknownId, unknownScore)
      start = next
    }
    return this.#collect(text, from, piece)
  }

  /** The pieces from the end of the text to its beginning, turned around. */
  #collect(text: string, from: Int32Array, piece: Int32Array): number[] {
    const { unknownId, bytes } = this.#options
    const out: number[] = []
    for (let end = text.length; end > 0; ) {
      const start = from[end] as number
      const id = piece[end] as number
      if (id !== unknownId) out.push(id)
      else if (bytes) {
        for (const byte of Buffer.from(text.slice(start, end)).reverse()) {
          out.push(bytes[byte] as number)
        }
      } else if (out.at(-1) !== unknownId) out.push(unknownId)
      end = start
    }
    return out.reverse()
  }
}

const same = (value: number): number => value

/** UTF-16 units of the character at a place. */
export function characterLength(text: string, at: number): 1 | 2 {
  const unit = text.charCodeAt(at)
  return unit >= 0xd800 && unit < 0xdc00 && at + 1 < text.length ? 2 : 1
}
