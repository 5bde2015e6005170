import { isUtf8 } from 'node:buffer'
import { readFile, stat } from 'node:fs/promises'
import { DeclipError, invalid } from '../errors.js'

/** Between a class's words: ITACLIP, SCLIP and NACLIP, then ProxyCLIP, then ClearCLIP. */
export type ClassSeparator = ', ' | '; ' | ','

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
 * Words are trimmed, which changes no token. Blank lines at the end are ignored; anywhere else a
 * blank line is an error, since the number of a line is the number of its class.
 *
 * @param lines - One entry per class.
 * @param separator - Default ', ' or, when any line has a semicolon, '; '.
 * @param source - Named in errors.
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG naming the source and the line.
 *
 * @example
 * ```ts
 * parseClasses(['cat, feline', 'sofa']) // [['cat', 'feline'], ['sofa']]
 * ```
 */
export function parseClasses(
  lines: readonly string[],
  separator?: ClassSeparator,
  source = 'classes',
): string[][] {
  const classes = withoutTrailingBlanks(lines)
  if (classes.length === 0 || classes.length > MAX_CLASSES) {
    throw at(source, 0, `there must be 1 to ${MAX_CLASSES} classes, found ${classes.length}`)
  }
  const pattern = SPLITTERS[separator ?? (classes.some(line => line.includes(';')) ? '; ' : ', ')]
  return classes.map((line, i) => {
    const words = line.split(pattern).map(word => word.trim())
    if (words.length === 1 && words[0] === '') {
      throw at(source, i + 1, 'a class needs a name, found a blank line; remove it')
    }
    if (words.includes('')) {
      throw at(source, i + 1, `a word is missing beside a separator in '${line.trim()}'`)
    }
    return words
  })
}

const SPLITTERS: Readonly<Record<ClassSeparator, RegExp>> = {
  // A separator may also end the line, where the missing word is then reported.
  ', ': /,(?:\s+|$)/,
  '; ': /;(?:\s+|$)/,
  ',': /,/,
}

/**
 * Reads a class file: one class per line, its synonyms after ", " (ITACLIP, SCLIP, NACLIP), "; "
 * (ProxyCLIP) or "," (ClearCLIP). UTF-8, with or without byte order mark, any line ends.
 *
 * @param path - A text file of at most 8 MiB.
 * @param options - `separator`: default ', ' or, when any line has a semicolon, '; '.
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
  return parseClasses(await readLines(path), options.separator, path)
}

/**
 * The command line's form, "cat, feline; sofa; background": classes between semicolons, their words
 * between commas. Returns lines for {@link Model.vocabulary}. A semicolon at the end is ignored.
 *
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG for an empty class or word.
 *
 * @example
 * ```ts
 * parseInlineClasses('cat,feline; sofa') // ['cat, feline', 'sofa']
 * ```
 */
export function parseInlineClasses(text: string): string[] {
  return parseClasses(text.split(';'), ',', '--classes').map(words => words.join(', '))
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
  if (lines.length === 0) throw at(source, 0, "there is no line of the form 'name >=text'")
  return lines.map((line, i) => {
    const [name = '', definition] = line.split('>=')
    if (definition === undefined) {
      throw at(source, i + 1, "expected 'name >=text', found no '>='")
    }
    if (definition.trim() === '') throw at(source, i + 1, "expected a text after '>='")
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
async function readLines(path: string): Promise<string[]> {
  const bytes = await readSmallFile(path)
  if (!isUtf8(bytes)) {
    // No byte of a longer sequence is a line feed, so every line can be looked at on its own.
    const lines = bytes.toString('latin1').split('\n')
    const first = lines.findIndex(line => !isUtf8(Buffer.from(line, 'latin1')))
    throw at(path, first + 1, 'this is not UTF-8 text; save the file as UTF-8')
  }
  const lines = new TextDecoder().decode(bytes).split(/\r?\n/)
  const binary = lines.findIndex(line => line.includes('\0'))
  if (binary >= 0) throw at(path, binary + 1, 'a NUL character; this is not a text file')
  return lines
}

/** Bytes of a regular file; size and kind are checked before anything is read. */
async function readSmallFile(path: string): Promise<Buffer> {
  try {
    const found = await stat(path)
    if (!found.isFile()) throw at(path, 0, 'this is not a file')
    if (found.size > MAX_BYTES) {
      throw at(path, 0, `class files have at most ${MAX_BYTES} bytes, this has ${found.size}`)
    }
    return await readFile(path)
  } catch (error) {
    if (error instanceof DeclipError) throw error
    const reason = (error as Error).message
    throw new DeclipError('ERR_DECLIP_IO', `Cannot read ${path}: ${reason}.`, { cause: error })
  }
}

function withoutTrailingBlanks(lines: readonly string[]): string[] {
  let end = lines.length
  while (end > 0 && lines[end - 1]?.trim() === '') end--
  return lines.slice(0, end)
}

/** An error at a line, counted from 1; 0 for the whole source. */
function at(source: string, line: number, problem: string): DeclipError {
  const place = line > 0 ? `${source}, line ${line}` : source
  return new DeclipError('ERR_DECLIP_INVALID_ARG', `${place}: ${problem}.`)
}
