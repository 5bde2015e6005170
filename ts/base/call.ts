import { invalid } from '../errors.js'

/** Which of the calls that wait goes first. */
export type Priority = 'high' | 'normal' | 'low'

/** From the last to the first. */
const PRIORITIES = ['low', 'normal', 'high'] as const

/** What every call that takes time accepts. */
export interface CallOptions {
  /** Stops the call between windows and transformer blocks; it then rejects with ERR_DECLIP_ABORTED. */
  signal?: AbortSignal | undefined
  /** Told how far the call is: a fraction from 0 to 1 and the name of the step. */
  onProgress?: ((progress: Progress) => void) | undefined
  /**
   * Calls of a higher one are decoded and computed first; what runs already is not interrupted, and the lower
   * ones get an eighth of the time. Default 'normal', of queries of a view 'high'.
   */
  priority?: Priority | undefined
  /**
   * Whose call it is, such as a user's name: within a priority, clients take turns. Default: one client for all calls
   * that name none.
   */
  client?: string | undefined
  /**
   * Milliseconds from now after which the call is stopped, whether it waits, decodes or computes: it rejects with
   * ERR_DECLIP_ABORTED, whose `cause` is a DOMException named TimeoutError. Default: none.
   */
  timeout?: number | undefined
}

/** A progress report. */
export interface Progress {
  /** The step that is running, such as 'download', 'load', 'encode' or 'pixels'. */
  readonly step: string
  /** Units done so far (windows, planes, bytes). */
  readonly done: number
  /** Units in all, 0 where it is not known. */
  readonly total: number
}

/** A call from its entry on. @internal */
export interface Call extends CallOptions {
  /** Larger for every call that is made: those of one client and priority go by it. */
  order?: number | undefined
}

/** 0 for the last to 2 for the first. @internal */
export function priorityOf({ priority = 'normal' }: CallOptions): 0 | 1 | 2 {
  return PRIORITIES.indexOf(priority) as 0 | 1 | 2
}

/** What the parts of a call are given, without its other options. @internal */
export function callOf({ signal, onProgress, priority, client, order }: Call): Call {
  return { signal, onProgress, priority, client, order }
}

/** What a timer can wait, in milliseconds. */
const LONGEST = 2 ** 31 - 1

/**
 * Checks what every call takes.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG
 * @internal
 */
export function checkCall(options: CallOptions): void {
  if (typeof options !== 'object' || options === null)
    throw invalid('options', 'an object', options)
  const { signal, onProgress, priority, client, timeout } = options
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw invalid('signal', 'an AbortSignal', signal)
  }
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw invalid('onProgress', 'a function', onProgress)
  }
  if (priority !== undefined && !PRIORITIES.includes(priority)) {
    throw invalid('priority', "'high', 'normal' or 'low'", priority)
  }
  if (client !== undefined && typeof client !== 'string')
    throw invalid('client', 'a string', client)
  if (
    timeout !== undefined &&
    !(timeout >= 0 && timeout <= LONGEST && typeof timeout === 'number')
  ) {
    throw invalid('timeout', `a number of milliseconds, 0 to ${LONGEST}`, timeout)
  }
}
