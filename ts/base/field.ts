import { invalid } from '../errors.js'

/** One option: what it is, what it may be, and what stands where it is left out. @internal */
export interface Field<T = unknown> {
  /** A sentence without its full stop: what it is, in which unit. */
  readonly text: string
  /** What a value must be, as messages and tables say it. */
  readonly range: string
  readonly holds: (value: unknown) => value is T
  /** What stands where it is left out, as tables say it; '' where nothing does. */
  readonly default: string
}

/** Fields by the name of their option. @internal */
export type Fields = Readonly<Record<string, Field>>

/** The options that fields describe. @internal */
export type OptionsOf<F extends Fields> = {
  [K in keyof F]?: (F[K] extends Field<infer T> ? T : never) | undefined
}

/** A kind of value. @internal */
export type Kind<T> = Pick<Field<T>, 'range' | 'holds'>

/** @internal */
export function kind<T>(range: string, holds: (value: unknown) => boolean): Kind<T> {
  return { range, holds: holds as Field<T>['holds'] }
}

/** @internal */
export const flag: Kind<boolean> = kind('true or false', value => typeof value === 'boolean')

/** @internal */
export const oneOf = <const T extends readonly string[]>(names: T): Kind<T[number]> =>
  kind(`one of ${names.join(', ')}`, value => names.some(name => name === value))

/** @internal */
export const whole = (min: number, max = Number.MAX_SAFE_INTEGER): Kind<number> =>
  kind(
    max === Number.MAX_SAFE_INTEGER
      ? `a whole number of at least ${min}`
      : `a whole number, ${min} to ${max}`,
    value => Number.isInteger(value) && (value as number) >= min && (value as number) <= max,
  )

/** @internal */
export const fraction: Kind<number> = kind(
  'a number from 0 to 1',
  value => typeof value === 'number' && value >= 0 && value <= 1,
)

/** @internal */
export const positive: Kind<number> = kind(
  'a finite number above 0',
  value => typeof value === 'number' && value > 0 && value < Number.POSITIVE_INFINITY,
)

/** @internal */
export const finite: Kind<number> = kind('a finite number', value => Number.isFinite(value))

/** @internal */
export const listOf = <T>(item: Kind<T>): Kind<readonly T[]> =>
  kind(
    `a list with at least one item, each ${item.range}`,
    value => Array.isArray(value) && value.length > 0 && value.every(one => item.holds(one)),
  )

/** @internal */
export const span = (min: number): Kind<readonly [first: number, last: number]> =>
  kind(
    `[first, last], whole numbers of at least ${min}, first <= last`,
    value =>
      Array.isArray(value) &&
      value.length === 2 &&
      value.every(one => Number.isInteger(one) && one >= min) &&
      value[0] <= value[1],
  )

/** @internal */
export const field = <T>(of: Kind<T>, text: string, standard = ''): Field<T> => ({
  ...of,
  text,
  default: standard,
})

/**
 * Checks every option that a field describes and the caller gave.
 *
 * @param prefix - in front of the names: 'pamr.'
 * @throws DeclipError ERR_DECLIP_INVALID_ARG
 * @internal
 */
export function checkFields(options: object, fields: Fields, prefix = ''): void {
  for (const [name, { range, holds }] of Object.entries(fields)) {
    const value = (options as Record<string, unknown>)[name]
    if (value !== undefined && !holds(value)) throw invalid(prefix + name, range, value)
  }
}
