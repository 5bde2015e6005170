import type { Rle } from '../masks/rle.js'

/** A thing that was found, in pixels of the picture. @internal */
export interface Found {
  readonly box: readonly [x1: number, y1: number, x2: number, y2: number]
  readonly score: number
  /** Index into the classes. */
  readonly label: number
  readonly mask?: Rle | undefined
}

/** Pixels of its box. @internal */
export function boxArea({ box: [x1, y1, x2, y2] }: Found): number {
  return (x2 - x1) * (y2 - y1)
}
