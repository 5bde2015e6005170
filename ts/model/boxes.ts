import { Tensor } from '../engine/tensor.js'
import { DeclipError, describe, invalid } from '../errors.js'

/** Boxes: rows of [x1, y1, x2, y2] in a picture's pixels, or a float tensor [K, 4] of them. */
export type Boxes = readonly (readonly number[])[] | Tensor

/** Left, upper, right and lower edge in pixels of a picture. */
export type Box = readonly [x1: number, y1: number, x2: number, y2: number]

/**
 * The corners of boxes, box after box; a list is read before this returns.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG for what is no box, with its index
 * @internal
 */
export async function boxRows(boxes: Boxes): Promise<Float64Array> {
  if (boxes instanceof Tensor) {
    const data = await boxes.data()
    if (boxes.shape.length !== 2 || boxes.shape[1] !== 4 || !(data instanceof Float32Array)) {
      throw invalid('boxes', 'a float tensor [K, 4]', `${boxes.dtype} [${boxes.shape}]`)
    }
    const rows = Float64Array.from(data)
    for (let i = 0; i < rows.length; i += 4) checkBox(rows.subarray(i, i + 4), i / 4)
    return rows
  }
  if (!Array.isArray(boxes)) throw invalid('boxes', 'a list of [x1, y1, x2, y2] in pixels', boxes)
  const rows = new Float64Array(4 * boxes.length)
  for (const [i, box] of boxes.entries()) {
    checkBox(box, i)
    rows.set(box, 4 * i)
  }
  return rows
}

function checkBox(box: unknown, i: number): void {
  const isRow = (Array.isArray(box) || box instanceof Float64Array) && box.length === 4
  const [x1, y1, x2, y2] = (isRow ? box : []) as [number, number, number, number]
  if ([x1, y1, x2, y2].every(Number.isFinite) && x2 >= x1 && y2 >= y1) return
  const got = isRow || Array.isArray(box) ? `[${box}]` : describe(box)
  throw new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `boxes[${i}] must be [x1, y1, x2, y2] in pixels with x2 >= x1 and y2 >= y1, received ${got}.`,
  )
}
