/** What the values in label files mean. */
import { eachLine } from '../../base/event-loop.js'
import { DeclipError } from '../../errors.js'
import type { LabelMap } from '../../image/label-map.js'
import type { SemanticTruth } from './dataset.js'

/** Stands for values that a set does not have. */
export const UNKNOWN = -1
/** Stands for pixels that are not counted. */
export const IGNORED = -2

/** Labels of the values in a set's files. */
export interface LabelTable {
  /** Number of classes. */
  readonly classes: number
  /** A class, {@link IGNORED} or {@link UNKNOWN}. `wide`: of a file with 16 bits. */
  readonly of: (value: number, wide: boolean) => number
  /** The values that there are, for messages. */
  readonly values: string
}

/** Values 0 to C-1 are the labels; the largest one that a pixel can have, and 255 if that is no class, is ignored. */
export function plainTable(classes: number): LabelTable {
  return {
    classes,
    of: (value, wide) => {
      if (value === (wide ? 65535 : 255) || (value === 255 && classes <= 255)) return IGNORED
      return value < classes ? value : UNKNOWN
    },
    values: `0 to ${classes - 1}, and ${classes > 255 ? '65535 of 16 bits' : '255'} for what is not counted`,
  }
}

/** mmsegmentation's reduce_zero_label: 0 is ignored, every other value is one less. */
export function reduced(table: LabelTable): LabelTable {
  return {
    classes: table.classes - 1,
    of: (value, wide) => {
      const label = table.of(value, wide)
      if (label === 0) return IGNORED
      return label > 0 ? label - 1 : label
    },
    values: table.values,
  }
}

/**
 * Labels of a decoded label file.
 *
 * @param name - of the file, for messages
 * @throws DeclipError ERR_DECLIP_INVALID_ARG for values that the table does not have
 */
export async function toLabels(
  { width, height, data }: LabelMap,
  table: LabelTable,
  name: string,
): Promise<SemanticTruth> {
  const lookup = lookupOf(table, data instanceof Uint16Array)
  const wide = table.classes > 255
  const isReused = data instanceof Uint16Array === wide
  const labels = isReused ? data : wide ? new Uint16Array(data.length) : new Uint8Array(data.length)
  const unknown = new Map<number, { count: number; first: number }>()
  const note = (value: number, at: number) => {
    const known = unknown.get(value)
    if (known) known.count++
    else unknown.set(value, { count: 1, first: at })
  }
  await eachLine(height, width, y => {
    const end = (y + 1) * width
    for (let i = y * width; i < end; i++) {
      const value = data[i] as number
      const label = lookup[value] as number
      if (label < 0) note(value, i)
      else labels[i] = label
    }
  })
  if (unknown.size > 0) throw unknownLabels(name, width, unknown, table)
  return { width, height, labels }
}

const lookups = new WeakMap<LabelTable, { narrow?: Int32Array; wide?: Int32Array }>()

/** A label for every value that a file can have; ignored ones have the largest, unknown ones {@link UNKNOWN}. */
function lookupOf(table: LabelTable, wide: boolean): Int32Array {
  const made = lookups.get(table) ?? {}
  lookups.set(table, made)
  const width = wide ? 'wide' : 'narrow'
  const ready = made[width]
  if (ready) return ready
  const ignored = table.classes > 255 ? 65535 : 255
  const lookup = Int32Array.from({ length: wide ? 65536 : 256 }, (_, value) => {
    const label = table.of(value, wide)
    return label === IGNORED ? ignored : label
  })
  made[width] = lookup
  return lookup
}

function unknownLabels(
  name: string,
  width: number,
  unknown: ReadonlyMap<number, { count: number; first: number }>,
  table: LabelTable,
): DeclipError {
  const values = [...unknown].sort(([a], [b]) => a - b)
  const [value, { count, first }] = values[0] as (typeof values)[0]
  const place = `x ${first % width}, y ${Math.floor(first / width)}`
  const others = values.slice(1).map(([value]) => value)
  const more = others.length > 0 ? `; so are ${others.slice(0, 8).join(', ')}` : ''
  return new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `${name}: the label ${value} of ${count} ${count === 1 ? 'pixel' : 'pixels'} (the first at ${place}) is none of the data set's ${table.classes} classes (the file may have ${table.values})${more}. Check that the file belongs to this data set and its classes.`,
  )
}
