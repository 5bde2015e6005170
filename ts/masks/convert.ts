import type { CallOptions } from '../base/call.js'
import { whole } from '../base/field.js'
import { admit } from '../engine/admission.js'
import { prepareAddon } from '../engine/load-addon.js'
import { Tensor } from '../engine/tensor.js'
import { invalid } from '../errors.js'
import { type MeasuredRle, toMeasuredRles } from './coco-rle.js'
import { type MaskInput, toMasks } from './mask-input.js'
import { type MaskShape, nameShapes } from './pack-shapes.js'

/** The picture that masks are of, in pixels. */
export interface PictureSize {
  readonly width: number
  readonly height: number
}

const SIDE = whole(1, 2 ** 31 - 1)

/**
 * Masks of any form as an array of pixels: uint8 [K, height, width], 1 inside (a Tensor as it came). Polygons are
 * filled exactly as pycocotools does it.
 *
 * @example
 * ```ts
 * using masks = await decodeMasks([{ size: [2, 3], counts: [2, 1, 3] }], { width: 3, height: 2 })
 * masks.shape // [1, 2, 3]
 * ```
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG naming the mask by its place, ERR_DECLIP_IO, ERR_DECLIP_IMAGE,
 * ERR_DECLIP_ABORTED, ERR_DECLIP_BUSY
 */
export async function decodeMasks(
  masks: MaskInput,
  size: PictureSize,
  options: CallOptions = {},
): Promise<Tensor> {
  return admit(options, async call => {
    checkSize(size)
    await prepareAddon()
    return new Tensor(await toMasks(masks, size, call))
  })
}

/**
 * Run lengths, COCO polygons and polygons with holes as COCO's run lengths, counts as pycocotools' string, with area
 * and box.
 *
 * @example
 * ```ts
 * const [square] = await encodeMasks([[[0, 0, 2, 0, 2, 2, 0, 2]]], { width: 3, height: 2 })
 * square?.area // 4
 * ```
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG naming the mask by its place, ERR_DECLIP_ABORTED, ERR_DECLIP_BUSY
 */
export async function encodeMasks(
  masks: readonly MaskShape[],
  size: PictureSize,
  options: CallOptions = {},
): Promise<MeasuredRle[]> {
  return admit(options, async call => {
    checkSize(size)
    if (!Array.isArray(masks)) throw invalid('masks', 'a list of run lengths or polygons', masks)
    await prepareAddon()
    return toMeasuredRles(nameShapes(masks, size), call)
  })
}

function checkSize(size: PictureSize): void {
  if (typeof size !== 'object' || size === null) throw invalid('size', '{ width, height }', size)
  for (const name of ['width', 'height'] as const) {
    if (!SIDE.holds(size[name])) throw invalid(`size.${name}`, SIDE.range, size[name])
  }
}
