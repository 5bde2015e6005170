import { onAbort } from '../base/abort.js'
import { type Call, priorityOf } from '../base/call.js'
import { aborted, toDeclipError } from '../errors.js'
import type { NativeAddon, NativeCall } from './addon-types.js'
import { counters } from './stats.js'

/**
 * Runs one native call under the caller's signal and progress callback; what it throws becomes a
 * DeclipError with the caller's stack.
 *
 * @internal
 */
export async function callNative<T>(
  addon: Pick<NativeAddon, 'CancelToken'>,
  options: Call,
  run: (call: NativeCall) => Promise<T>,
): Promise<T> {
  const { signal, onProgress, client, order } = options
  if (signal?.aborted) throw aborted(signal)
  const token = new addon.CancelToken()
  const cancel = () => token.cancel()
  const forget = onAbort(signal, cancel)
  let thrown: { error: unknown } | undefined
  const report: NativeCall['onProgress'] = (step, done, total) => {
    try {
      onProgress?.({ step, done, total })
    } catch (error) {
      // There is no caller to throw to: the call is stopped and rejects with it.
      thrown ??= { error }
      token.cancel()
    }
  }
  counters.queued += 1
  try {
    const result = await run({
      token,
      onProgress: onProgress && report,
      priority: priorityOf(options),
      client,
      order,
    })
    if (thrown) throw thrown.error
    return result
  } catch (error) {
    if (thrown) throw thrown.error
    throw signal?.aborted ? aborted(signal) : toDeclipError(error)
  } finally {
    counters.queued -= 1
    forget()
  }
}
