/**
 * What the window and the utility process say to each other. The window sends
 *
 *   { type: 'init', id, model? }                     load a model: by default the one that is set, else the bundled
 *   { type: 'segment', id, image, classes, options } image: the bytes of a picture file; options: method, shortSide
 *   { type: 'setup', id }                            download LibTorch, after the user has agreed
 *   { type: 'abort', id }                            stop the request of that id
 *
 * and is told
 *
 *   { type: 'progress', id, step, done, total }      any number of times
 *   { type: 'result', id, result }                   once, or
 *   { type: 'error', id, error }                     once: DeclipError.toJSON()
 *
 * This file loads nothing, so that both sides can.
 */

const MAX_BYTES = 64e6
const MAX_CLASSES = 300

/** Why a message is no request, or undefined. A window is not trusted: it shows files of others. */
export function problemOf(message) {
  const { type, id, image, classes, options = {}, model } = message ?? {}
  if (!Number.isSafeInteger(id)) return 'id must be a whole number'
  if (type === 'setup' || type === 'abort') return undefined
  if (type === 'init') return isTextOrNothing(model) ? undefined : 'model must be a name'
  if (type !== 'segment') return 'type must be init, segment, setup or abort'
  if (!(image instanceof Uint8Array) || image.length > MAX_BYTES) {
    return `image must be bytes, at most ${MAX_BYTES}`
  }
  if (!Array.isArray(classes) || classes.length === 0 || classes.length > MAX_CLASSES) {
    return `classes must be 1 to ${MAX_CLASSES} names`
  }
  if (classes.some(name => typeof name !== 'string')) return 'classes must be names'
  const { method, shortSide } = options
  if (!isTextOrNothing(method)) return 'options.method must be a name'
  if (shortSide !== undefined && !Number.isSafeInteger(shortSide))
    return 'options.shortSide must be whole'
  return undefined
}

function isTextOrNothing(value) {
  return value === undefined || (typeof value === 'string' && value.length <= 200)
}

/** Sends requests and waits for what becomes of them. */
export class Client {
  #send
  #open = new Map()
  #last = 0

  /** @param send - sends a message; what comes back is given to `receive` */
  constructor(send) {
    this.#send = send
  }

  receive(message) {
    const request = this.#open.get(message.id)
    if (message.type === 'progress') request?.onProgress?.(message)
    else if (message.type === 'result') request?.resolve(message.result)
    else if (message.type === 'error') request?.reject(toError(message.error))
  }

  /** The other side is gone: whatever waits for it fails. */
  close(reason) {
    for (const { reject } of this.#open.values())
      reject(toError({ message: reason, code: 'CLOSED' }))
  }

  init(fields = {}, options) {
    return this.#request({ type: 'init', ...fields }, options)
  }

  segment(fields, options) {
    return this.#request({ type: 'segment', ...fields }, options)
  }

  setup(options) {
    return this.#request({ type: 'setup' }, options)
  }

  async #request(fields, { signal, onProgress } = {}) {
    signal?.throwIfAborted()
    const id = ++this.#last
    const abort = () => this.#send({ type: 'abort', id })
    try {
      return await new Promise((resolve, reject) => {
        this.#open.set(id, { resolve, reject, onProgress })
        signal?.addEventListener('abort', abort)
        this.#send({ id, ...fields })
      })
    } finally {
      signal?.removeEventListener('abort', abort)
      this.#open.delete(id)
    }
  }
}

/** An error with the name and code that DeclipError.toJSON() kept; a window has no DeclipError. */
function toError({ name = 'Error', message, code }) {
  return Object.assign(new Error(message), { name, code })
}
