/**
 * Byte-pair encoding over pieces, as sentencepiece and Gemma have it: a text is its characters, those that the
 * vocabulary lacks are their UTF-8 bytes `<0xNN>`, and the pair that was learned first is joined wherever it stands. An
 * own one because the library's keeps a JSON text for every pair and cannot be filled in turns.
 */

import { type MergeTable, PairJoiner } from '../byte-pairs.js'
import { Memo } from '../memo.js'
import { characterLength } from './unigram.js'

/** What a vocabulary says. */
export interface MergesOptions extends Pick<MergeTable, 'pairs' | 'joined'> {
  readonly ids: ReadonlyMap<string, number>
  /** Of what the vocabulary lacks; without one it is left out. */
  readonly unknownId: number | undefined
  /** Whether a run of unknown characters is one. */
  readonly fuseUnknown: boolean
  /** Whether characters that are not in the vocabulary become bytes. */
  readonly byteFallback: boolean
  /** Whether a text that is a piece is not looked into. */
  readonly ignoreMerges: boolean
}

const utf8 = new TextEncoder()

/** Cuts texts into pieces. */
export class Merges {
  readonly #options: MergesOptions
  readonly #joiner: PairJoiner
  readonly #memo = new Memo<Int32Array>()
  readonly #bytes: readonly (number | undefined)[]

  constructor(options: MergesOptions) {
    this.#options = options
    this.#joiner = new PairJoiner(options)
    this.#bytes = Array.from({ length: 256 }, (_, byte) => options.ids.get(bytePiece(byte)))
  }

  /**
   * Ids of a text's pieces.
   *
   * @param text - without lone surrogates
   */
  encode(text: string): Int32Array {
    return this.#memo.get(text, word => this.#cut(word))
  }

  #cut(text: string): Int32Array {
    const { ids, ignoreMerges } = this.#options
    const whole = ignoreMerges ? ids.get(text) : undefined
    if (whole !== undefined) return Int32Array.of(whole)
    const symbols: number[] = []
    let unknown = false
    for (let at = 0; at < text.length; ) {
      const next = at + characterLength(text, at)
      const character = text.slice(at, next)
      const id = ids.get(character)
      if (id !== undefined) symbols.push(id)
      unknown = id === undefined && !this.#pushBytes(symbols, character, unknown)
      at = next
    }
    return this.#joiner.join(Int32Array.from(symbols))
  }

  /** Pushes a character that is no piece; false if as the unknown one. */
  #pushBytes(symbols: number[], character: string, afterUnknown: boolean): boolean {
    const { byteFallback, unknownId, fuseUnknown } = this.#options
    const bytes = byteFallback ? Array.from(utf8.encode(character), byte => this.#bytes[byte]) : []
    if (byteFallback && !bytes.includes(undefined)) {
      symbols.push(...(bytes as number[]))
      return true
    }
    if (unknownId !== undefined && !(fuseUnknown && afterUnknown)) symbols.push(unknownId)
    return false
  }
}

/** The name of a byte's piece. */
export function bytePiece(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`
}
