import type { Call } from '../base/call.js'
import { callNative } from '../engine/call-native.js'
import { loadAddon } from '../engine/load-addon.js'
import { type NamedShape, packShapes } from './pack-shapes.js'
import type { Rle } from './rle.js'

/** A mask as run lengths, with what data sets tell of it. */
export interface MeasuredRle {
  /** Counts as pycocotools' string. */
  readonly rle: Rle
  /** Pixels inside. */
  readonly area: number
  /** x, y, width and height in pixels; zeros where nothing is inside. */
  readonly box: readonly [number, number, number, number]
}

/**
 * Segmentations of any form, of pictures of any sizes, as run lengths: one native call for all of them.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG, beginning with the shape's `name`, or ERR_DECLIP_ABORTED
 * @internal
 */
export async function toMeasuredRles(
  shapes: readonly NamedShape[],
  call: Call,
): Promise<MeasuredRle[]> {
  const addon = loadAddon()
  const packed = await packShapes(shapes, call.signal)
  const { strings, areas, boxes } = await callNative(addon, call, job =>
    addon.rleOf({ ...job, ...packed.native }),
  ).catch(packed.rename)
  return shapes.map(({ width, height }, i) => ({
    rle: { size: [height, width], counts: strings[i] as string },
    area: areas[i] as number,
    box: [...boxes.subarray(4 * i, 4 * i + 4)] as [number, number, number, number],
  }))
}
