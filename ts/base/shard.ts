import { createHash } from 'node:crypto'

/** A part of the pictures: `index` from 1 to `count`. @internal */
export interface Shard {
  readonly index: number
  readonly count: number
}

/** The part that 'i/n' names; undefined for what is none. @internal */
export function parseShard(text: string): Shard | undefined {
  const [, index, count] = (/^(\d{1,6})\/(\d{1,6})$/.exec(text) ?? []).map(Number)
  if (index === undefined || count === undefined || index < 1 || index > count) return undefined
  return { index, count }
}

/**
 * Whether a picture belongs to a part. Every one belongs to exactly one of n, the same on every machine
 * and whatever other pictures there are: the first 48 bits of SHA-256 of its place, modulo n.
 *
 * @internal
 */
export function inShard(place: string, { index, count }: Shard): boolean {
  const hash = createHash('sha256').update(place).digest().readUIntBE(0, 6)
  return hash % count === index - 1
}
