import { InvalidArgumentError, Option } from 'commander'
import { type Field, type Fields, flag, type OptionsOf } from '../base/field.js'

/** '--short-side' for 'shortSide'. */
export function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`
}

/** The flags of an option of the API, of a number, a boolean or two numbers; name, words and check are its field's. */
export function fieldOptions(name: string, field: Field): Option[] {
  const words = field.text.replace(/^[A-Z](?=[a-z])/, letter => letter.toLowerCase())
  if (field.range === flag.range) {
    return [
      new Option(flagOf(name), words),
      new Option(flagOf(name).replace('--', '--no-'), `no ${flagOf(name).slice(2)}`),
    ]
  }
  if (field.range.startsWith('[first, last]')) {
    return [
      new Option(`${flagOf(name)} <first,last>`, words).argParser(text => {
        const value = text.split(',').map(one => (one.trim() === '' ? Number.NaN : Number(one)))
        if (field.holds(value)) return value
        throw new InvalidArgumentError(`Expected first,last: ${field.range}.`)
      }),
    ]
  }
  if (field.range.startsWith('one of ')) {
    const names = field.range.slice('one of '.length).split(', ')
    return [new Option(`${flagOf(name)} <name>`, words).choices(names)]
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

/** 'scclipMiddleBlock' for 'middleBlock' of 'scclip'. */
const memberOf = (option: string, name: string): string =>
  option + name[0]?.toUpperCase() + name.slice(1)

/** The flags of the members of an option that is an object: --scclip-middle-block of scclip.middleBlock. */
export function memberOptions(option: string, fields: Fields): Option[] {
  return Object.entries(fields).flatMap(([name, field]) =>
    fieldOptions(memberOf(option, name), field),
  )
}

/** That option, of the flags that commander gives; undefined where none of them is given. */
export function memberValues<F extends Fields>(
  option: string,
  fields: F,
  flags: object,
): OptionsOf<F> | undefined {
  const given = Object.keys(fields)
    .map(name => [name, (flags as Record<string, unknown>)[memberOf(option, name)]] as const)
    .filter(([, value]) => value !== undefined)
  return given.length === 0 ? undefined : (Object.fromEntries(given) as OptionsOf<F>)
}
