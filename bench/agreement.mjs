/** How far two programs' answers to the same task agree. */
import { check } from './measure.mjs'

const ELEMENTS = {
  cosine: Float32Array,
  relative: Float32Array,
  difference: Float32Array,
  equal: Uint8Array,
  objects: Float32Array,
}

/** Numbers of an answer that is compared by `measure`. */
export const elementsFor = measure => ELEMENTS[measure]

const MEASURES = {
  /** Smallest cosine between rows of `width` numbers. */
  cosine(a, b, width) {
    let smallest = 1
    for (let start = 0; start < a.length; start += width) {
      let [ab, aa, bb] = [0, 0, 0]
      for (let i = start; i < start + width; i++) {
        ab += a[i] * b[i]
        aa += a[i] * a[i]
        bb += b[i] * b[i]
      }
      smallest = Math.min(smallest, ab / Math.sqrt(aa * bb))
    }
    return smallest
  },

  /** 1 less the largest difference, so that as for the others more is better. */
  difference(a, b) {
    let largest = 0
    for (let i = 0; i < a.length; i++) {
      const off = Math.abs(a[i] - b[i])
      if (!(off <= largest)) largest = off // NaN stays
    }
    return 1 - largest
  },

  /** 1 less the largest difference as a share of the first program's number. */
  relative(a, b) {
    let largest = 0
    for (let i = 0; i < a.length; i++) {
      const off = Math.abs(a[i] - b[i]) / Math.abs(a[i])
      if (!(off <= largest)) largest = off // NaN stays
    }
    return 1 - largest
  },

  /**
   * Share of the first program's objects of which the second has one of the same label with an IoU of at least 0.9
   * and a score within a tenth. Rows are x1, y1, x2, y2, score, label; scores of 0 are no objects.
   */
  objects(a, b, width) {
    const rows = values =>
      Array.from({ length: values.length / width }, (_, i) =>
        values.subarray(i * width, (i + 1) * width),
      ).filter(row => row[4] > 0)
    const [ours, theirs] = [rows(a), rows(b)]
    const alike = (one, other) =>
      one[5] === other[5] &&
      Math.abs(one[4] - other[4]) <= 0.1 * one[4] &&
      overlap(one, other) >= 0.9
    return ours.filter(one => theirs.some(other => alike(one, other))).length / ours.length
  },

  /** Share of equal numbers. */
  equal(a, b) {
    let equal = 0
    for (let i = 0; i < a.length; i++) if (a[i] === b[i]) equal++
    return equal / a.length
  },
}

function overlap([a1, b1, c1, d1], [a2, b2, c2, d2]) {
  const shared =
    Math.max(0, Math.min(c1, c2) - Math.max(a1, a2)) *
    Math.max(0, Math.min(d1, d2) - Math.max(b1, b2))
  return shared / ((c1 - a1) * (d1 - b1) + (c2 - a2) * (d2 - b2) - shared)
}

/** Throws for labels that say nothing, as everything would agree with them. */
export function checkTelling(measure, answer) {
  if (measure !== 'equal') return
  const [first] = answer
  check(
    answer.some(value => value !== first),
    'every pixel has the same label',
  )
}

/** 1 for the same answer; NaN if they have different sizes. */
export function agreement(measure, a, b, width) {
  return a.length === b.length ? MEASURES[measure](a, b, width) : Number.NaN
}
