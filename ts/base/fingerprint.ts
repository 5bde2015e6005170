import { createHash, type Hash } from 'node:crypto'
import { open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ioError } from './files.js'

/** Files up to this size are read whole, in bytes. */
const WHOLE = 64 * 1024 * 1024
/** Of larger ones so many blocks of this many bytes are read, evenly spread: training changes all of a file. */
const BLOCKS = 1024
const BLOCK = 16 * 1024

/**
 * Tells a checkpoint from others, wherever it lies: a hash of its bytes, of large files of 16 MiB of them.
 *
 * @param path - a file, or a folder with all files in it
 * @returns 16 hexadecimal digits
 * @throws DeclipError ERR_DECLIP_IO
 * @internal
 */
export async function fingerprintOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  try {
    if (!(await stat(path)).isDirectory()) await addFile(hash, path)
    else {
      const entries = await readdir(path, { withFileTypes: true })
      // Links as well: the hub's cache has its files as such.
      const names = entries.filter(entry => !entry.isDirectory()).map(({ name }) => name)
      for (const name of names.sort()) {
        hash.update(`${name}\0`)
        await addFile(hash, join(path, name))
      }
    }
  } catch (error) {
    throw ioError('read', path, error)
  }
  return hash.digest('hex').slice(0, 16)
}

async function addFile(hash: Hash, path: string): Promise<void> {
  const file = await open(path)
  try {
    const { size } = await file.stat()
    hash.update(`${size}\0`)
    const isWhole = size <= WHOLE
    const length = isWhole ? 1024 * 1024 : BLOCK
    const count = isWhole ? Math.ceil(size / length) : BLOCKS
    const buffer = Buffer.alloc(length)
    for (let i = 0; i < count; i++) {
      const at = isWhole ? i * length : Math.floor((i * (size - length)) / (count - 1))
      const { bytesRead } = await file.read(buffer, 0, length, at)
      hash.update(buffer.subarray(0, bytesRead))
    }
  } finally {
    await file.close()
  }
}
