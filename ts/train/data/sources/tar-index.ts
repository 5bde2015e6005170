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
  /** What is in it, where that was asked for. */
  readonly content?: Buffer | undefined
}

/** What an archive holds. */
export interface TarIndex {
  readonly entries: readonly TarEntry[]
  /** Changes with the files' names, sizes, times and order. */
  readonly digest: string
  /** Names of links and sparse files, whose bytes do not lie behind their names. */
  readonly unread: readonly string[]
  /** Whether it ends with the blocks of zeros that every tar program writes. */
  readonly isWhole: boolean
  /** Bytes at its end that are no tar. */
  readonly rest: number
}

const BLOCK = 512
/** How much is read at once: many small files lie in it. */
const WINDOW = 1 << 20
/** Longest name or attribute record that is believed. */
const LONGEST_RECORD = 1 << 20
/** Largest file whose content is given back, in bytes. */
export const LONGEST_TEXT = 1 << 20

/** First bytes of what is taken for a tar file. */
const FORMATS: readonly (readonly [name: string, start: string])[] = [
  ['a gzip file (.tar.gz)', '\x1f\x8b'],
  ['a Zstandard file (.tar.zst)', '\x28\xb5\x2f\xfd'],
  ['an xz file (.tar.xz)', '\xfd7zXZ\0'],
  ['a bzip2 file (.tar.bz2)', 'BZh'],
  ['an LZ4 file', '\x04\x22\x4d\x18'],
  ['an lzip file', 'LZIP'],
  ['a compress file (.tar.Z)', '\x1f\x9d'],
  ['a zip archive', 'PK\x03\x04'],
  ['an empty zip archive', 'PK\x05\x06'],
  ['a 7z archive', '7z\xbc\xaf\x27\x1c'],
  ['a RAR archive', 'Rar!\x1a\x07'],
  ['a cpio archive', '0707'],
  ['a Parquet file', 'PAR1'],
  ['a Git LFS pointer (git lfs pull fetches the file)', 'version https://git-lfs'],
  ['a web page', '<'],
]

/**
 * Lists the files of an uncompressed tar archive without reading what is in large ones. Archives that
 * were put one behind the other are read to the end.
 *
 * Headers are decoded by the package tar; long names of GNU tar and pax attributes are applied.
 *
 * @param wanted - files whose content is given back too, up to 1 MiB each
 * @throws DeclipError ERR_DECLIP_IO if the archive cannot be read, is truncated or is none
 */
export async function indexTar(
  path: string,
  wanted: (name: string) => boolean = () => false,
): Promise<TarIndex> {
  let file: FileHandle | undefined
  try {
    file = await open(path)
    const { size } = await file.stat()
    const window = new Window(file)
    await checkFormat(path, window, size)
    return await walk(path, window, size, wanted)
  } catch (error) {
    throw error instanceof DeclipError ? error : ioError('read', path, error)
  } finally {
    await file?.close()
  }
}

async function checkFormat(path: string, window: Window, size: number): Promise<void> {
  const start = await window.read(0, Math.min(BLOCK, size))
  if (size >= BLOCK && headerOf(start)) return
  const text = start.toString('latin1')
  const format = FORMATS.find(([, bytes]) => text.startsWith(bytes))
  if (format) throw damaged(path, `it is ${format[0]}`)
  if (size < BLOCK) throw damaged(path, `it has ${size} bytes`)
}

async function walk(
  path: string,
  window: Window,
  end: number,
  wanted: (name: string) => boolean,
): Promise<TarIndex> {
  const entries: TarEntry[] = []
  const unread: string[] = []
  const digest = createHash('sha256')
  let attributes: Pax | undefined
  let common: Pax | undefined
  let longName: string | undefined
  let isWhole = false
  let at = 0
  while (at + BLOCK <= end) {
    const block = await window.read(at, BLOCK)
    const header = headerOf(block, attributes, common)
    if (header?.nullBlock) {
      isWhole = true
      at += BLOCK
      continue
    }
    if (!header && isWhole) break
    if (!header) throw damaged(path, `there is no tar header at byte ${at}`)
    isWhole = false
    digest.update(block)
    const size = header.size ?? 0
    const offset = at + BLOCK
    if (offset + size > end) throw damaged(path, `it ends within ${header.path ?? 'a file'}`)
    at = offset + Math.ceil(size / BLOCK) * BLOCK
    const record = async () => {
      if (size > LONGEST_RECORD) throw damaged(path, `a name of ${size} bytes`)
      return (await window.read(offset, size)).toString('utf8')
    }
    // Not header.path alone: Header puts the block's own prefix in front of a pax path too.
    const name = longName ?? attributes?.path ?? header.path ?? ''
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
      case 'NextFileHasLongLinkpath':
        continue
      case 'File':
      case 'OldFile':
      case 'ContiguousFile': {
        const isRead = size <= LONGEST_TEXT && wanted(name)
        const content = isRead ? Buffer.from(await window.read(offset, size)) : undefined
        entries.push({ path: name, offset, size, content })
        break
      }
      case 'Link':
      case 'SymbolicLink':
      case 'SparseFile':
      case 'Unsupported':
        unread.push(name)
    }
    attributes = undefined
    longName = undefined
  }
  return { entries, unread, digest: digest.digest('hex'), isWhole, rest: end - at }
}

/** The header in a block, or undefined where there is none. */
function headerOf(block: Buffer, attributes?: Pax, common?: Pax): Header | undefined {
  try {
    const header = new Header(block, 0, attributes, common)
    return header.cksumValid || header.nullBlock ? header : undefined
  } catch {
    return undefined // a number that is none
  }
}

function damaged(path: string, problem: string): DeclipError {
  return new DeclipError(
    'ERR_DECLIP_IO',
    `${path} is not a whole uncompressed tar file: ${problem}. Unpack compressed files first (gunzip, unzstd, unzip), and copy it again if it was cut.`,
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
