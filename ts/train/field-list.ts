import * as v from 'valibot'
import { entriesOf } from './config.js'
import { trainConfig } from './config-fields.js'

/** A field of a configuration as people read it. */
export interface FieldInfo {
  /** With the objects that it is in: 'schedule.rate'. */
  readonly name: string
  /** As JSON; '' where there is none, 'required' where one has to be given. */
  readonly value: string
  /** What it may be, such as 'a whole number from 1'; '' for an object. */
  readonly range: string
  /** What it is, and its source. */
  readonly text: string
}

/** Every field of a training configuration, in the order of the schema. */
export function fieldList(schema: unknown = trainConfig, prefix = ''): FieldInfo[] {
  return Object.entries(entriesOf(schema) ?? {}).flatMap(([key, entry]) => {
    const {
      type,
      wrapped,
      default: value,
    } = entry as {
      type: string
      wrapped?: v.GenericSchema
      default?: unknown
    }
    const inner = wrapped ?? (entry as v.GenericSchema)
    const name = prefix + key
    const nested = entriesOf(inner) ? fieldList(inner, `${name}.`) : []
    const text = v.getDescription(inner) ?? ''
    const shown = nested.length > 0 || value === undefined ? '' : JSON.stringify(value)
    const range = nested.length > 0 ? '' : rangeOf(inner)
    return [{ name, value: type === 'optional' ? shown : 'required', range, text }, ...nested]
  })
}

interface Parts {
  readonly type: string
  readonly pipe?: readonly Parts[]
  readonly options?: readonly (string | Parts)[]
  readonly item?: Parts
  readonly kind?: string
  readonly message?: string
}

/** In the words of the schema's own messages. */
function rangeOf(schema: unknown): string {
  const { type, options = [], item } = schema as Parts
  const rules = validations(schema as Parts)
  const words = rules.map(rule => rule?.replace(/^must (be|have|name) /, '') ?? '').join('; ')
  if (type === 'picklist') return options.join(', ')
  if (type === 'union') return options.map(rangeOf).join(', or ')
  if (type === 'boolean') return 'true or false'
  if (type === 'string') return words === 'must not be empty' || words === '' ? 'a text' : words
  if (type === 'array') return [`a list, each ${rangeOf(item)}`, words].filter(Boolean).join('; ')
  return words === '' ? `a ${type}` : words
}

/** Messages of a schema's checks, those of the schemas it is built on included. */
function validations({ pipe = [] }: Parts): (string | undefined)[] {
  return pipe.flatMap(part => {
    if (part.kind === 'schema') return validations(part)
    return part.kind === 'validation' ? [part.message] : []
  })
}
