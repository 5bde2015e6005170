import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { onAbort } from './abort.js'
import type { CallOptions } from './call.js'

interface DownloadOptions extends CallOptions {
  /** Digest of the whole file, in hexadecimal. */
  sha256?: string | undefined
  /** Longest wait for an answer, in ms. Default 5000. */
  connectTimeout?: number | undefined
  /** Longest silence during the transfer, in ms. Default 30000. */
  idleTimeout?: number | undefined
}

/** Transfers that break off are resumed this often before the call fails. */
const RESUMES = 5

/**
 * Downloads a file. What has arrived stays in `file`.part, where the next call goes on; the file
 * appears under its own name only when it is whole and its digest right. @internal
 */
export async function downloadFile(
  url: string,
  file: string,
  options: DownloadOptions = {},
): Promise<void> {
  const part = `${file}.part`
  await mkdir(dirname(file), { recursive: true })
  for (let resumes = 0; ; resumes += 1) {
    const before = await sizeOf(part)
    try {
      await transfer(url, part, before, options)
      break
    } catch (error) {
      const grew = (await sizeOf(part)) > before
      if (options.signal?.aborted || !grew || resumes === RESUMES) throw error
    }
  }
  if (options.sha256) {
    try {
      await checkSha256(part, options.sha256)
    } catch (error) {
      await rm(part, { force: true })
      throw error
    }
  }
  await rename(part, file)
}

/** Rejects unless a file has the given SHA-256. @internal */
export async function checkSha256(file: string, expected: string): Promise<void> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(file), hash)
  const actual = hash.digest('hex')
  if (actual !== expected) {
    throw new Error(
      `the file that arrived is not the one expected: its sha256 is ${actual}, not ${expected}`,
    )
  }
}

/** Appends to `part` from byte `start` on, until the length that the server names is reached. */
async function transfer(
  url: string,
  part: string,
  start: number,
  { signal, onProgress, connectTimeout = 5000, idleTimeout = 30_000 }: DownloadOptions,
): Promise<void> {
  const watch = new Watchdog(signal)
  try {
    watch.expect(connectTimeout, `no answer within ${connectTimeout / 1000} s`)
    const headers = start > 0 ? { range: `bytes=${start}-` } : {}
    const response = await fetch(url, { headers, signal: watch.signal })
    if (response.status === 416) {
      // Longer than the file, or already whole: no way to tell, so the next call starts over.
      await rm(part, { force: true })
      throw new Error('what an earlier download left does not fit the file; try again')
    }
    if (!response.ok || !response.body) throw new Error(`the server answered ${response.status}`)
    const resumed = response.status === 206
    let done = resumed ? start : 0
    const length = Number(response.headers.get('content-length') ?? 0)
    const total = length > 0 ? done + length : 0
    const file = await open(part, resumed ? 'a' : 'w')
    try {
      // Each piece is on disk before the next is awaited: a transfer that breaks loses none.
      for await (const chunk of response.body) {
        await file.writeFile(chunk)
        done += chunk.length
        onProgress?.({ step: 'download', done, total })
        watch.expect(idleTimeout, `nothing arrived for ${idleTimeout / 1000} s`)
      }
    } finally {
      await file.close()
    }
    if (total > 0 && done !== total)
      throw new Error(`the transfer ended after ${done} of ${total} bytes`)
  } catch (error) {
    throw watch.reason ?? reasonOf(error)
  } finally {
    watch.stop()
  }
}

/** Aborts when what is awaited does not come in time, or with the caller's signal. */
class Watchdog {
  readonly #controller = new AbortController()
  readonly #forget: () => void
  #timer: NodeJS.Timeout | undefined
  reason: Error | undefined

  constructor(signal: AbortSignal | undefined) {
    const forward = () => this.#controller.abort(signal?.reason)
    this.#forget = onAbort(signal, forward)
    if (signal?.aborted) forward()
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  expect(ms: number, otherwise: string): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.reason = new Error(otherwise)
      this.#controller.abort(this.reason)
    }, ms)
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#forget()
  }
}

/** fetch() says only 'fetch failed'; its cause says why. */
function reasonOf(error: unknown): unknown {
  const cause = (error as Error).cause
  if (!(cause instanceof Error)) return error
  const code = (cause as NodeJS.ErrnoException).code
  return new Error(cause.message || code || (error as Error).message, { cause: error })
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  )
}
