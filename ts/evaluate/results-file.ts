/** Results of pictures, one JSON line each, in a file that only grows. */
import { createReadStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { ioError } from '../base/files.js'
import { DeclipError } from '../errors.js'

/** What is kept of a picture: its id with either its measurements or why there are none. @internal */
export interface ResultLine {
  readonly id: string
  readonly error?: { readonly code: string; readonly message: string } | undefined
  readonly [measured: string]: unknown
}

const NEWLINE = 0x0a

/** Bytes looked at from the end, for where the last whole line ends. */
const TAIL = 1 << 20

/**
 * Appends lines, each by one write, so that a process that is killed leaves at most its last line torn. That one is
 * dropped when the file is opened again.
 *
 * @internal
 */
export class ResultsFile {
  readonly #path: string
  readonly #file: FileHandle
  /** Writes wait for those before them. */
  #last: Promise<void> = Promise.resolve()

  private constructor(path: string, file: FileHandle) {
    this.#path = path
    this.#file = file
  }

  /** Makes the file, or opens it to go on. @throws DeclipError ERR_DECLIP_IO */
  static async open(path: string): Promise<ResultsFile> {
    try {
      const file = await open(path, 'a+')
      try {
        await dropTornLine(file)
        return new ResultsFile(path, file)
      } catch (error) {
        await file.close()
        throw error
      }
    } catch (error) {
      throw ioError('write', path, error)
    }
  }

  /** Writes a line. @throws DeclipError ERR_DECLIP_IO; the file then ends with the line before */
  append(line: ResultLine): Promise<void> {
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`)
    const write = this.#last.then(() => this.#write(bytes))
    this.#last = write.catch(() => {})
    return write
  }

  async #write(bytes: Buffer): Promise<void> {
    let [size, written] = [0, 0]
    try {
      size = (await this.#file.stat()).size
      // A full disk takes a part of a line first, and says so when the rest follows.
      while (written < bytes.length) {
        written += (await this.#file.write(bytes, written)).bytesWritten
      }
    } catch (error) {
      await this.#takeBack(size, written)
      throw ioError('write', this.#path, error)
    }
  }

  /** Cuts off a torn line, unless another process has appended meanwhile. */
  async #takeBack(size: number, written: number): Promise<void> {
    if (written === 0) return
    try {
      if ((await this.#file.stat()).size === size + written) await this.#file.truncate(size)
    } catch {
      // It is dropped when the file is opened again.
    }
  }

  /** Waits for what is being written, and for the disk. @throws DeclipError ERR_DECLIP_IO */
  async close(): Promise<void> {
    await this.#last
    try {
      await this.#file.sync()
    } catch (error) {
      throw ioError('write', this.#path, error)
    } finally {
      await this.#file.close()
    }
  }
}

/** Cuts off what follows the last line break. */
async function dropTornLine(file: FileHandle): Promise<void> {
  const { size } = await file.stat()
  let end = size
  while (end > 0) {
    const start = Math.max(0, end - TAIL)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(end - start), 0, end - start, start)
    const at = buffer.subarray(0, bytesRead).lastIndexOf(NEWLINE)
    if (at >= 0) {
      end = start + at + 1
      break
    }
    end = start
  }
  if (end < size) await file.truncate(end)
}

/**
 * The lines of a file. One that was torn by the end of its process is left out: the last one, without its line break.
 *
 * @throws DeclipError ERR_DECLIP_IO, and ERR_DECLIP_INVALID_ARG naming file and line of what is no result
 * @internal
 */
export async function* readResults(path: string): AsyncGenerator<ResultLine, void, undefined> {
  let number = 0
  let rest: Buffer[] = []
  const stream = createReadStream(path)
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      let start = 0
      for (let at = chunk.indexOf(NEWLINE); at >= 0; at = chunk.indexOf(NEWLINE, start)) {
        rest.push(chunk.subarray(start, at))
        const text = Buffer.concat(rest).toString('utf8')
        rest = []
        start = at + 1
        number += 1
        yield parseLine(text, path, number)
      }
      rest.push(chunk.subarray(start))
    }
  } catch (error) {
    if (error instanceof DeclipError) throw error
    throw ioError('read', path, error)
  }
}

function parseLine(text: string, path: string, number: number): ResultLine {
  try {
    const line = JSON.parse(text) as ResultLine
    if (typeof line?.id === 'string') return line
  } catch {
    // named below
  }
  throw new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `${path}, line ${number}: this is no result of a picture. Remove the line, and its picture is done again with resume (--resume).`,
  )
}
