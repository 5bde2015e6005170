import { randomBytes } from 'node:crypto'
import { open, realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DeclipError, invalid } from '../errors.js'

/** The path behind a path or file URL. @internal */
export function toPath(name: string, path: string | URL): string {
  if (path instanceof URL && path.protocol === 'file:') return fileURLToPath(path)
  if (typeof path === 'string' && path !== '' && !path.includes('\0')) return path
  throw invalid(name, 'a path or file URL', path instanceof URL ? path.href : path)
}

/**
 * Writes a whole file or nothing: the bytes go to a temporary name beside the target, which is
 * renamed when they are on the disk. Bytes that come in pieces are written as they come; an error of theirs
 * is thrown as it is, and nothing is written.
 *
 * @param path - target; an existing file is replaced, a link is followed, a device or pipe is
 * written to directly
 * @throws {@link DeclipError} ERR_DECLIP_IO where the target cannot be written; it is then unchanged
 * @internal
 */
export async function writeFileAtomic(
  path: string | URL,
  bytes: Uint8Array | AsyncIterable<Uint8Array>,
): Promise<void> {
  const given = toPath('path', path)
  try {
    const existing = await stat(given).catch(() => undefined)
    // Renaming over /dev/stdout or a named pipe would replace it by a file.
    if (existing && !existing.isFile()) return await writeFile(given, bytes)
    await replaceFile(existing ? await realpath(given) : given, bytes)
  } catch (error) {
    // of the pieces, not of the file
    if (error instanceof DeclipError) throw error
    throw ioError('write', given, error)
  }
}

async function replaceFile(
  target: string,
  bytes: Uint8Array | AsyncIterable<Uint8Array>,
): Promise<void> {
  const temporary = join(dirname(target), `.declip-${randomBytes(8).toString('hex')}.tmp`)
  try {
    const file = await open(temporary, 'wx')
    try {
      for await (const piece of bytes instanceof Uint8Array ? [bytes] : bytes) {
        await file.writeFile(piece)
      }
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, target)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied; check the rights of the file and its folder',
  EDQUOT: 'the disk quota is used up; make room or choose another place',
  EFBIG: 'the file is too large for this file system; choose another place',
  EISDIR: 'it is a folder; give the name of a file',
  EMFILE: 'too many files are open; raise the limit (ulimit -n) or work on fewer at once',
  ENAMETOOLONG: 'the name is too long; choose a shorter one',
  ENOENT: 'there is no such file or folder; check the path',
  ENOSPC: 'the disk is full; make room or choose another place',
  ENOTDIR: 'a part of the path is a file, not a folder; check the path',
  EPERM: 'the operation is not permitted; check the rights of the file and its folder',
  EROFS: 'the file system is read-only; choose another place',
}

/** Longer ones are no paths but contents, in characters. */
const LONGEST_SHOWN = 4096

/** Bytes that are not UTF-8 arrive as U+FFFD, under which there is no file. */
const NOT_UTF8 = 'the name is not UTF-8; rename the file'

/** The ERR_DECLIP_IO of a failed file operation. @internal */
export function ioError(action: 'read' | 'write', path: string, error: unknown): DeclipError {
  const { code, message } = error as NodeJS.ErrnoException
  const isGarbled = code === 'ENOENT' && path.includes('\ufffd')
  const reason = isGarbled ? NOT_UTF8 : (REASONS[code ?? ''] ?? message)
  const shown = path.length > LONGEST_SHOWN ? `${path.slice(0, 60)}...` : path
  return new DeclipError('ERR_DECLIP_IO', `Cannot ${action} ${shown}: ${reason}.`, { cause: error })
}
