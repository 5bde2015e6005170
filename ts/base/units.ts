/** Amounts as people read them. */

/** '605.2 MB'; '1.21 GB' from a thousand megabytes on. */
export function megabytes(bytes: number): string {
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`
}
