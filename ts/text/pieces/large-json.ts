/**
 * JSON whose longest object or list is visited part by part: a tokenizer.json has up to 64 MB, most of it in `vocab` and
 * `merges`, and `JSON.parse` of the whole would hold the event loop for a second.
 */

import {
  BACKSLASH,
  CLOSE_LIST,
  CLOSE_OBJECT,
  COLON,
  COMMA,
  OPEN_LIST,
  OPEN_OBJECT,
  QUOTE,
} from '../../base/json-bytes.js'
import type { Steps } from '../../base/steps.js'

/** UTF-8 bytes of members that are parsed together; a step of work. */
const PART_BYTES = 1 << 15

/** A text in a file, from its first byte up to, but without, the last. */
export interface Extent {
  readonly start: number
  readonly end: number
}

/** Reads one file's bytes. */
export class LargeJson {
  readonly #bytes: Buffer

  /** @param bytes - JSON in UTF-8, with or without byte order mark */
  constructor(bytes: Uint8Array) {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#bytes = buffer.subarray(buffer[0] === 0xef ? 3 : 0)
  }

  /** All of the file. */
  get whole(): Extent {
    return { start: 0, end: this.#bytes.length }
  }

  /** What lies at an extent; meant for short ones. */
  value(extent: Extent): unknown {
    return JSON.parse(this.#bytes.toString('utf8', extent.start, extent.end))
  }

  /**
   * Where the members of an object lie; undefined for anything but an object.
   *
   * @throws SyntaxError where it is not JSON
   */
  *members(extent: Extent): Steps<Map<string, Extent> | undefined> {
    const start = this.#skipSpace(extent.start)
    if (this.#bytes[start] !== OPEN_OBJECT) return undefined
    const members = new Map<string, Extent>()
    for (let at = this.#skipSpace(start + 1); this.#bytes[at] !== CLOSE_OBJECT; ) {
      const nameEnd = this.#skipString(at)
      const name: unknown = JSON.parse(this.#bytes.toString('utf8', at, nameEnd))
      const valueStart = this.#expect(COLON, nameEnd)
      const valueEnd = yield* this.#skipLong(valueStart)
      members.set(String(name), { start: valueStart, end: valueEnd })
      at = this.#next(valueEnd, CLOSE_OBJECT)
    }
    return members
  }

  /**
   * Hands over the members of an object or list in parts, each a small object or list.
   *
   * @returns which of the two it is; undefined, without a visit, for anything else
   * @throws SyntaxError where it is not JSON
   */
  *parts(extent: Extent, visit: (part: object) => void): Steps<'object' | 'list' | undefined> {
    const start = this.#skipSpace(extent.start)
    const open = this.#bytes[start]
    if (open !== OPEN_OBJECT && open !== OPEN_LIST) return undefined
    const kind = open === OPEN_OBJECT ? 'object' : 'list'
    const close = open === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_LIST
    const [left, right] = open === OPEN_OBJECT ? ['{', '}'] : ['[', ']']
    let partStart = start + 1
    let at = this.#skipSpace(partStart)
    if (this.#bytes[at] === close) return kind
    for (;;) {
      let end = this.#skipValue(at)
      if (open === OPEN_OBJECT) end = this.#skipValue(this.#expect(COLON, end))
      at = this.#next(end, close)
      const last = this.#bytes[at] === close
      if (last || end - partStart >= PART_BYTES) {
        visit(JSON.parse(left + this.#bytes.toString('utf8', partStart, end) + right) as object)
        yield
        partStart = at
      }
      if (last) return kind
    }
  }

  /** The end of a value that may be long. */
  *#skipLong(start: number): Steps<number> {
    let end = this.#skipValue(start, PART_BYTES)
    while (end < 0) {
      yield
      end = this.#resume()
    }
    return end
  }

  /** Depth and place of a value whose end is looked for. */
  #depth = 0
  #at = 0
  #limit = 0

  /** The first byte after a value; -1 where it is longer than `limit`, and #resume() goes on. */
  #skipValue(start: number, limit = Number.POSITIVE_INFINITY): number {
    this.#depth = 0
    this.#at = this.#skipSpace(start)
    this.#limit = limit
    return this.#resume()
  }

  #resume(): number {
    const bytes = this.#bytes
    const stop = this.#at + this.#limit
    let depth = this.#depth
    let at = this.#at
    for (;;) {
      const byte = bytes[at]
      if (byte === undefined) throw new SyntaxError('it ends in the middle of a value')
      if (byte === QUOTE) at = this.#skipString(at)
      else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
        depth++
        at++
      } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) {
        depth--
        at++
      } else if (depth > 0 && (byte <= 0x20 || byte === COMMA || byte === COLON)) at++
      else at = this.#skipWord(at)
      if (depth === 0) return at
      if (at > stop) {
        this.#depth = depth
        this.#at = at
        return -1
      }
    }
  }

  /** A number, true, false or null; what it is, JSON.parse sees. */
  #skipWord(start: number): number {
    const bytes = this.#bytes
    for (let at = start; ; at++) {
      const byte = bytes[at]
      if (byte === undefined) return at
      if (byte > 0x20 && byte !== COMMA && byte !== CLOSE_LIST && byte !== CLOSE_OBJECT) {
        if (byte !== COLON && byte !== QUOTE && byte !== OPEN_LIST && byte !== OPEN_OBJECT) continue
      }
      if (at === start) throw this.#unexpected(at)
      return at
    }
  }

  #skipString(start: number): number {
    const bytes = this.#bytes
    if (bytes[start] !== QUOTE) throw this.#unexpected(start)
    for (let at = start + 1; ; at++) {
      const byte = bytes[at]
      if (byte === QUOTE) return at + 1
      if (byte === BACKSLASH) at++
      else if (byte === undefined) throw new SyntaxError('it ends in the middle of a string')
    }
  }

  #skipSpace(start: number): number {
    const bytes = this.#bytes
    let at = start
    for (;;) {
      const byte = bytes[at]
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at
      at++
    }
  }

  #expect(wanted: number, from: number): number {
    const at = this.#skipSpace(from)
    if (this.#bytes[at] !== wanted) throw this.#unexpected(at)
    return this.#skipSpace(at + 1)
  }

  /** Where the next member begins, or the end of the object or list. */
  #next(from: number, close: number): number {
    const at = this.#skipSpace(from)
    if (this.#bytes[at] === close) return at
    if (this.#bytes[at] !== COMMA) throw this.#unexpected(at)
    const next = this.#skipSpace(at + 1)
    if (this.#bytes[next] === close) throw this.#unexpected(next)
    return next
  }

  #unexpected(at: number): SyntaxError {
    const byte = this.#bytes[at]
    const what = byte === undefined ? 'end' : `'${String.fromCharCode(byte)}'`
    return new SyntaxError(`unexpected ${what} at byte ${at}`)
  }
}
