import type { Call } from '../base/call.js'
import type { NativeMaskGenerator, NativePixels } from '../engine/addon-types.js'
import { callNative } from '../engine/call-native.js'
import { type MaskGeneratorSettings, pointsOfLayer } from '../masks/generator-fields.js'
import type { Rle } from '../masks/rle.js'
import type { Engine } from './input.js'

/** A mask that {@link Model.generateMasks} found. */
export interface GeneratedMask {
  /** In the size of the upright picture; counts as pycocotools' string. */
  readonly rle: Rle
  /** Pixels inside. */
  readonly area: number
  /**
   * x, y, and the largest minus the smallest column and row inside, as in SAM's records: one less than the columns and
   * rows that it has. For their number, see {@link encodeMasks}.
   */
  readonly bbox: readonly [x: number, y: number, width: number, height: number]
  /** What the model guesses that the overlap with the true mask is; may exceed 1. */
  readonly predictedIou: number
  /**
   * Pixels of logits above the offset by those of logits above minus the offset, 0 to 1; NaN where there are none of
   * either, which no threshold but 0 lets pass.
   */
  readonly stability: number
  /** Where it was asked for, in pixels of the picture. */
  readonly point: readonly [x: number, y: number]
  /** The crop that it was found in; the whole picture without crops. */
  readonly cropBox: readonly [x: number, y: number, width: number, height: number]
}

/** The masks of a picture. @internal */
export interface GeneratedMasks {
  /** Of the upright picture, in pixels. */
  readonly size: { readonly width: number; readonly height: number }
  readonly masks: GeneratedMask[]
}

/** Numbers of a mask in what native code gives. */
const VALUES = 13

/**
 * The masks of a picture that is there as pixels.
 *
 * @throws DeclipError ERR_DECLIP_WEIGHTS where the model has no mask decoder, ERR_DECLIP_ABORTED
 * @internal
 */
export async function generateFrom(
  { addon, native }: Engine,
  pixels: NativePixels,
  settings: MaskGeneratorSettings,
  call: Call,
): Promise<GeneratedMasks> {
  const { counts, values, width, height } = await callNative(addon, call, job =>
    native.generateMasks({ ...job, ...pixels, ...nativeSettings(settings) }),
  )
  const masks = counts.map((text, i): GeneratedMask => {
    const [area, ...rest] = values.subarray(VALUES * i, VALUES * (i + 1))
    const four = (at: number) => rest.slice(at, at + 4) as [number, number, number, number]
    return {
      rle: { size: [height, width], counts: text },
      area: area as number,
      bbox: four(0),
      predictedIou: rest[4] as number,
      stability: rest[5] as number,
      point: [rest[6] as number, rest[7] as number],
      cropBox: four(8),
    }
  })
  return { size: { width, height }, masks }
}

function nativeSettings(settings: MaskGeneratorSettings): NativeMaskGenerator {
  const { points, cropLayers, pointsPerSide: _, cropPointsDownscale: __, ...rest } = settings
  const layers = Array.from({ length: cropLayers + 1 }, (_, layer) => layer)
  return {
    ...rest,
    cropLayers,
    perSide: points ? [] : layers.map(layer => pointsOfLayer(settings, layer)),
    points: points?.map(grid => Float64Array.from(grid.flat())) ?? [],
  }
}
