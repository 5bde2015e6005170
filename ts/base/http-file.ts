/** Downloads a file over HTTP: resumed where it broke off, and checked. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, rm, stat } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { setTimeout } from 'node:timers/promises'
import { type Answer, get, HttpError, isWebPage, type Patience, webPage } from './http.js'

/** What a whole file must hash to. */
export interface Digest {
  algorithm: 'sha1' | 'sha256'
  /** In hexadecimal. */
  expected: string
  /** Hashed before the content. */
  prefix?: string | undefined
}

export interface HttpFileOptions extends Patience {
  headers?: Readonly<Record<string, string>> | undefined
  /** Length of the whole file in bytes, where it is known before. */
  size?: number | undefined
  digest?: Digest | undefined
  /** Tries again also where nothing has arrived. Default: only where a transfer broke off. */
  persistent?: boolean | undefined
  /** Bytes on disk, and of the whole file, 0 where its server does not tell. */
  onBytes?: ((done: number, total: number) => void) | undefined
}

const ATTEMPTS = 5

/**
 * Fills `part` with the file at `url`, after what an earlier call left there, and checks it. Works
 * with servers that ignore Range or tell no length. What has arrived stays for the next call, unless
 * it cannot be right.
 *
 * @throws HttpError for a status or web page that trying again does not change; Error
 */
export async function fetchFile(
  url: string,
  part: string,
  options: HttpFileOptions = {},
): Promise<void> {
  const { size = Number.POSITIVE_INFINITY, digest, persistent, signal } = options
  for (let attempt = 1; ; attempt += 1) {
    let before = await sizeOf(part)
    try {
      if (before > size) {
        await rm(part)
        before = 0
      }
      if (before < size) await transfer(url, part, before, options)
      else options.onBytes?.(before, size)
      if (digest) await check(part, digest)
      return
    } catch (error) {
      if (signal?.aborted || isPermanent(error) || attempt === ATTEMPTS) throw error
      const grew = (await sizeOf(part)) > before
      if (!grew && !persistent && !(error instanceof Misfit)) throw error
      if (!grew && persistent)
        await setTimeout(100 * 2 ** attempt, undefined, signal ? { signal } : {})
    }
  }
}

/** SHA-256 of a file, in hexadecimal. */
export function sha256Of(file: string, signal?: AbortSignal): Promise<string> {
  return hashOf(file, { algorithm: 'sha256' }, signal)
}

/** Throws unless a file's SHA-256 is the expected one. */
export function requireSha256(actual: string, expected: string): void {
  if (actual !== expected) throw new DigestError(otherDigest('sha256', actual, expected))
}

/** All has arrived and is not what it should be. */
export class DigestError extends Error {}

/** What lies on disk does not belong to what the server has: the transfer starts over. */
class Misfit extends Error {}

/** Appends to `part` from byte `start` on. */
function transfer(
  url: string,
  part: string,
  start: number,
  options: HttpFileOptions,
): Promise<void> {
  const last = options.size === undefined ? '' : options.size - 1
  const headers = {
    ...options.headers,
    // Lengths and ranges count the bytes of the file.
    'accept-encoding': 'identity',
    ...(start > 0 ? { range: `bytes=${start}-${last}` } : {}),
  }
  return get(url, headers, options, async answer => {
    const { status } = answer
    const from = Number(/^bytes (\d+)-/.exec(answer.headers.get('content-range') ?? '')?.[1])
    if (status === 416 || (status === 206 && from !== start && !Number.isNaN(from))) {
      await rm(part, { force: true })
      throw new Misfit('what an earlier download left does not fit the file; try again')
    }
    if (status !== 200 && status !== 206) {
      // Where a hub says why.
      const why = answer.headers.get('x-error-message')?.slice(0, 200)
      throw new HttpError(status, why || `the server answered ${status}`)
    }
    await write(answer, part, status === 206 ? start : 0, options)
  })
}

async function write(
  { status, headers, body }: Answer,
  part: string,
  start: number,
  { size, onBytes }: HttpFileOptions,
): Promise<void> {
  const encoded = /\S/.test((headers.get('content-encoding') ?? '').replace('identity', ''))
  const length = encoded ? 0 : Number(headers.get('content-length') ?? 0)
  const total = size ?? (length > 0 ? start + length : 0)
  let done = start
  const file = await open(part, start > 0 ? 'a' : 'w')
  try {
    // Each piece is on disk before the next is awaited: a transfer that breaks loses none.
    for await (const chunk of body) {
      if (done === 0 && isWebPage(headers, chunk)) throw webPage(status, 'the file')
      await file.writeFile(chunk)
      done += chunk.length
      onBytes?.(done, total)
      if (total > 0 && done > total) break
    }
  } finally {
    await file.close()
  }
  if (total === 0 || done === total) return
  if (done < total) throw new Error(`the transfer ended after ${done} of ${total} bytes`)
  await rm(part, { force: true })
  throw new Error(`the server sends more than the ${total} bytes of the file`)
}

async function check(part: string, digest: Digest): Promise<void> {
  const actual = await hashOf(part, digest)
  if (actual === digest.expected) return
  await rm(part, { force: true })
  throw new DigestError(otherDigest(digest.algorithm, actual, digest.expected))
}

async function hashOf(
  file: string,
  { algorithm, prefix }: Omit<Digest, 'expected'>,
  signal?: AbortSignal,
): Promise<string> {
  const hash = createHash(algorithm)
  if (prefix !== undefined) hash.update(prefix)
  await pipeline(createReadStream(file), hash, signal ? { signal } : {})
  return hash.digest('hex')
}

function otherDigest(algorithm: string, actual: string, expected: string): string {
  return `the file that arrived is not the one expected: its ${algorithm} is ${actual}, not ${expected}`
}

/** Wrong access, a missing file, or this disk: trying again changes nothing. */
function isPermanent(error: unknown): boolean {
  if (error instanceof HttpError) {
    const { status } = error
    return status < 500 && status !== 408 && status !== 429
  }
  return isDiskError(error)
}

/** Errors of sockets come inside others, so a bare system error is one of the file system. */
export function isDiskError(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).syscall !== undefined
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  )
}
