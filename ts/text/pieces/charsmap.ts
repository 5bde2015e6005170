/**
 * sentencepiece's `precompiled_charsmap`: a table from texts of one or a few characters to what they are normalised to
 * (NFKC and more), as a double-array trie over UTF-8 bytes with the replacements behind it. Numbers are little-endian:
 * uint32 bytes of the trie, the trie's units, then texts that end with a zero. An own reader because the library takes
 * JavaScript's NFKC for the table, whatever the table says.
 */

const utf8 = new TextEncoder()
const text = new TextDecoder()

/** What stands at the beginning of a text. */
export interface Prefix {
  /** What it is normalised to. */
  readonly text: string
  /** UTF-8 bytes that this replaces. */
  readonly length: number
}

/** A normalisation table. */
export class Charsmap {
  readonly #units: Uint32Array
  readonly #texts: Uint8Array
  /** What {@link replacement} gives for each character of ASCII. */
  readonly #ascii: readonly (string | undefined)[]
  #segmenter: Intl.Segmenter | undefined

  /** @throws Error saying what is wrong with the table */
  constructor(table: Uint8Array) {
    const view = new DataView(table.buffer, table.byteOffset, table.byteLength)
    const size = table.length < 4 ? 0 : view.getUint32(0, true)
    if (size < 4 || size % 4 !== 0 || 4 + size > table.length) {
      throw new Error(
        `precompiled_charsmap has ${table.length} bytes and says that its trie has ${size}`,
      )
    }
    this.#units = Uint32Array.from({ length: size / 4 }, (_, i) => view.getUint32(4 + 4 * i, true))
    this.#texts = table.subarray(4 + size)
    this.#ascii = Array.from({ length: 128 }, (_, code) =>
      this.replacement(String.fromCharCode(code)),
    )
  }

  /** The longest entry that the bytes begin with, as sentencepiece takes it. */
  longest(bytes: Uint8Array, start: number): Prefix | undefined {
    let found: Prefix | undefined
    for (const [value, end] of this.#entries(bytes, start)) {
      found = { text: this.#text(value), length: end - start }
    }
    return found
  }

  /** The replacement by the shortest entry that a text begins with, as the tokenizers library takes it. */
  replacement(part: string): string | undefined {
    for (const [value] of this.#entries(utf8.encode(part), 0)) return this.#text(value)
    return undefined
  }

  /**
   * The normalised text as the tokenizers library makes it: of each grapheme of less than six bytes, else of each
   * character, what the shortest entry says.
   */
  normalize(whole: string): string {
    if (PLAIN.test(whole)) {
      return Array.from(whole, char => this.#ascii[char.charCodeAt(0)] ?? char).join('')
    }
    this.#segmenter ??= new Intl.Segmenter('und', { granularity: 'grapheme' })
    let out = ''
    for (const { segment } of this.#segmenter.segment(whole)) {
      const replaced =
        Buffer.byteLength(segment) < LARGE_GRAPHEME ? this.replacement(segment) : undefined
      if (replaced !== undefined) out += replaced
      else for (const char of segment) out += this.replacement(char) ?? char
    }
    return out
  }

  /** Values of the entries that the bytes begin with, and where each ends, the shortest first. */
  *#entries(bytes: Uint8Array, start: number): Generator<[value: number, end: number]> {
    const units = this.#units
    let node = offset(units[0] as number)
    for (let at = start; at < bytes.length; at++) {
      const byte = bytes[at] as number
      if (byte === 0) return
      node ^= byte
      const unit = units[node]
      if (unit === undefined || (unit & LABEL) !== byte) return
      node ^= offset(unit)
      if (unit & HAS_VALUE) {
        const value = units[node]
        if (value !== undefined) yield [value & VALUE, at + 1]
      }
    }
  }

  #text(start: number): string {
    const end = this.#texts.indexOf(0, start)
    return text.decode(this.#texts.subarray(start, end < 0 ? undefined : end))
  }
}

/** ASCII, where every character is a grapheme: all but a carriage return may be. */
const PLAIN = /^[^\r\u0080-\uffff]*$/

/** UTF-8 bytes from which on a grapheme is normalised by its characters. */
const LARGE_GRAPHEME = 6

// Bits of a unit of the double array.
const HAS_VALUE = 0x100
const LABEL = 0x800000ff | 0
const VALUE = 0x7fffffff

/** By how much a unit moves on. */
function offset(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6)
}
