/**
 * Large JSON files that are an object with lists in it, as COCO's and LVIS's annotations are: read item by item, with
 * turns of the event loop in between, which JSON.parse() of hundreds of megabytes would hold for seconds.
 */

import { open, readFile, stat } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { aborted, DeclipError } from '../errors.js'
import { ioError } from './files.js'
import {
  BACKSLASH,
  CLOSE_LIST,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  OPEN_LIST,
  OPEN_OBJECT,
  QUOTE,
} from './json-bytes.js'
import { jsonFault } from './json-fault.js'
import { parsePythonJson } from './python-json.js'

/** An item of a list. @internal */
export interface JsonItem {
  readonly value: unknown
  /** In its list, from 0. */
  readonly index: number
  /** Where it stands in the file, in bytes. */
  readonly range: JsonRange
}

/** @internal */
export interface JsonRange {
  readonly start: number
  readonly end: number
}

/** A file that was read, to come back to some of its items. @internal */
export interface JsonFile {
  readonly path: string
  /** Names of all its lists and other members. */
  readonly members: ReadonlySet<string>
  /**
   * Items by their ranges, from the disk again.
   *
   * @throws DeclipError ERR_DECLIP_IO, also where the file was changed since
   */
  readonly read: (ranges: readonly JsonRange[]) => Promise<unknown[]>
}

/** Text that is parsed at a time, in bytes: about a millisecond. */
const BATCH_BYTES = 1 << 16
const TURN_MS = 5
/** What is shown of what was not expected, in characters. */
const SHOWN = 12

/**
 * Reads a file and shows every item of the lists that are asked for, in the file's order. NaN and Infinity, which
 * Python's json module writes and JSON does not have, come as texts: 'NaN', 'Infinity', '-Infinity'.
 *
 * @param visit - by the name of the list
 * @throws DeclipError ERR_DECLIP_IO naming line and column of what is no JSON, ERR_DECLIP_ABORTED
 * @internal
 */
export async function readJsonLists(
  path: string,
  visit: Readonly<Record<string, (item: JsonItem) => void>>,
  signal?: AbortSignal,
): Promise<JsonFile> {
  let bytes: Buffer
  try {
    bytes = await readFile(path, { signal })
  } catch (error) {
    throw signal?.aborted ? aborted(signal) : ioError('read', path, error)
  }
  const stamp = await stampOf(path)
  const members = await new Reader(path, bytes, visit, signal).run()
  return {
    path,
    members,
    read: async ranges => {
      if ((await stampOf(path)) !== stamp) {
        throw new DeclipError(
          'ERR_DECLIP_IO',
          `${path} was changed while it was in use; run it again, and leave the file as it is meanwhile.`,
        )
      }
      return readRanges(path, ranges)
    },
  }
}

async function stampOf(path: string): Promise<string> {
  try {
    const { size, mtimeNs, ino } = await stat(path, { bigint: true })
    return `${size} ${mtimeNs} ${ino}`
  } catch (error) {
    throw ioError('read', path, error)
  }
}

async function readRanges(path: string, ranges: readonly JsonRange[]): Promise<unknown[]> {
  if (ranges.length === 0) return []
  try {
    const file = await open(path)
    try {
      const values: unknown[] = []
      for (const { start, end } of ranges) {
        const bytes = Buffer.allocUnsafe(end - start)
        await file.read(bytes, 0, bytes.length, start)
        values.push(parse(bytes.toString()))
      }
      return values
    } finally {
      await file.close()
    }
  } catch (error) {
    throw ioError('read', path, error)
  }
}

/** Numbers that JSON does not have as texts. @throws SyntaxError */
const parse = (text: string) => parsePythonJson(text, number => number)

class Reader {
  readonly #path: string
  readonly #bytes: Buffer
  readonly #visit: Readonly<Record<string, (item: JsonItem) => void>>
  readonly #signal: AbortSignal | undefined
  readonly #members = new Set<string>()
  #at = 0
  #turn = performance.now()

  constructor(
    path: string,
    bytes: Buffer,
    visit: Readonly<Record<string, (item: JsonItem) => void>>,
    signal: AbortSignal | undefined,
  ) {
    this.#path = path
    this.#bytes = bytes
    this.#visit = visit
    this.#signal = signal
  }

  async run(): Promise<Set<string>> {
    const bytes = this.#bytes
    if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) this.#at = 3
    if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) {
      throw this.#error(0, 'it is UTF-16 text; save it as UTF-8')
    }
    if (bytes.length === 0) throw this.#error(0, 'the file is empty')
    this.#expect(OPEN_OBJECT, 'an object with lists')
    if (this.#next() === CLOSE_OBJECT) this.#at++
    else {
      for (;;) {
        await this.#member()
        if (this.#next() === COMMA) {
          this.#at++
          continue
        }
        this.#expect(CLOSE_OBJECT, "',' or '}' after a member")
        break
      }
    }
    if (this.#next() !== undefined)
      throw this.#error(this.#at, 'text follows the end of the object')
    return this.#members
  }

  async #member(): Promise<void> {
    if (this.#next() !== QUOTE) throw this.#unexpected('the name of a member')
    const start = this.#at
    const name = this.#parse(start, this.#skip())
    this.#expect(COLON, "':' after the name of a member")
    if (this.#members.has(name as string)) {
      throw this.#error(start, `the member ${JSON.stringify(name)} stands there twice`)
    }
    this.#members.add(name as string)
    const visit = Object.hasOwn(this.#visit, name as string)
      ? this.#visit[name as string]
      : undefined
    const from = this.#nextByte('a value')
    if (visit && from !== OPEN_LIST) {
      throw this.#error(this.#at, `${JSON.stringify(name)} must be a list`)
    }
    if (visit) return this.#list(name as string, visit)
    const begin = this.#at
    this.#parse(begin, this.#skip())
    await this.#rest()
  }

  async #list(name: string, visit: (item: JsonItem) => void): Promise<void> {
    this.#at++
    if (this.#next() === CLOSE_LIST) {
      this.#at++
      return
    }
    let index = 0
    let ranges: JsonRange[] = []
    const show = () => {
      const [first] = ranges
      if (!first) return
      const last = ranges.at(-1) as JsonRange
      const values = this.#parseAll(first.start, last.end)
      for (const [i, range] of ranges.entries()) visit({ value: values[i], index: index++, range })
      ranges = []
    }
    for (;;) {
      this.#nextByte(`an item of "${name}"`)
      const start = this.#at
      const end = this.#skip()
      ranges.push({ start, end })
      if (end - (ranges[0] as JsonRange).start > BATCH_BYTES) {
        show()
        await this.#rest()
      }
      const byte = this.#nextByte(`',' or ']' in "${name}"`)
      this.#at++
      if (byte === COMMA) continue
      if (byte !== CLOSE_LIST) {
        this.#at--
        show() // an item of its own fault goes before what follows from it
        throw this.#unexpected(`',' or ']' after item ${index + ranges.length - 1} of "${name}"`)
      }
      show()
      return
    }
  }

  /** Lets the event loop turn, where it is time. */
  async #rest(): Promise<void> {
    if (this.#signal?.aborted) throw aborted(this.#signal)
    if (performance.now() - this.#turn < TURN_MS) return
    await setImmediate()
    this.#turn = performance.now()
  }

  /** Behind the value that begins here. Only quotes and brackets are looked at. */
  #skip(): number {
    const bytes = this.#bytes
    const start = this.#at
    let depth = 0
    for (;;) {
      const byte = bytes[this.#at]
      if (byte === undefined) throw this.#cut(start)
      if (byte === QUOTE) {
        this.#at = this.#endOfText()
        if (depth === 0) return this.#at
        continue
      }
      if (byte === OPEN_OBJECT || byte === OPEN_LIST) depth++
      else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
        if (depth === 0) return this.#at
        depth--
        if (depth === 0) return ++this.#at
      } else if (depth === 0 && (byte === COMMA || byte <= 0x20)) return this.#at
      this.#at++
    }
  }

  #endOfText(): number {
    const bytes = this.#bytes
    const start = this.#at
    for (let at = start + 1; ; at++) {
      at = bytes.indexOf(QUOTE, at)
      if (at < 0) throw this.#cut(start)
      let slashes = 0
      while (bytes[at - 1 - slashes] === BACKSLASH) slashes++
      if (slashes % 2 === 0) return at + 1
    }
  }

  /** The byte after white space, which is not taken. */
  #next(): number | undefined {
    for (; ; this.#at++) {
      const byte = this.#bytes[this.#at]
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return byte
    }
  }

  #nextByte(what: string): number {
    const byte = this.#next()
    if (byte === undefined) throw this.#error(this.#at, `the file ends where ${what} is expected`)
    return byte
  }

  #expect(byte: number, what: string): void {
    if (this.#nextByte(what) !== byte) throw this.#unexpected(what)
    this.#at++
  }

  #parse(start: number, end: number): unknown {
    return this.#parseAll(start, end)[0]
  }

  /** Values that stand between two places, with commas between them. */
  #parseAll(start: number, end: number): unknown[] {
    const text = `[${this.#bytes.toString('utf8', start, end)}]`
    try {
      return parse(text) as unknown[]
    } catch (error) {
      const fault = jsonFault(text)
      if (!fault) throw this.#error(start, (error as Error).message)
      const before = Buffer.byteLength(text.slice(1, fault.at))
      const found = text.slice(fault.at, -1).slice(0, SHOWN)
      const came = found === '' ? '' : `, found '${found.split('\n')[0]}'`
      throw this.#error(start + before, `expected ${fault.expected}${came}`)
    }
  }

  #cut(start: number): DeclipError {
    const { line, column } = this.#place(start)
    return this.#error(
      this.#bytes.length,
      `the file ends within what begins on line ${line}, column ${column}; it is cut, copy it again`,
    )
  }

  #unexpected(what: string): DeclipError {
    const found = this.#bytes.toString('utf8', this.#at, this.#at + SHOWN).split('\n')[0]
    return this.#error(this.#at, `expected ${what}, found '${found}'`)
  }

  #error(at: number, problem: string): DeclipError {
    const { line, column } = this.#place(at)
    return new DeclipError(
      'ERR_DECLIP_IO',
      `${this.#path} is no JSON that can be read: line ${line}, column ${column}: ${problem}.`,
    )
  }

  /** Line and column of a byte, from 1. */
  #place(at: number): { line: number; column: number } {
    let line = 1
    let start = 0
    for (
      let end = this.#bytes.indexOf(10);
      end >= 0 && end < at;
      end = this.#bytes.indexOf(10, start)
    ) {
      line++
      start = end + 1
    }
    return { line, column: at - start + 1 }
  }
}
