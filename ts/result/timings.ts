/** Wall-clock time of the steps of a call, in milliseconds. */
export interface Timings {
  /** Reading and decoding the picture. */
  readonly decodeMs?: number | undefined
  /** Getting the masks of the picture, where there are some. */
  readonly masksMs?: number | undefined
  /** Tokenising and encoding the class names. */
  readonly textMs?: number | undefined
  /** The vision tower. */
  readonly encodeMs: number
  /** Everything after it, at the picture's resolution. */
  readonly pixelsMs: number
  /** The whole call. */
  readonly totalMs?: number | undefined
}
