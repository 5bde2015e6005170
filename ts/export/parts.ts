/** What is known of the pictures of a data set that is being written: lines of JSON. */
import { type FileHandle, mkdir, open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ioError } from '../base/files.js'
import type { Shard } from '../base/shard.js'
import { DeclipError } from '../errors.js'
import type { ExportedSet, PictureRecord } from './format.js'

/** Folder of the lines in a data set's folder. */
export const PARTS = '.export'

/** What is read of a file at a time, in bytes. */
const CHUNK = 1 << 20

const NEWLINE = 10

/** Where the line of a picture is. */
interface Place {
  readonly path: string
  readonly start: number
  readonly length: number
}

/** Name of the file of a part. */
export function partName(shard: Shard | undefined): string {
  return shard === undefined ? 'all.jsonl' : `${shard.index}-of-${shard.count}.jsonl`
}

/** The part that a file is of; undefined for what is none. */
export function shardOf(name: string): Shard | 'all' | undefined {
  if (name === 'all.jsonl') return 'all'
  const [, index, count] = /^(\d+)-of-(\d+)\.jsonl$/.exec(name) ?? []
  return index === undefined ? undefined : { index: Number(index), count: Number(count) }
}

/** The files of parts in a data set's folder, in order of their names. */
export async function partFiles(out: string): Promise<string[]> {
  const names = await readdir(join(out, PARTS)).catch(() => [])
  return names
    .filter(name => shardOf(name) !== undefined)
    .sort()
    .map(name => join(out, PARTS, name))
}

/** Where the line of every picture is. Lines themselves stay in their files. */
export class PartIndex implements ExportedSet {
  readonly #places = new Map<string, Place>()

  get count(): number {
    return this.#places.size
  }

  has(name: string): boolean {
    return this.#places.has(name)
  }

  add(name: string, place: Place): void {
    this.#places.set(name, place)
  }

  /**
   * Adds the lines of a file. A last one without its end, as a run that was killed leaves it, does not count.
   *
   * @returns the bytes of the lines that do
   * @throws DeclipError ERR_DECLIP_IO, also for a line that is none of ours or a picture that is in another one
   */
  async read(path: string): Promise<number> {
    let whole = 0
    let number = 0
    for await (const { text, start, length } of linesOf(path)) {
      number += 1
      const name = nameOf(text)
      if (name === undefined) {
        throw new DeclipError(
          'ERR_DECLIP_IO',
          `Line ${number} of ${path} is no record of a picture; remove the line, and the picture is annotated again with skipExisting.`,
        )
      }
      const other = this.#places.get(name)
      if (other) {
        throw new DeclipError(
          'ERR_DECLIP_IO',
          `The picture '${name}' was annotated twice, in ${other.path} and in ${path}; remove one of the lines.`,
        )
      }
      this.add(name, { path, start, length })
      whole = start + length
    }
    return whole
  }

  /** In the order of the names' code units. */
  async *records(): AsyncGenerator<PictureRecord, void, undefined> {
    const files = new Map<string, FileHandle>()
    try {
      for (const name of [...this.#places.keys()].sort()) {
        const { path, start, length } = this.#places.get(name) as Place
        let file = files.get(path)
        if (!file) {
          file = await open(path, 'r').catch(error => {
            throw ioError('read', path, error)
          })
          files.set(path, file)
        }
        const bytes = Buffer.alloc(length)
        await file.read(bytes, 0, length, start)
        yield JSON.parse(bytes.toString()) as PictureRecord
      }
    } finally {
      for (const file of files.values()) await file.close()
    }
  }
}

/** The whole lines of a file, with their places in bytes; nothing where it is not there. */
async function* linesOf(
  path: string,
): AsyncGenerator<{ text: string; start: number; length: number }, void, undefined> {
  const file = await open(path, 'r').catch(error => {
    if (error.code === 'ENOENT') return undefined
    throw ioError('read', path, error)
  })
  if (!file) return
  try {
    let rest: Buffer = Buffer.alloc(0)
    let start = 0
    const chunk = Buffer.alloc(CHUNK)
    for (;;) {
      const { bytesRead } = await file.read(chunk, 0, CHUNK)
      if (bytesRead === 0) return
      rest = Buffer.concat([rest, chunk.subarray(0, bytesRead)])
      let from = 0
      for (let end = rest.indexOf(NEWLINE); end >= 0; end = rest.indexOf(NEWLINE, from)) {
        const length = end + 1 - from
        yield { text: rest.toString('utf8', from, end), start, length }
        start += length
        from = end + 1
      }
      rest = rest.subarray(from)
    }
  } finally {
    await file.close()
  }
}

function nameOf(line: string): string | undefined {
  try {
    const { name, file, files } = JSON.parse(line) as Partial<PictureRecord>
    const isRecord = typeof name === 'string' && typeof file === 'string' && Array.isArray(files)
    return isRecord ? name : undefined
  } catch {
    return undefined
  }
}

/** A file that lines are appended to, each whole or not at all. */
export class PartWriter {
  readonly #file: FileHandle
  readonly #path: string
  readonly #index: PartIndex
  #size: number
  #last: Promise<unknown> = Promise.resolve()

  private constructor(file: FileHandle, path: string, index: PartIndex, size: number) {
    this.#file = file
    this.#path = path
    this.#index = index
    this.#size = size
  }

  /** @param size - bytes of its whole lines; what follows is cut off */
  static async open(path: string, index: PartIndex, size: number): Promise<PartWriter> {
    try {
      await mkdir(join(path, '..'), { recursive: true })
      const file = await open(path, 'a')
      const found = await stat(path)
      if (found.size > size) await file.truncate(size)
      return new PartWriter(file, path, index, size)
    } catch (error) {
      throw ioError('write', path, error)
    }
  }

  /** @throws DeclipError ERR_DECLIP_IO; the line is then not there */
  async append(record: PictureRecord): Promise<void> {
    const line = Buffer.from(`${JSON.stringify(record)}\n`)
    const written = this.#last.then(() => this.#write(record.name, line))
    this.#last = written.catch(() => {})
    await written
  }

  async #write(name: string, line: Buffer): Promise<void> {
    try {
      await this.#file.appendFile(line)
    } catch (error) {
      await this.#file.truncate(this.#size).catch(() => {})
      throw ioError('write', this.#path, error)
    }
    this.#index.add(name, { path: this.#path, start: this.#size, length: line.length })
    this.#size += line.length
  }

  async close(): Promise<void> {
    await this.#last
    await this.#file.close()
  }
}
