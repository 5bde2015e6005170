import { types } from 'node:util'

/** Every code a {@link DeclipError} can carry. Branch on these; message text may change. */
export const ERROR_CODES = [
  'ERR_DECLIP_INVALID_ARG',
  'ERR_DECLIP_DISPOSED',
  'ERR_DECLIP_WEIGHTS',
  'ERR_DECLIP_DEVICE',
  'ERR_DECLIP_OUT_OF_MEMORY',
  'ERR_DECLIP_ADDON_NOT_FOUND',
  'ERR_DECLIP_LIBTORCH',
  'ERR_DECLIP_IMAGE',
  'ERR_DECLIP_IO',
  'ERR_DECLIP_NETWORK',
  'ERR_DECLIP_PEER',
  'ERR_DECLIP_DIVERGED',
  'ERR_DECLIP_ABORTED',
  'ERR_DECLIP_BUSY',
  'ERR_DECLIP_INTERNAL',
] as const

/** One of {@link ERROR_CODES}. */
export type ErrorCode = (typeof ERROR_CODES)[number]

/** An error as plain data: what JSON.stringify() writes and messages carry. */
export interface ErrorJson {
  readonly name: string
  readonly message: string
  readonly code?: string | undefined
  /** What caused it: an error as plain data, or what else was thrown. */
  readonly cause?: ErrorJson | string | number | boolean | null | undefined
}

/**
 * The one error class of the package.
 *
 * @example
 * ```ts
 * try {
 *   await loadModel('model.safetensors')
 * } catch (error) {
 *   if (error instanceof DeclipError && error.code === 'ERR_DECLIP_WEIGHTS') console.error(error.message)
 * }
 * ```
 */
export class DeclipError extends Error {
  /** What went wrong, for programs. */
  readonly code: ErrorCode

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = code === 'ERR_DECLIP_ABORTED' ? 'AbortError' : 'DeclipError'
    this.code = code
  }

  /**
   * Code, name, message and cause as plain data. Messages between threads, processes and windows keep
   * neither class nor code of an error: send this, and make it an error again by
   * {@link DeclipError.fromJSON}. The stack, which names places on this machine, is left out.
   */
  toJSON(): ErrorJson & { readonly code: ErrorCode } {
    const { name, code, message } = this
    const json = { name, code, message }
    return this.cause === undefined ? json : { ...json, cause: toPlain(this.cause, MAX_CAUSES) }
  }

  /**
   * The error that {@link DeclipError.toJSON} gave on the other side. A code that this release does not
   * know, as another release may send, becomes ERR_DECLIP_INTERNAL.
   *
   * @throws DeclipError ERR_DECLIP_INVALID_ARG for what is no error
   */
  static fromJSON(json: ErrorJson): DeclipError {
    if (!isErrorJson(json)) throw invalid('json', 'an error as toJSON() gives it', json)
    const code = ERROR_CODES.find(known => known === json.code) ?? 'ERR_DECLIP_INTERNAL'
    return new DeclipError(code, json.message, causeOf(json, MAX_CAUSES))
  }
}

/** Causes of causes that are kept; an error can be its own. */
const MAX_CAUSES = 8

function toPlain(value: unknown, depth: number): ErrorJson['cause'] {
  if (value instanceof Error || types.isNativeError(value)) {
    const { name, message, cause } = value
    const { code } = value as { code?: unknown }
    return {
      name: String(name),
      message: String(message),
      ...(typeof code === 'string' && { code }),
      ...(cause !== undefined && depth > 1 && { cause: toPlain(cause, depth - 1) }),
    }
  }
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value
  return Number.isFinite(value) ? (value as number) : describe(value)
}

function fromPlain(value: ErrorJson['cause'], depth: number): unknown {
  if (!isErrorJson(value)) return value
  const error = new Error(value.message, causeOf(value, depth - 1))
  const fields = { name: value.name, ...(value.code !== undefined && { code: value.code }) }
  for (const [field, text] of Object.entries(fields)) {
    Object.defineProperty(error, field, { value: text, configurable: true, writable: true })
  }
  return error
}

function causeOf({ cause }: ErrorJson, depth: number): { cause?: unknown } {
  return cause === undefined || depth < 1 ? {} : { cause: fromPlain(cause, depth) }
}

function isErrorJson(value: unknown): value is ErrorJson {
  const { name, message } = (value ?? {}) as { name?: unknown; message?: unknown }
  return typeof name === 'string' && typeof message === 'string'
}

/** A wrong argument: `what` was expected, `got` came. @internal */
export function invalid(name: string, expected: string, got: unknown): DeclipError {
  return new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `${name} must be ${expected}, received ${describe(got)}.`,
  )
}

/** The error of a call whose signal fired. @internal */
export function aborted(signal: AbortSignal): DeclipError {
  return new DeclipError('ERR_DECLIP_ABORTED', 'The call was aborted.', { cause: signal.reason })
}

/** Codes of errors that would come with every picture. */
const OF_EVERY_PICTURE: ReadonlySet<ErrorCode> = new Set([
  'ERR_DECLIP_ABORTED',
  'ERR_DECLIP_ADDON_NOT_FOUND',
  'ERR_DECLIP_DEVICE',
  'ERR_DECLIP_DISPOSED',
  'ERR_DECLIP_LIBTORCH',
  'ERR_DECLIP_NETWORK',
  'ERR_DECLIP_WEIGHTS',
])

/** Whether what one picture of many met would come with every other, so that there is no sense in going on. @internal */
export function isOfEveryPicture(error: unknown): boolean {
  return !(error instanceof DeclipError) || OF_EVERY_PICTURE.has(error.code)
}

/**
 * Turns whatever was thrown into a {@link DeclipError}. An error made natively has a one-line
 * stack; the one made here, after the `await`, shows the caller's frames. @internal
 */
export function toDeclipError(error: unknown): DeclipError {
  if (error instanceof DeclipError) return error
  const code = (error as { code?: unknown } | null)?.code
  const message = error instanceof Error ? error.message : String(error)
  const known = ERROR_CODES.find(c => c === code)
  return new DeclipError(known ?? 'ERR_DECLIP_INTERNAL', message, { cause: error })
}

/** A short, safe rendering of any value for a message. @internal */
export function describe(value: unknown): string {
  if (typeof value === 'string') {
    return value.length > 60 ? `'${value.slice(0, 57)}...'` : `'${value}'`
  }
  if (value === null || typeof value !== 'object') {
    return typeof value === 'function' ? 'a function' : String(value)
  }
  if (Array.isArray(value)) return `an array of ${value.length}`
  const name = (value as object).constructor?.name
  return name && name !== 'Object' ? `an instance of ${name}` : 'an object'
}
