import { aborted } from '../errors.js'

interface Watch {
  readonly callbacks: Set<() => void>
  readonly listener: () => void
}

const watches = new WeakMap<AbortSignal, Watch>()

/**
 * Calls `callback` once when the signal fires. However many callbacks wait for a signal, it has one
 * listener: Node takes the eleventh on one target for a leak and warns, but a server may well stop
 * a hundred calls with the one signal of its shutdown.
 *
 * @returns takes the callback back; may be called again
 * @internal
 */
export function onAbort(signal: AbortSignal | undefined, callback: () => void): () => void {
  if (!signal) return () => {}
  let watch = watches.get(signal)
  if (!watch) {
    const callbacks = new Set<() => void>()
    const listener = () => {
      watches.delete(signal)
      for (const call of callbacks) call()
    }
    watch = { callbacks, listener }
    watches.set(signal, watch)
    signal.addEventListener('abort', listener, { once: true })
  }
  const { callbacks, listener } = watch
  const own = () => callback() // the same function may wait twice
  callbacks.add(own)
  return () => {
    callbacks.delete(own)
    if (callbacks.size > 0) return
    signal.removeEventListener('abort', listener)
    if (watches.get(signal)?.listener === listener) watches.delete(signal)
  }
}

/** The promise, or a rejection as soon as the signal fires; what it waits for goes on. @internal */
export async function until<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  let forget = () => {}
  const fired = new Promise<never>((_, reject) => {
    const stop = () => reject(aborted(signal))
    if (signal.aborted) stop()
    else forget = onAbort(signal, stop)
  })
  try {
    return await Promise.race([promise, fired])
  } finally {
    forget()
  }
}
