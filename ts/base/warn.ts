/** What a warning begins with on the command line. @internal */
export const WARNING = 'declip: warning: '

const said = new Set<string>()

/**
 * Emits a process warning the first time a text comes by.
 *
 * @param code - by which listeners and `node --disable-warning=CODE` know it
 * @param about - what is said only once, where the text has figures that change; the text itself otherwise
 * @internal
 */
export function warnOnce(warning: string | null, code?: string, about = warning): void {
  if (warning === null || about === null || said.has(about)) return
  said.add(about)
  process.emitWarning(warning, { type: 'DeclipWarning', ...(code && { code }) })
}

/** Emits a process warning. @internal */
export function warn(warning: string | null): void {
  if (warning !== null) process.emitWarning(warning, { type: 'DeclipWarning' })
}
