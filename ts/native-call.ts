import { aborted, toDeclipError } from './errors.js'
import type { NativeAddon, NativeCall } from './native.js'
import type { CallOptions } from './options.js'

/**
 * Runs one native call under the caller's signal and progress callback; what it throws becomes a
 * DeclipError with the caller's stack.
 *
 * @param steps - names of the call's progress counts, one after the other
 * @internal
 */
export async function callNative<T>(
  addon: Pick<NativeAddon, 'CancelToken'>,
  { signal, onProgress }: CallOptions,
  run: (call: NativeCall) => Promise<T>,
  steps: readonly string[] = ['encode'],
): Promise<T> {
  if (signal?.aborted) throw aborted(signal)
  const token = new addon.CancelToken()
  const cancel = () => token.cancel()
  signal?.addEventListener('abort', cancel, { once: true })
  let step = 0
  const report = (done: number, total: number) => {
    onProgress?.({ step: steps[step] as string, done, total })
    if (done >= total) step = Math.min(step + 1, steps.length - 1)
  }
  try {
    return await run({ token, onProgress: onProgress && report })
  } catch (error) {
    throw signal?.aborted ? aborted(signal) : toDeclipError(error)
  } finally {
    signal?.removeEventListener('abort', cancel)
  }
}
