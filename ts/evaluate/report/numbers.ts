/** Figures as the report writes them. */

/** What stands where a figure is not defined, as of a class that never occurs. */
export const NONE = '–'

/** A fraction as a percentage, such as 58.29. */
export function percent(value: number | null | undefined, digits = 2): string {
  return value === null || value === undefined || Number.isNaN(value)
    ? NONE
    : (100 * value).toFixed(digits)
}

/** A difference of fractions in points of a percentage, with its sign. */
export function points(value: number): string {
  const text = (100 * value).toFixed(2)
  return value < 0 ? text.replace('-', '−') : `+${text}`
}

/** A whole number with its thousands apart, such as 1,449. */
export function count(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** A share of a whole; small ones keep a digit that counts. */
export function share(part: number, whole: number): string {
  if (whole <= 0) return NONE
  const value = (100 * part) / whole
  if (value > 0 && value < 0.01) return '<0.01'
  return value.toFixed(value < 10 ? 2 : 1)
}
