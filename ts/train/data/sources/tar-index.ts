import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { Header, Pax } from 'tar'
import { ioError } from '../../../base/files.js'
import { DeclipError } from '../../../errors.js'

/** A file of an archive. */
export interface TarEntry {
  readonly path: string
  /** Where its bytes begin, from the archive's start. */
  readonly offset: number
  /** In bytes. */
  readonly size: number
}

const BLOCK = 512
/** How much is read at once: many small files lie in it. */
const WINDOW = 1 << 20
/** Longest name or attribute record that is believed. */
const LONGEST_RECORD = 1 << 20

/**
 * Lists the files of an uncompressed tar archive without reading what is in large ones.
 *
 * Headers are decoded by the package tar; long names of GNU tar and pax attributes are applied.
 *
 * @throws DeclipError ERR_DECLIP_IO if the archive cannot be read, is truncated or is none
 */
export async function indexTar(path: string): Promise<{ entries: TarEntry[]; digest: string }> {
  let file: FileHandle | undefined
  try {
    file = await open(path)
    const { size } = await file.stat()
    return await walk(path, new Window(file), size)
  } catch (error) {
    throw error instanceof DeclipError ? error : ioError('read', path, error)
  } finally {
    await file?.close()
  }
}

async function walk(path: string, window: Window, end: number) {
  const entries: TarEntry[] = []
  const digest = createHash('sha256')
  let attributes: Pax | undefined
  let common: Pax | undefined
  let longName: string | undefined
  for (let at = 0; at + BLOCK <= end; ) {
    const block = await window.read(at, BLOCK)
    const header = new Header(block, 0, attributes, common)
    if (header.nullBlock) break
    if (!header.cksumValid) throw damaged(path, `there is no tar header at byte ${at}`)
    digest.update(block)
    const size = header.size ?? 0
    const offset = at + BLOCK
    if (offset + size > end) throw damaged(path, `it ends within ${header.path ?? 'a file'}`)
    at = offset + Math.ceil(size / BLOCK) * BLOCK
    const record = async () => {
      if (size > LONGEST_RECORD) throw damaged(path, `a name of ${size} bytes`)
      return (await window.read(offset, size)).toString('utf8')
    }
    switch (header.type) {
      case 'ExtendedHeader':
      case 'OldExtendedHeader':
        attributes = Pax.parse(await record(), attributes)
        continue
      case 'GlobalExtendedHeader':
        common = Pax.parse(await record(), common, true)
        continue
      case 'NextFileHasLongPath':
      case 'OldGnuLongPath':
        longName = (await record()).replace(/\0.*$/s, '')
        continue
      case 'File':
      case 'OldFile':
      case 'ContiguousFile':
        // Not header.path alone: Header puts the block's own prefix in front of a pax path too.
        entries.push({ path: longName ?? attributes?.path ?? header.path ?? '', offset, size })
    }
    attributes = undefined
    longName = undefined
  }
  return { entries, digest: digest.digest('hex') }
}

function damaged(path: string, problem: string): DeclipError {
  return new DeclipError(
    'ERR_DECLIP_IO',
    `${path} is not a whole uncompressed tar file: ${problem}. Unpack .tar.gz files, and copy it again if it was cut.`,
  )
}

/** Reads a file from front to back, a large piece at a time. */
class Window {
  readonly #file: FileHandle
  #bytes = Buffer.alloc(0)
  #start = 0

  constructor(file: FileHandle) {
    this.#file = file
  }

  async read(at: number, length: number): Promise<Buffer> {
    if (at < this.#start || at + length > this.#start + this.#bytes.length) {
      const bytes = Buffer.alloc(Math.max(WINDOW, length))
      const { bytesRead } = await this.#file.read(bytes, 0, bytes.length, at)
      this.#bytes = bytes.subarray(0, bytesRead)
      this.#start = at
    }
    return this.#bytes.subarray(at - this.#start, at - this.#start + length)
  }
}
