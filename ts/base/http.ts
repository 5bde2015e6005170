/** Requests over HTTP: proxies, patience, and what their failures say. */
import { onAbort } from './abort.js'
import { environmentFetch, proxyFor, shown } from './proxy.js'

/** An answer that is not what was asked for. */
export class HttpError extends Error {
  /** Status of the answer; 200 for a web page in place of a file. */
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.name = 'HttpError'
    this.status = status
  }
}

/** How long to wait. */
export interface Patience {
  signal?: AbortSignal | undefined
  /** Longest wait for an answer, in ms. Default 30000. */
  connectTimeout?: number | undefined
  /** Longest silence during the transfer, in ms. Default 30000. */
  idleTimeout?: number | undefined
}

/** An answer that has begun; `body` yields its bytes as they come. */
export interface Answer {
  status: number
  headers: Headers
  body: AsyncIterable<Uint8Array>
}

/**
 * Sends a GET request and hands the answer to `read`.
 *
 * @throws Error whose message says why: that nothing came in time, what the system reports, and the
 * proxy in between, without its password
 */
export async function get<T>(
  url: string,
  headers: Readonly<Record<string, string>>,
  { signal, connectTimeout = 30_000, idleTimeout = 30_000 }: Patience,
  read: (answer: Answer) => Promise<T>,
): Promise<T> {
  const watch = new Watchdog(signal)
  try {
    watch.expect(connectTimeout, `no answer within ${connectTimeout / 1000} s`)
    const send = await environmentFetch()
    const response = await send(url, { headers, signal: watch.signal })
    if (response.status === 407) throw new HttpError(407, 'the server answered 407')
    return await read({
      status: response.status,
      headers: response.headers,
      body: watched(response.body ?? [], watch, idleTimeout),
    })
  } catch (error) {
    throw watch.reason ?? explained(error, url)
  } finally {
    watch.stop()
  }
}

async function* watched(
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  watch: Watchdog,
  idleTimeout: number,
): AsyncGenerator<Uint8Array> {
  const expect = () => watch.expect(idleTimeout, `nothing arrived for ${idleTimeout / 1000} s`)
  expect()
  for await (const chunk of body) {
    watch.relax()
    yield chunk
    expect()
  }
}

/** Whether bytes, or what their sender calls them, are a web page: a sign-in page, a proxy's refusal. */
export function isWebPage(headers: Headers, start: Uint8Array): boolean {
  if (/^text\/html\b/i.test(headers.get('content-type') ?? '')) return true
  return /^\uFEFF?\s*<(!doctype\s+html|html|head|body)\b/i.test(
    Buffer.from(start.subarray(0, 512)).toString(),
  )
}

/** What to say where a web page came instead of `wanted`. */
export function webPage(status: number, wanted: string): HttpError {
  const message = `a web page came instead of ${wanted}: sign in to the network, or check the proxy`
  return new HttpError(status, message)
}

/** fetch() says only 'fetch failed'; its cause says why. */
function explained(error: unknown, url: string): unknown {
  const refused = error instanceof HttpError && error.status === 407
  if (!refused && !((error as Error).cause instanceof Error)) return error
  const reason = deepest(error as Error)
  const through = throughProxy(url)
  if (refused || /^Proxy .*\b407\b/.test(reason)) {
    const message = `the proxy wants a user and password (status 407), given as http://user:password@host:port${through}`
    return new HttpError(407, message)
  }
  return new Error(reason + through, { cause: error })
}

function throughProxy(url: string): string {
  try {
    const proxy = proxyFor(url)
    return proxy ? ` (through the proxy ${shown(proxy)})` : ''
  } catch {
    return ''
  }
}

function deepest(error: Error): string {
  const { cause } = error
  if (cause instanceof Error) return deepest(cause)
  return error.message || (error as NodeJS.ErrnoException).code || error.name
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
    this.relax()
    this.#timer = setTimeout(() => {
      this.reason = new Error(otherwise)
      this.#controller.abort(this.reason)
    }, ms)
  }

  relax(): void {
    clearTimeout(this.#timer)
  }

  stop(): void {
    this.relax()
    this.#forget()
  }
}
