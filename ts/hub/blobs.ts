/**
 * Writes the files of a repository into the cache. A transfer grows a file beside its blob that only
 * this call knows, and is renamed once its digest is right.
 */
import { randomBytes } from 'node:crypto'
import { copyFile, mkdir, readdir, rename, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { HttpError } from '../base/http.js'
import {
  type Digest,
  DigestError,
  fetchFile,
  type HttpFileOptions,
  isDiskError,
} from '../base/http-file.js'
import type { RemoteFile } from './repository.js'

/** A transfer that has not grown for this long has died, in ms. */
const STALE = 600_000

/** A file that could not be brought. */
export class TransferError extends Error {
  /** Of the last answer; 0 where there was none. */
  readonly status: number
  /** Whether the next call can go on where this one ended. */
  readonly kept: boolean

  constructor(message: string, cause: Error, kept: boolean) {
    super(cause instanceof DigestError ? message : `${message}: ${cause.message}`, { cause })
    this.status = cause instanceof HttpError ? cause.status : 0
    this.kept = kept
  }
}

/** Fetches one file to `blob`, after what an interrupted transfer left. */
export async function fetchBlob(
  url: string,
  remote: RemoteFile,
  blob: string,
  options: HttpFileOptions,
): Promise<void> {
  const { path, size } = remote
  await mkdir(dirname(blob), { recursive: true })
  const part = await claimPart(blob)
  try {
    await fetchFile(url, part, { ...options, size, digest: digestOf(remote), persistent: true })
    await rename(part, blob)
  } catch (error) {
    const kept = await stat(part).catch(() => null)
    await rename(part, `${blob}.declip`).catch(() => undefined)
    if (isDiskError(error)) throw error
    const damaged = error instanceof DigestError
    const reason = damaged
      ? `arrived damaged: its digest is not ${remote.digest}`
      : 'did not arrive'
    throw new TransferError(`${path} ${reason}`, error as Error, (kept?.size ?? 0) > 0)
  }
}

/** Large files carry their SHA-256, small ones Git's SHA-1 of a header and the content. */
function digestOf({ size, digest: expected }: RemoteFile): Digest {
  if (expected.length === 64) return { algorithm: 'sha256', expected }
  return { algorithm: 'sha1', expected, prefix: `blob ${size}\0` }
}

/** A file to write to that no other process or call writes to: a leftover, or a new one. */
async function claimPart(blob: string): Promise<string> {
  const own = `${blob}.${randomBytes(6).toString('hex')}.declip`
  for (const name of await readdir(dirname(blob))) {
    if (!name.startsWith(`${basename(blob)}.`) || !name.endsWith('.declip')) continue
    const leftover = join(dirname(blob), name)
    const released = leftover === `${blob}.declip`
    try {
      if (!released && Date.now() - (await stat(leftover)).mtimeMs < STALE) continue
      await rename(leftover, own)
      return own
    } catch {
      // Another call took it first.
    }
  }
  await writeFile(own, '', { flag: 'wx' })
  return own
}

/** Links a snapshot's file to its blob. */
export async function link(blob: string, path: string): Promise<void> {
  if (await exists(path)) return
  await mkdir(dirname(path), { recursive: true })
  await rm(path, { force: true })
  try {
    await symlink(relative(dirname(path), blob), path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return
    // Windows without the right to make links.
    const temporary = `${path}.${randomBytes(6).toString('hex')}`
    await copyFile(blob, temporary)
    await rename(temporary, path)
  }
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
