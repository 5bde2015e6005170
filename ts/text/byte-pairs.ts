/**
 * Byte-pair encoding of single words, as in CLIP: a word is its UTF-8 bytes, each byte a symbol
 * and the last one a symbol that also ends the word; then the pair that was learned first is
 * joined wherever it stands, until no learned pair is left. Sennrich et al., arXiv:1508.07909.
 */

import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { assetPath } from '../base/package-files.js'
import { DeclipError } from '../errors.js'

const END_OF_WORD = '</w>'

/** Names of the bytes 0..255 in vocabulary files: printable Latin-1 as is, the rest from U+0100. */
const BYTE_NAMES: readonly string[] = (() => {
  let unprintable = 0
  return Array.from({ length: 256 }, (_, byte) => {
    const printable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad)
    return String.fromCharCode(printable ? byte : 0x100 + unprintable++)
  })
})()

/** A learned join of two symbols, by name. */
export type Merge = readonly [left: string, right: string]

/** Longest word kept, in UTF-16 units, and how many of them. */
const MEMO_LENGTH = 64
const MEMO_SIZE = 16384

const utf8 = new TextEncoder()

/** Encodes words to the ids of one vocabulary. */
export class BytePairEncoder {
  /** Ids of the 256 bytes, then of the 256 bytes that end a word. */
  readonly #byteIds: Int32Array
  /** `left * #base + right` to the pair's rank, 0 for the one learned first. */
  readonly #ranks = new Map<number, number>()
  /** Rank to the id of the joined symbol. */
  readonly #joined: Int32Array
  /** Above every id. */
  #base = 1
  readonly #memo = new Map<string, Int32Array>()

  /**
   * @param ids - id of every symbol by name
   * @param merges - in the order in which they were learned
   * @throws Error naming the symbol that `ids` lacks and what needs it
   */
  constructor(ids: ReadonlyMap<string, number>, merges: readonly Merge[]) {
    const idOf = (symbol: string, user: string) => {
      const id = ids.get(symbol)
      if (id === undefined) throw new Error(`${user} needs the symbol '${symbol}', which has no id`)
      return id
    }
    const byteSymbols = [...BYTE_NAMES, ...BYTE_NAMES.map(endOfWord)]
    this.#byteIds = Int32Array.from(byteSymbols, symbol => idOf(symbol, 'a byte'))
    this.#joined = new Int32Array(merges.length)
    for (const id of ids.values()) this.#base = Math.max(this.#base, id + 1)
    for (const [rank, [left, right]] of merges.entries()) {
      const user = `merge ${rank + 1}`
      this.#joined[rank] = idOf(left + right, user)
      this.#ranks.set(idOf(left, user) * this.#base + idOf(right, user), rank)
    }
  }

  /** Ids of a word that is not empty. */
  encode(word: string): Int32Array {
    const known = this.#memo.get(word)
    if (known !== undefined) return known
    const ids = this.#join(this.#bytes(word))
    if (word.length <= MEMO_LENGTH) {
      if (this.#memo.size >= MEMO_SIZE) this.#memo.clear()
      this.#memo.set(word, ids)
    }
    return ids
  }

  #bytes(word: string): Int32Array {
    const bytes = utf8.encode(word)
    const end = bytes.length - 1
    return Int32Array.from(
      bytes,
      (byte, i) => this.#byteIds[i === end ? 256 + byte : byte] as number,
    )
  }

  /**
   * Joins in place: the pair of the lowest rank first and, among equals, the leftmost one. The
   * queue keeps a word of n bytes at O(n log n); pairs that a join has broken up stay in it and
   * are passed over.
   */
  #join(ids: Int32Array): Int32Array {
    const next = Int32Array.from(ids, (_, i) => i + 1)
    const previous = Int32Array.from(ids, (_, i) => i - 1)
    const rankOf = (i: number) => {
      const right = ids[next[i] as number]
      return right === undefined
        ? undefined
        : this.#ranks.get((ids[i] as number) * this.#base + right)
    }
    const queue = new NumberQueue()
    const enqueue = (i: number) => {
      const rank = rankOf(i)
      if (rank !== undefined) queue.push(rank * ids.length + i)
    }
    for (let i = 0; i < ids.length; i++) enqueue(i)
    for (let entry = queue.pop(); entry !== undefined; entry = queue.pop()) {
      const left = entry % ids.length
      const rank = (entry - left) / ids.length
      if (ids[left] === GONE || rankOf(left) !== rank) continue
      const right = next[left] as number
      ids[left] = this.#joined[rank] as number
      ids[right] = GONE
      const after = next[right] as number
      next[left] = after
      if (after < ids.length) previous[after] = left
      enqueue(left)
      if (left > 0) enqueue(previous[left] as number)
    }
    return ids.filter(id => id !== GONE)
  }
}

/** Marks the place of a symbol that was joined to the one before it. */
const GONE = -1

/** Numbers, the smallest first: a binary heap. */
class NumberQueue {
  readonly #heap: number[] = []

  push(value: number): void {
    const heap = this.#heap
    let i = heap.push(value) - 1
    for (; i > 0; ) {
      const parent = (i - 1) >> 1
      const above = heap[parent] as number
      if (above <= value) break
      heap[i] = above
      i = parent
    }
    heap[i] = value
  }

  pop(): number | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return first
    let i = 0
    for (let child = 1; child < heap.length; child = 2 * i + 1) {
      if (child + 1 < heap.length && (heap[child + 1] as number) < (heap[child] as number)) child++
      const below = heap[child] as number
      if (below >= last) break
      heap[i] = below
      i = child
    }
    heap[i] = last
    return first
  }
}

function endOfWord(symbol: string): string {
  return symbol + END_OF_WORD
}

/**
 * Symbols of CLIP's vocabulary in the order of their ids, from 0: bytes, bytes that end a word,
 * joined pairs. The special tokens follow.
 */
export function clipSymbols(merges: readonly Merge[]): readonly string[] {
  // Bytes that print come first, in both groups.
  const bytes = [...BYTE_NAMES].sort((a, b) => Number(a >= '\u0100') - Number(b >= '\u0100'))
  return [...bytes, ...bytes.map(endOfWord), ...merges.map(pair => pair.join(''))]
}

/** Reads merges, one to a line after an optional `#version` line. */
export function parseMerges(text: string): Merge[] {
  const lines = text.split(/\r?\n/)
  const merges: Merge[] = []
  for (const [i, line] of lines.entries()) {
    if (line === '' || (i === 0 && line.startsWith('#version'))) continue
    const space = line.indexOf(' ')
    if (space <= 0 || space !== line.lastIndexOf(' ') || space === line.length - 1) {
      throw new Error(`line ${i + 1} must be two symbols with a space between, found '${line}'`)
    }
    merges.push([line.slice(0, space), line.slice(space + 1)])
  }
  return merges
}

/**
 * The 48,894 merges of CLIP's own vocabulary.
 *
 * @throws DeclipError ERR_DECLIP_IO if the package's file is missing or damaged
 */
export function clipMerges(): Merge[] {
  const path = assetPath('clip-merges.txt.gz')
  try {
    return parseMerges(gunzipSync(readFileSync(path)).toString('utf8'))
  } catch (cause) {
    throw new DeclipError(
      'ERR_DECLIP_IO',
      `Expected the tokenizer's merges in ${path}, but the file cannot be read ` +
        `(${(cause as Error).message}). Install declip-native again; a bundler must keep it external.`,
      { cause },
    )
  }
}
