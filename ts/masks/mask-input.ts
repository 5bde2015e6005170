import { types } from 'node:util'
import type { Call } from '../base/call.js'
import type { NativeTensor } from '../engine/addon-types.js'
import { callNative } from '../engine/call-native.js'
import { loadAddon } from '../engine/load-addon.js'
import { Tensor } from '../engine/tensor.js'
import { DeclipError, invalid } from '../errors.js'
import type { LabelMap } from '../image/label-map.js'
import { labelPicture } from './label-picture.js'
import { type MaskShape, nameShapes, packShapes } from './pack-shapes.js'

/**
 * Masks of one picture, in pixels of it, in any of these forms:
 *
 * - a uint8 or bool Tensor [K, H, W], not 0 inside;
 * - a list with one entry per mask: COCO run lengths ({@link Rle}, numbers or pycocotools' string), COCO polygons
 *   (a list of flat `[x1, y1, x2, y2, ...]`, filled as pycocotools does), or what `toPolygons()` and `objects()`
 *   give (a {@link Polygon} or a list of them);
 * - a label picture: the path or the bytes of an index PNG or of a grey one of 8 or 16 bits, or pixels
 *   `{ data, width, height }`. Every value but 255 (65535 of 16 bits) is one mask, in ascending order.
 */
export type MaskInput = Tensor | readonly MaskShape[] | string | URL | Uint8Array | LabelMap

/** Masks as native code takes them. @internal */
export interface ReadMasks {
  /** uint8 [K, H, W]; the caller disposes of it. */
  readonly masks: NativeTensor
  /** Of a label picture: the value of each mask. */
  readonly values?: readonly number[] | undefined
}

const ACCEPTED =
  'a uint8 Tensor [K, H, W], a list of run lengths or polygons, or a label picture (path, bytes, { data, width, height })'

/**
 * Masks of a picture of `size`: uint8 [K, H, W], 1 inside (a Tensor as it came). The caller disposes of it.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG naming the mask by its place, ERR_DECLIP_IO, ERR_DECLIP_IMAGE,
 * ERR_DECLIP_ABORTED
 * @internal
 */
export async function toMasks(
  masks: MaskInput,
  size: { readonly width: number; readonly height: number },
  call: Call,
): Promise<NativeTensor> {
  return (await readMasks(masks, size, call)).masks
}

/**
 * {@link toMasks} with the values of a label picture.
 *
 * @param first - the place of a list's first mask, where it is a part of a longer one
 * @internal
 */
export async function readMasks(
  masks: MaskInput,
  size: { readonly width: number; readonly height: number },
  call: Call,
  first = 0,
): Promise<ReadMasks> {
  if (masks instanceof Tensor) return { masks: checkTensor(masks, size) }
  const addon = loadAddon()
  if (Array.isArray(masks)) {
    const shapes = nameShapes(masks as readonly MaskShape[], size, first)
    const packed = await packShapes(shapes, call.signal)
    return {
      masks: await callNative(addon, call, job =>
        addon.masks({ ...job, ...packed.native, ...size }),
      ).catch(packed.rename),
    }
  }
  if (!isPicture(masks)) throw invalid('masks', ACCEPTED, masks)
  const labels = await labelPicture(masks, call)
  if (labels.width !== size.width || labels.height !== size.height) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `masks must be a label picture of the picture's size, ${size.width} x ${size.height}, received ${labels.width} x ${labels.height}.`,
    )
  }
  const dtype = types.isUint8Array(labels.data) ? 'uint8' : 'uint16'
  const map = addon.tensor(labels.data, [size.height, size.width], dtype)
  try {
    return await callNative(addon, call, job => addon.labelMasks({ ...job, labels: map }))
  } finally {
    map.dispose()
  }
}

/** Whether masks are a label picture. @internal */
export function isPicture(masks: unknown): masks is string | URL | Uint8Array | LabelMap {
  if (typeof masks === 'string' || masks instanceof URL || types.isUint8Array(masks)) return true
  return typeof masks === 'object' && masks !== null && 'data' in masks
}

/** @internal */
export function checkTensor(
  masks: Tensor,
  { width, height }: { readonly width: number; readonly height: number },
): NativeTensor {
  const [count, h, w] = masks.shape
  const fits = masks.shape.length === 3 && h === height && w === width
  if (count === undefined || !fits || (masks.dtype !== 'uint8' && masks.dtype !== 'bool')) {
    throw invalid(
      'masks',
      `a uint8 Tensor [K, ${height}, ${width}]`,
      `${masks.dtype} [${masks.shape}]`,
    )
  }
  return masks.native.slice(0, 0, count)
}

/** Masks that the caller may change from now on. @internal */
export function ownMasks(masks: MaskInput): MaskInput {
  if (Array.isArray(masks)) return [...masks]
  if (types.isUint8Array(masks)) return new Uint8Array(masks)
  if (!isLabelMap(masks)) return masks
  const { data, width, height } = masks
  const isLabels = types.isUint8Array(data) || types.isUint16Array(data)
  return isLabels ? { data: data.slice(), width, height } : masks
}

/** @internal */
export function isLabelMap(masks: MaskInput): masks is LabelMap {
  return typeof masks === 'object' && masks !== null && 'width' in masks && 'data' in masks
}
