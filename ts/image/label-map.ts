/** A label map: the class index of every pixel, row by row. */
export interface LabelMap {
  readonly data: Uint8Array | Uint16Array
  readonly width: number
  readonly height: number
}
