import { invalid } from '../errors.js'

/** What every call that takes time accepts. */
export interface CallOptions {
  /** Stops the call between windows and transformer blocks; it then rejects with ERR_DECLIP_ABORTED. */
  signal?: AbortSignal | undefined
  /** Told how far the call is: a fraction from 0 to 1 and the name of the step. */
  onProgress?: ((progress: Progress) => void) | undefined
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

/**
 * Checks what every call takes.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG
 * @internal
 */
export function checkCall(options: CallOptions): void {
  if (typeof options !== 'object' || options === null)
    throw invalid('options', 'an object', options)
  const { signal, onProgress } = options
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw invalid('signal', 'an AbortSignal', signal)
  }
  if (onProgress !== undefined && typeof onProgress !== 'function') {
    throw invalid('onProgress', 'a function', onProgress)
  }
}
