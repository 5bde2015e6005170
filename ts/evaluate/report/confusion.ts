/** What is taken for what: rows of a confusion matrix as shares, and its worst entries. */

/** Counts of what is true, row by row, by what was predicted. */
export interface Confusion {
  /** One per row and column. */
  readonly names: readonly string[]
  /** names.length squared. */
  readonly counts: Float64Array
}

/** A mistake: so much of one class was taken for another. */
export interface ConfusedPair {
  readonly truth: string
  readonly predicted: string
  readonly count: number
  /** Of all that is truly of this class, 0 to 1. */
  readonly share: number
}

/** Name of what is in no class. */
export const OUTSIDE = '(no class)'

/**
 * A matrix with names. One row and column more than there are classes stand for labels outside of them; where nothing
 * is counted there, they are left out.
 */
export function namedConfusion(counts: Float64Array, names: readonly string[]): Confusion {
  const size = Math.round(Math.sqrt(counts.length))
  if (size * size !== counts.length || (size !== names.length && size !== names.length + 1)) {
    throw new RangeError(
      `A confusion matrix of ${names.length} classes has ${names.length} or ${names.length + 1} rows, received ${counts.length} entries.`,
    )
  }
  if (size === names.length) return { names, counts }
  const last = size - 1
  const outside = (i: number) => counts[i * size + last] !== 0 || counts[last * size + i] !== 0
  if (Array.from({ length: size }, (_, i) => i).some(outside))
    return { names: [...names, OUTSIDE], counts }
  const inner = new Float64Array(last * last)
  for (let row = 0; row < last; row++)
    inner.set(counts.subarray(row * size, row * size + last), row * last)
  return { names, counts: inner }
}

/** Rows divided by their sums; a row without counts is NaN. */
export function rowShares({ names, counts }: Confusion): Float64Array {
  const size = names.length
  const shares = new Float64Array(counts.length)
  for (let row = 0; row < size; row++) {
    const line = counts.subarray(row * size, (row + 1) * size)
    const sum = line.reduce((total, value) => total + value, 0)
    for (let column = 0; column < size; column++)
      shares[row * size + column] = sum > 0 ? (line[column] as number) / sum : Number.NaN
  }
  return shares
}

/** The mistakes that take most of their class, largest share first: a class counts as every other in the means. */
export function confusedPairs(confusion: Confusion, limit: number): ConfusedPair[] {
  const { names, counts } = confusion
  const size = names.length
  const shares = rowShares(confusion)
  const wrong: number[] = []
  for (let i = 0; i < counts.length; i++)
    if (Math.floor(i / size) !== i % size && (counts[i] as number) > 0) wrong.push(i)
  const at = (list: Float64Array, i: number) => list[i] as number
  wrong.sort((a, b) => at(shares, b) - at(shares, a) || at(counts, b) - at(counts, a) || a - b)
  return wrong.slice(0, limit).map(i => ({
    truth: names[Math.floor(i / size)] as string,
    predicted: names[i % size] as string,
    count: at(counts, i),
    share: at(shares, i),
  }))
}
