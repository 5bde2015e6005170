import { isUtf8 } from 'node:buffer'
import { readFile, stat } from 'node:fs/promises'
import { ioError } from '../base/files.js'
import { DeclipError, describe, invalid } from '../errors.js'

/**
 * Between a class's words, where the rule of {@link parseClasses} is not to be used: ', ' (ITACLIP, SCLIP,
 * NACLIP), '; ' (DeCLIP, ProxyCLIP) or ',' (ClearCLIP).
 */
export type ClassSeparator = ', ' | '; ' | ','

/** A class: 'name' or 'name, synonym, ...', or its words as a list, which are taken as they are. */
export type ClassEntry = string | readonly string[]

/** A definition file's line. */
export interface Definition {
  /** Left of `>=`; only the order of the lines decides which class a text belongs to. */
  readonly name: string
  /** Right of the first `>=`, up to the next one or the end of the line, not trimmed. */
  readonly text: string
}

/** Larger files are not lists of classes; ADE20K's 847 classes take 17 kB. In bytes. */
const MAX_BYTES = 8 * 1024 * 1024

/** Labels are 16-bit numbers at most. */
const MAX_CLASSES = 65_536

/**
 * Splits lines of 'word, synonym, ...' into words.
 *
 * Words are separated by commas or by semicolons, one of the two in the whole list, with or without
 * blanks around them; where there are semicolons, commas belong to the words. A comma between two
 * digits ('1,000 islands') separates nothing. Words are trimmed, which changes no token. Blank lines
 * at the end are ignored; anywhere else a blank line is an error, since the number of a line is the
 * number of its class.
 *
 * @param lines - One entry per class: a text, or its words as a list.
 * @param separator - Exactly this text and nothing else separates.
 * @param source - Named in errors.
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG naming the source and the line, also where some
 *   lines separate by commas and others by semicolons.
 *
 * @example
 * ```ts
 * parseClasses(['cat, feline', 'sofa']) // [['cat', 'feline'], ['sofa']]
 * parseClasses(['cat; feline', 'Washington, DC']) // [['cat', 'feline'], ['Washington, DC']]
 * ```
 */
export function parseClasses(
  lines: readonly ClassEntry[],
  separator?: ClassSeparator,
  source = 'classes',
): string[][] {
  return split(withoutTrailingBlanks(lines), separator, line => `${source}, line ${line}`, source)
}

/**
 * The classes of a caller's list. Unlike in a file, no entry may be blank: results are counted by the
 * places in this list. @internal
 */
export function parseClassList(entries: readonly ClassEntry[]): string[][] {
  return split(entries, undefined, entry => `classes[${entry - 1}]`, 'classes')
}

/** The words of every class; `place` names a class by its number, from 1. */
function split(
  classes: readonly ClassEntry[],
  separator: ClassSeparator | undefined,
  place: (number: number) => string,
  source: string,
): string[][] {
  if (classes.length === 0 || classes.length > MAX_CLASSES) {
    throw problem(source, `there must be 1 to ${MAX_CLASSES} classes, found ${classes.length}`)
  }
  const pattern = separator ? SEPARATORS[separator] : commonSeparator(classes, place)
  return classes.map((entry, i) => {
    if (/[\r\n]/.test(String(entry))) {
      throw problem(place(i + 1), 'a line break in a name; make every line a class of its own')
    }
    const words = (typeof entry === 'string' ? entry.split(pattern) : entry).map(w => w.trim())
    if (words.length < 2 && !words[0]) {
      throw problem(place(i + 1), 'a class needs a name, found a blank; remove it')
    }
    if (words.includes('')) {
      throw problem(
        place(i + 1),
        `a word is missing beside a separator in '${String(entry).trim()}'`,
      )
    }
    return words
  })
}

const SEPARATORS: Readonly<Record<ClassSeparator, RegExp>> = {
  // A separator may also end the line, where the missing word is then reported.
  ', ': /,(?:\s+|$)/,
  '; ': /;(?:\s+|$)/,
  ',': /,/,
}

/** A comma that does not stand inside a number. */
const COMMA = /(?<!\d),|,(?!\d)/

/** What separates words in all of the texts. */
function commonSeparator(
  classes: readonly ClassEntry[],
  place: (number: number) => string,
): RegExp {
  const has = (pattern: RegExp) => (entry: ClassEntry) =>
    typeof entry === 'string' && pattern.test(entry)
  const semicolon = classes.findIndex(has(/;/))
  if (semicolon < 0) return COMMA
  const comma = classes.findIndex(entry => has(COMMA)(entry) && !has(/;/)(entry))
  if (comma < 0) return /;/
  const [one, other] = [comma, semicolon].map(i => `'${String(classes[i]).trim()}'`)
  throw problem(
    place(semicolon + 1),
    `words are separated by a semicolon here (${other}) and by a comma in ${place(comma + 1)} (${one}); separate all by one of the two, and make two classes of two things`,
  )
}

/**
 * Reads a class file: one class per line, its synonyms as {@link parseClasses} separates them. UTF-8, with
 * or without byte order mark, any line ends.
 *
 * @param path - A text file of at most 8 MiB.
 * @param options - `separator`: exactly this text between words, such as '; '.
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG naming file and line, ERR_DECLIP_IO if it
 *   cannot be read.
 *
 * @example
 * ```ts
 * const classes = await readClassFile('cls_voc21.txt')
 * ```
 */
export async function readClassFile(
  path: string,
  options: { separator?: ClassSeparator | undefined } = {},
): Promise<string[][]> {
  if (path === '')
    throw invalid('classes', 'a list of class names or the path of a class file', path)
  const lines = withoutTrailingBlanks(await readLines(path, noClassFile))
  refuseOtherFormats(path, lines)
  return parseClasses(lines, options.separator, path)
}

function noClassFile(path: string, cause: unknown): DeclipError {
  const message = `There is no class file ${describe(path)}. A text is the path of a file with one class per line; names are given as a list, such as ['cat, feline', 'sofa'].`
  return new DeclipError('ERR_DECLIP_IO', message, { cause })
}

/** '0,background', '1: cat' */
const NUMBERED = /^\s*(\d+)\s*[,;:.)=\s]\s*\D/

/** Lists in other forms would become classes with odd names, or one class. */
function refuseOtherFormats(path: string, lines: readonly string[]): void {
  const form = 'a class file has one class per line, its synonyms after commas'
  const find = (pattern: RegExp) => lines.findIndex(line => pattern.test(line)) + 1
  if (/^\s*[[{]/.test(lines[0] ?? '') && isJson(lines.join('\n'))) {
    throw problem(path, `this is JSON; ${form}`)
  }
  const tab = find(/\S\t/)
  if (tab > 0) throw problem(`${path}, line ${tab}`, `a tab, as tables have it; ${form}`)
  const quoted = find(/^\s*"[^"]*"\s*(,|;|$)/)
  if (quoted > 0) throw problem(`${path}, line ${quoted}`, `names stand without quotes; ${form}`)
  const comment = find(/^\s*(#|\/\/)/)
  if (comment > 0) throw problem(`${path}, line ${comment}`, `a comment would be a class; ${form}`)
  const numbers = lines.map(line => Number(NUMBERED.exec(line)?.[1] ?? Number.NaN))
  const rows = Number.isNaN(numbers[0]) ? numbers.slice(1) : numbers // without a table's head
  if (rows.length > 1 && rows.every((number, i) => number === (rows[0] as number) + i)) {
    throw problem(path, `its lines are numbered, which they are without being told; ${form}`)
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/**
 * The command line's form, "cat, feline; sofa; background": classes between semicolons, their words
 * between commas. Returns lines for {@link Model.vocabulary}. One semicolon at the end is ignored.
 *
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG for an empty class or word.
 *
 * @example
 * ```ts
 * parseInlineClasses('cat,feline; sofa') // ['cat, feline', 'sofa']
 * ```
 */
export function parseInlineClasses(text: string): string[] {
  if (/^\s*[[{]/.test(text) && isJson(text)) {
    throw problem('--classes', "this is JSON; write 'cat, feline; sofa'")
  }
  const classes = text.replace(/;\s*$/, '').split(';')
  const place = (number: number) => `--classes, class ${number}`
  return split(classes, undefined, place, '--classes').map(words => words.join(', '))
}

/** What is likely a mistake in a list of classes; null for nothing. @internal */
export function doubtAbout(classes: readonly (readonly string[])[]): string | null {
  const [only, ...others] = classes
  if (only && others.length === 0 && only.length > 1) {
    const also = only.slice(1, 4).map(word => `'${word}'`)
    const more = only.length > 4 ? ', ...' : ''
    return `There is one class only, '${only[0]}' with the synonyms ${also.join(', ')}${more}, so every pixel is of it. Commas and semicolons separate the words of one class; classes are entries of the list, lines of the file, or stand between semicolons after --classes.`
  }
  const odd = classes.flat().find(word => /\||\s\.\s/.test(word))
  if (odd !== undefined) {
    return `'${odd}' is taken for one name: neither '|' nor ' . ' separates. Commas separate the words of one class, and classes are entries of their own.`
  }
  const seen = new Map<string, number>()
  for (const [i, words] of classes.entries()) {
    const key = JSON.stringify([...new Set(words.map(word => word.toLowerCase()))].sort())
    const first = seen.get(key)
    if (first !== undefined) {
      return `Classes ${first} and ${i} (counted from 0) are both '${words[0]}', so the second never gets a pixel; remove one of them.`
    }
    seen.set(key, i)
  }
  return null
}

/**
 * Parses definition or synonym files: `name >=text`, one line per foreground class.
 *
 * @param text - The file's content.
 * @param source - Named in errors.
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG naming the source and the line.
 *
 * @example
 * ```ts
 * parseDefinitions('cat >=a small furry pet.') // [{ name: 'cat', text: 'a small furry pet.' }]
 * ```
 */
export function parseDefinitions(text: string, source = 'definitions'): Definition[] {
  const lines = withoutTrailingBlanks(text.split(/\r?\n/))
  if (lines.length === 0) throw problem(source, "there is no line of the form 'name >=text'")
  return lines.map((line, i) => {
    const [name = '', definition] = line.split('>=')
    if (definition === undefined) {
      throw problem(`${source}, line ${i + 1}`, "expected 'name >=text', found no '>='")
    }
    if (definition.trim() === '')
      throw problem(`${source}, line ${i + 1}`, "expected a text after '>='")
    return { name: name.trim(), text: definition }
  })
}

/**
 * Reads a file of definitions or synonyms, see {@link parseDefinitions}.
 *
 * @param path - A UTF-8 text file of at most 8 MiB.
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG naming file and line, ERR_DECLIP_IO if it
 *   cannot be read.
 *
 * @example
 * ```ts
 * const texts = (await readDefinitionFile('voc21_definitions.txt')).map(line => line.text)
 * ```
 */
export async function readDefinitionFile(path: string): Promise<Definition[]> {
  return parseDefinitions((await readLines(path)).join('\n'), path)
}

/** The lines of a UTF-8 text file without its byte order mark. */
async function readLines(
  path: string,
  absent?: (path: string, cause: unknown) => DeclipError,
): Promise<string[]> {
  const bytes = await readSmallFile(path).catch((error: NodeJS.ErrnoException) => {
    if (error instanceof DeclipError) throw error
    throw error.code === 'ENOENT' && absent ? absent(path, error) : ioError('read', path, error)
  })
  if (!isUtf8(bytes)) {
    // No byte of a longer sequence is a line feed, so every line can be looked at on its own.
    const lines = bytes.toString('latin1').split('\n')
    const first = lines.findIndex(line => !isUtf8(Buffer.from(line, 'latin1')))
    throw problem(`${path}, line ${first + 1}`, 'this is not UTF-8 text; save the file as UTF-8')
  }
  const lines = new TextDecoder().decode(bytes).split(/\r?\n/)
  const binary = lines.findIndex(line => line.includes('\0'))
  if (binary >= 0)
    throw problem(`${path}, line ${binary + 1}`, 'a NUL character; this is not a text file')
  return lines
}

/** Bytes of a regular file; size and kind are checked before anything is read. */
async function readSmallFile(path: string): Promise<Buffer> {
  const found = await stat(path)
  if (!found.isFile()) throw problem(path, 'this is not a file')
  if (found.size > MAX_BYTES) {
    throw problem(path, `class files have at most ${MAX_BYTES} bytes, this has ${found.size}`)
  }
  return readFile(path)
}

function withoutTrailingBlanks<T extends ClassEntry>(lines: readonly T[]): T[] {
  let end = lines.length
  while (end > 0 && String(lines[end - 1]).trim() === '') end--
  return lines.slice(0, end)
}

function problem(place: string, text: string): DeclipError {
  return new DeclipError('ERR_DECLIP_INVALID_ARG', `${place}: ${text}.`)
}
