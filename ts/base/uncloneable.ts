import { DeclipError } from '../errors.js'

/**
 * Makes structuredClone(), postMessage() and child processes' messages refuse a native handle and
 * whatever holds it: they would send an empty object in its place.
 *
 * @param handle - never read by its properties
 * @param advice - what the handle is and what to send
 * @internal
 */
export function refuseClones(handle: object, advice: string): void {
  Object.defineProperty(handle, 'uncloneable', {
    // Clones read enumerable properties; inspect() and debuggers show a getter without calling it.
    enumerable: true,
    configurable: true,
    get() {
      throw new DeclipError('ERR_DECLIP_INVALID_ARG', advice)
    },
  })
}
