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
  'ERR_DECLIP_INTERNAL',
] as const

/** One of {@link ERROR_CODES}. */
export type ErrorCode = (typeof ERROR_CODES)[number]

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
