import type { Call } from '../base/call.js'
import { warnOnce } from '../base/warn.js'
import type { NativeAddon, NativePicture, NativePipeline } from '../engine/addon-types.js'
import { callNative } from '../engine/call-native.js'
import { loadAddon } from '../engine/load-addon.js'
import type { Tensor } from '../engine/tensor.js'
import { DeclipError, invalid, toDeclipError } from '../errors.js'
import type { Picture } from '../image/source.js'

/** By which listeners know that a picture has very many windows. */
export const MANY_WINDOWS_WARNING = 'DECLIP_MANY_WINDOWS'

/** More windows than this are worth a warning. */
const MANY_WINDOWS = 200

/** A picture as native calls take it, to be disposed when they are done. @internal */
export interface ReadyPicture {
  readonly picture: NativePicture
  dispose(): void
}

/**
 * Waits until a picture is decoded and shrinks it to the size that its windows are cut from, so that its
 * own pixels are given back before the call waits for its turn.
 *
 * @internal
 */
export async function readyPicture(
  image: Picture,
  pipeline: NativePipeline,
  call: Call & { readonly whole?: boolean | undefined },
): Promise<ReadyPicture> {
  const addon = loadAddon()
  const { pixels, width, height } = await image.decode()
  warnOfWindows(addon, pipeline, width, height)
  const { shortSide, longSide, enlarge, proxySeesPicture = false } = pipeline
  const catSeg = pipeline.catSeg !== undefined
  // A foundation model may see the picture in its own size, and a bank's does.
  const whole = proxySeesPicture || pipeline.bank !== undefined || call.whole
  if (whole || shortSide === 0 || Math.min(width, height) <= shortSide) {
    return { picture: pixels, dispose: () => {} }
  }
  const small = await callNative(addon, { ...call, onProgress: undefined }, job =>
    addon.resize({ ...job, ...pixels, shortSide, longSide, enlarge, catSeg }),
  )
  image.close()
  return { picture: { pixels: small, of: { width, height } }, dispose: () => small.dispose() }
}

function warnOfWindows(
  addon: NativeAddon,
  { dense: _, ...pipeline }: NativePipeline,
  width: number,
  height: number,
): void {
  const windows = countWindows(addon, { ...pipeline, width, height })
  if (windows <= MANY_WINDOWS) return
  const { window, stride, shortSide } = { ...pipeline, ...cutsOf(pipeline) }
  const resized = shortSide === 0 ? 'in its own size' : `with shortSide ${shortSide}`
  warnOnce(
    `A picture of ${width} x ${height} pixels ${resized} has ${windows} windows of ${window} pixels, every ` +
      `${stride}, each of which goes through the model. A smaller shortSide makes it much faster; a larger ` +
      'stride does, too.',
    MANY_WINDOWS_WARNING,
    MANY_WINDOWS_WARNING,
  )
}

/** What CAT-Seg's windows are called; those of its released heads where nothing is said. */
function cutsOf({ catSeg }: Omit<NativePipeline, 'dense'>): { window?: number; stride?: number } {
  return catSeg === undefined ? {} : { window: catSeg.cut ?? 384, stride: catSeg.stride ?? 256 }
}

function countWindows(
  addon: NativeAddon,
  options: Parameters<NativeAddon['countWindows']>[0],
): number {
  try {
    return addon.countWindows(options)
  } catch (error) {
    throw toDeclipError(error)
  }
}

/** Where an overlay of a tensor's labels would come from. @internal */
export async function noPicture(): Promise<never> {
  throw new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    'A tensor has no picture to draw on; pass overlay: { image }.',
  )
}

/** Sides of a normalised picture, which must be one. @internal */
export function sizeOf(image: Tensor): { width: number; height: number } {
  const [batch, channels, height, width] = image.shape
  if (batch === 1 && channels === 3 && image.shape.length === 4 && image.dtype.includes('float')) {
    return { width: width as number, height: height as number }
  }
  throw invalid(
    'image',
    'a picture or a float tensor [1, 3, H, W]',
    `${image.dtype} [${image.shape}]`,
  )
}
