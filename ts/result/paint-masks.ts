import { inTurns } from '../base/event-loop.js'
import type { Rle } from '../masks/rle.js'

/**
 * A label map, row by row, with a value inside every mask and 0 elsewhere; a later mask covers an earlier one.
 *
 * @param masks - with counts as numbers; values are 0 to 65535
 * @internal
 */
export async function paintMasks(
  masks: readonly { readonly mask?: Rle | undefined; readonly value: number }[],
  width: number,
  height: number,
): Promise<Uint8Array | Uint16Array> {
  const most = masks.reduce((highest, { value }) => Math.max(highest, value), 0)
  const map = most < 256 ? new Uint8Array(width * height) : new Uint16Array(width * height)
  for (const { mask, value } of masks) {
    if (!mask) continue
    let [x, y] = [0, 0]
    await inTurns(mask.counts as readonly number[], (length, i) => {
      for (let rest = length; rest > 0; ) {
        const piece = Math.min(rest, height - y)
        if (i % 2 === 1) {
          for (let at = y * width + x, n = piece; n > 0; n--, at += width) map[at] = value
        }
        rest -= piece
        y += piece
        if (y === height) [x, y] = [x + 1, 0]
      }
    })
  }
  return map
}
