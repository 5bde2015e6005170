/** part / whole; null where there is nothing to share, which NumPy calls NaN. @internal */
export const ratio = (part: number, whole: number): number | null =>
  whole === 0 ? null : part / whole

/** Mean over the values that are there; null where none is. @internal */
export function meanOf(values: Iterable<number | null>): number | null {
  let sum = 0
  let count = 0
  for (const value of values) {
    if (value === null) continue
    sum += value
    count += 1
  }
  return ratio(sum, count)
}
