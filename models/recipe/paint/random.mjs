/** Random numbers that are a function of a seed and of what they are for. */

/**
 * Small Fast Counter generator (sfc32, from PractRand), seeded through SplitMix32 steps.
 *
 * @param {...(number | string)} keys
 */
export function random(...keys) {
  let [a, b, c, d] = [0x9e3779b9, 0x243f6a88, 0xb7e15162, 1]
  for (const char of keys.join('/')) {
    a = Math.imul(a ^ (char.codePointAt(0) ?? 0), 0x85ebca6b)
    b = Math.imul(b + (a ^ (a >>> 15)), 0xc2b2ae35)
    c = (c ^ (b >>> 13)) | 0
  }
  const next = () => {
    const t = (((a + b) | 0) + d) | 0
    d = (d + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + t
    c |= 0
    return (t >>> 0) / 4294967296
  }
  for (let i = 0; i < 15; i++) next()
  return {
    /** Uniform in [0, 1). */
    next,
    /** Uniform in [low, high). */
    uniform: (/** @type {number} */ low, /** @type {number} */ high) => low + (high - low) * next(),
    /** Whole number in [low, high]. */
    int: (/** @type {number} */ low, /** @type {number} */ high) =>
      low + Math.floor(next() * (high - low + 1)),
    chance: (/** @type {number} */ p) => next() < p,
    /** @template T @param {readonly T[]} list @returns {T} */
    pick: list => /** @type {T} */ (list[Math.floor(next() * list.length)]),
    /** An index, in proportion to weights. @param {readonly number[]} weights */
    weighted: weights => {
      let left = next() * weights.reduce((sum, weight) => sum + weight, 0)
      return Math.max(
        0,
        weights.findIndex(weight => {
          left -= weight
          return left < 0
        }),
      )
    },
    /** A permutation of 0 ... n - 1. */
    shuffled: (/** @type {number} */ n) => {
      const order = Array.from({ length: n }, (_, i) => i)
      for (let i = n - 1; i > 0; i--) {
        const j = Math.floor(next() * (i + 1))
        ;[order[i], order[j]] = [order[j] ?? 0, order[i] ?? 0]
      }
      return order
    },
  }
}

/** @typedef {ReturnType<typeof random>} Random */
