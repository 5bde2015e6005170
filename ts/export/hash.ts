import { createHash } from 'node:crypto'

/** A number from 0 to 1 (excluded) that belongs to a text, spread evenly: 48 bits of SHA-256. */
export function partOf(text: string): number {
  return createHash('sha256').update(`part of ${text}`).digest().readUIntBE(0, 6) / 2 ** 48
}
