/**
 * Byte-pair encoding of single words, as in CLIP: a word is its UTF-8 bytes, each byte a symbol
 * and the last one a symbol that also ends the word; then the pair that was learned first is
 * joined wherever it stands, until no learned pair is left. Sennrich et al., arXiv:1508.07909.
 */

import { Memo } from './memo.js'

/** What a vocabulary has learned, as ids. */
export interface MergeTable {
  /** Ids of the 256 bytes, then of the 256 bytes that end a word. */
  readonly bytes: Int32Array
  /** The two symbols of every join, in the order in which they were learned: the join's rank. */
  readonly pairs: Uint16Array | Uint32Array
  /** The symbol that each join makes. */
  readonly joined: Int32Array
}

const utf8 = new TextEncoder()

/** Encodes words to the ids of one vocabulary. */
export class BytePairEncoder {
  readonly #table: MergeTable
  readonly #joiner: PairJoiner
  readonly #memo = new Memo<Int32Array>()

  constructor(table: MergeTable) {
    this.#table = table
    this.#joiner = new PairJoiner(table)
  }

  /** Ids of a word that is not empty. */
  encode(word: string): Int32Array {
    return this.#memo.get(word, () => this.#joiner.join(this.#bytes(word)))
  }

  #bytes(word: string): Int32Array {
    const bytes = utf8.encode(word)
    const end = bytes.length - 1
    return Int32Array.from(
      bytes,
      (byte, i) => this.#table.bytes[i === end ? 256 + byte : byte] as number,
    )
  }
}

/** Joins the pairs that a vocabulary has learned. */
export class PairJoiner {
  readonly #joined: Int32Array
  readonly #ranks: PairIndex

  constructor({ pairs, joined }: Pick<MergeTable, 'pairs' | 'joined'>) {
    this.#joined = joined
    this.#ranks = new PairIndex(pairs)
  }

  /**
   * Joins in place: the pair of the lowest rank first and, among equals, the leftmost one. The
   * queue keeps a word of n bytes at O(n log n); pairs that a join has broken up stay in it and
   * are passed over.
   *
   * @param ids - none negative
   */
  join(ids: Int32Array): Int32Array {
    const next = Int32Array.from(ids, (_, i) => i + 1)
    const previous = Int32Array.from(ids, (_, i) => i - 1)
    const rankOf = (i: number) => {
      const right = ids[next[i] as number]
      return right === undefined ? undefined : this.#ranks.find(ids[i] as number, right)
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

/**
 * The rank of a pair of ids: a hash table with open addressing at most half full, of numbers alone,
 * so that fifty thousand pairs cost the event loop a few milliseconds.
 */
class PairIndex {
  readonly #pairs: MergeTable['pairs']
  /** Rank + 1, 0 where free. */
  readonly #slots: Int32Array
  readonly #shift: number

  constructor(pairs: MergeTable['pairs']) {
    const bits = Math.max(4, Math.ceil(Math.log2(pairs.length)))
    this.#pairs = pairs
    this.#slots = new Int32Array(2 ** bits)
    this.#shift = 32 - bits
    for (let rank = 0; 2 * rank < pairs.length; rank++) {
      const slot = this.#slot(pairs[2 * rank] as number, pairs[2 * rank + 1] as number)
      this.#slots[slot] = rank + 1
    }
  }

  find(left: number, right: number): number | undefined {
    const found = this.#slots[this.#slot(left, right)] as number
    return found === 0 ? undefined : found - 1
  }

  /** Where the pair is, or the free place where it belongs. */
  #slot(left: number, right: number): number {
    const pairs = this.#pairs
    const last = this.#slots.length - 1
    // Multiplicative hashing by two odd constants, 2^32 over the golden ratio and MurmurHash3's.
    let slot = (Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b)) >>> this.#shift
    for (; ; slot = (slot + 1) & last) {
      const rank = (this.#slots[slot] as number) - 1
      if (rank < 0 || (pairs[2 * rank] === left && pairs[2 * rank + 1] === right)) return slot
    }
  }
}

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
