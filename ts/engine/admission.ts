import { onAbort } from '../base/abort.js'
import { type Call, type CallOptions, checkCall } from '../base/call.js'
import { aborted, DeclipError } from '../errors.js'
import { loadedAddon } from './load-addon.js'
import { settings } from './settings.js'
import { counters, ended } from './stats.js'

/**
 * The one way into a call that takes time: checks its options, gives it its place and its deadline, or refuses it.
 * `work` is called before this returns, so that it can copy what the caller may change.
 *
 * @param counts - false for what is no work of its own, such as loading a model: never refused, not counted
 * @param refusable - false for parts of what was let in before
 * @throws DeclipError ERR_DECLIP_INVALID_ARG, ERR_DECLIP_ABORTED or ERR_DECLIP_BUSY
 * @internal
 */
export async function admit<O extends CallOptions, T>(
  given: O,
  work: (options: O & Call) => Promise<T>,
  { counts = true, refusable = true } = {},
): Promise<T> {
  checkCall(given)
  if (given.signal?.aborted) throw aborted(given.signal)
  if (!counts) return within(given, work)
  if (refusable) refuseIfBusy()
  const start = performance.now()
  counters.active += 1
  try {
    const result = await within(given, work)
    ended('done', start)
    return result
  } catch (error) {
    ended((error as DeclipError).code === 'ERR_DECLIP_ABORTED' ? 'aborted' : 'failed', start)
    throw error
  } finally {
    counters.active -= 1
  }
}

/** @throws DeclipError ERR_DECLIP_BUSY @internal */
export function refuseIfBusy(): void {
  const { maxWaiting } = settings()
  if (counters.active <= maxWaiting) return
  counters.refused += 1
  throw new DeclipError(
    'ERR_DECLIP_BUSY',
    `Busy: ${counters.active} calls have not ended, and beside the one that is computed ${maxWaiting} may wait (configure({ maxWaiting })). Try again later.`,
  )
}

/** Under a signal that fires with the caller's own and when the time is up. */
async function within<O extends CallOptions, T>(
  given: O,
  work: (options: O & Call) => Promise<T>,
): Promise<T> {
  // Calls that are made before the addon is loaded are the first.
  const order = loadedAddon()?.ticket() ?? 0
  const { signal, timeout } = given
  if (timeout === undefined) return work({ ...given, order })
  const stop = new AbortController()
  const timer = setTimeout(
    () => stop.abort(new DOMException(`The call took longer than ${timeout} ms`, 'TimeoutError')),
    timeout,
  )
  const forget = onAbort(signal, () => stop.abort(signal?.reason))
  try {
    return await work({ ...given, order, signal: stop.signal })
  } finally {
    clearTimeout(timer)
    forget()
  }
}
