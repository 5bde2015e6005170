/** Values of released configurations that lie below what a configuration gives. */

/** The fields of an object. */
export type Fields = Readonly<Record<string, unknown>>

export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The fields of `above`, and those of `below` that it does not give. */
export function over(below: Fields, above: Fields): Fields {
  const out: Record<string, unknown> = { ...below }
  for (const [key, value] of Object.entries(above)) {
    if (value === undefined) continue
    const under = out[key]
    out[key] = isFields(under) && isFields(value) ? over(under, value) : value
  }
  return out
}

/**
 * Sentences about fields that a configuration gives and that do not apply to its objective.
 *
 * @param given - as it was written: defaults are no mistake
 * @param others - fields that say nothing to it, with what does
 */
export function notOf(
  given: unknown,
  objective: string,
  others: Readonly<Record<string, string>>,
): string[] {
  if (!isFields(given)) return []
  return Object.entries(others)
    .filter(([field]) => given[field] !== undefined)
    .map(([field, why]) => `${field} is not for objective '${objective}': ${why}.`)
}
