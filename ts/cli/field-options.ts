import { InvalidArgumentError, Option } from 'commander'
import { type Field, flag } from '../base/field.js'

/** '--short-side' for 'shortSide'. */
export function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`
}

/** The flags of an option of the API, of a number or a boolean; name, words and check are its field's. */
export function fieldOptions(name: string, field: Field): Option[] {
  const words = field.text.replace(/^[A-Z](?=[a-z])/, letter => letter.toLowerCase())
  if (field.range === flag.range) {
    return [
      new Option(flagOf(name), words),
      new Option(flagOf(name).replace('--', '--no-'), `no ${flagOf(name).slice(2)}`),
    ]
  }
  const argument = field.range.startsWith('a whole number') ? 'n' : 'x'
  const option = new Option(`${flagOf(name)} <${argument}>`, words)
  return [
    option.argParser(text => {
      const value = text.trim() === '' ? Number.NaN : Number(text)
      if (field.holds(value)) return value
      throw new InvalidArgumentError(`Expected ${field.range}.`)
    }),
  ]
}
