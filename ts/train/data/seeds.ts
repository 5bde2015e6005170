import { createHash } from 'node:crypto'
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'

/** Random numbers that depend on nothing but the key they were made with. */
export interface Random {
  /** A whole number from `low` to `high`, both included. */
  whole(low: number, high: number): number
  /** A number from `low` to below `high`. */
  real(low: number, high: number): number
}

/**
 * A generator for a purpose: the same key always gives the same numbers, so that what is drawn for a
 * sample does not depend on what was drawn before it, and a run that goes on has no state to restore.
 *
 * @param key - what the numbers are for, such as ('augment', seed, epoch, index)
 */
export function randomFor(...key: readonly (string | number)[]): Random {
  const generator = xoroshiro128plus(seedOf(...key))
  return {
    whole: (low, high) => uniformInt(generator, low, high),
    real: (low, high) => low + (high - low) * uniformFloat64(generator),
  }
}

/** 32 bits for a key. */
export function seedOf(...key: readonly (string | number)[]): number {
  return createHash('sha256').update(key.join('\0')).digest().readUInt32LE(0)
}

/** The numbers 0 to n - 1 in random order (Fisher-Yates). */
export function permutation(n: number, random: Random): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i)
  for (let i = n - 1; i > 0; i--) {
    const j = random.whole(0, i)
    const swapped = order[i] as number
    order[i] = order[j] as number
    order[j] = swapped
  }
  return order
}
