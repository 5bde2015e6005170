import type { Call } from '../base/call.js'
import type { NativePicture, NativePipeline, NativeTensor } from '../engine/addon-types.js'
import { Tensor } from '../engine/tensor.js'
import { copyOut, openImage, type Picture } from '../image/source.js'
import { asksForPixels, type MaskProvider, toRegionMap } from '../masks/provider.js'
import { noPicture, readyPicture } from './picture.js'
import { sizeOf } from './region-features.js'

/** A picture that was taken over, or the tensor that it is. @internal */
export type Opened = Tensor | Picture

/** A picture as a pipeline's native call takes it, to be disposed when that is done. @internal */
export interface PlacedPicture {
  readonly ready: NativePicture
  /** With the picture's regions. */
  readonly pipeline: NativePipeline
  /** What getting its masks took; undefined without masks. */
  readonly masksMs?: number | undefined
  dispose(): void
}

/**
 * Waits until a picture is decoded, gets its regions and makes both ready for a pipeline.
 *
 * @param call - `masks` as holdProvider() gave them
 * @internal
 */
export async function placeRegions(
  picture: Opened,
  pipeline: NativePipeline,
  call: Call & { readonly masks?: MaskProvider | undefined },
): Promise<PlacedPicture> {
  const { masks } = call
  if (masks === undefined) return placed(picture, pipeline, call)
  const found = await withRegions(picture, masks, call)
  const { regions, masksMs } = found
  try {
    const made = await placed(found.picture, { ...pipeline, regions }, call)
    const dispose = () => {
      made.dispose()
      regions.dispose()
    }
    return { ...made, masksMs, dispose }
  } catch (error) {
    regions.dispose()
    throw error
  }
}

async function placed(
  picture: Opened,
  pipeline: NativePipeline,
  call: Call,
): Promise<PlacedPicture> {
  if (picture instanceof Tensor) {
    return { ready: { tensor: picture.native }, pipeline, dispose: () => {} }
  }
  const { picture: ready, dispose } = await readyPicture(picture, pipeline, call)
  return { ready, pipeline, dispose }
}

interface WithRegions {
  /** Instead of the picture that was given, which may be closed. */
  readonly picture: Opened
  /** int32 [H, W] of the picture as it came; the caller disposes of it. */
  readonly regions: NativeTensor
  readonly masksMs: number
}

/**
 * What makes masks of pixels has a copy of them and may take long and open pictures itself, so the place to decode is
 * given back before it is asked.
 */
async function withRegions(
  picture: Opened,
  provider: MaskProvider,
  call: Call,
): Promise<WithRegions> {
  const { signal } = call
  if (picture instanceof Tensor) {
    const start = performance.now()
    const asked = { ...sizeOf(picture), signal, pixels: noPicture }
    const regions = await toRegionMap(provider, asked, call)
    return { picture, regions, masksMs: performance.now() - start }
  }
  const { path } = picture
  const decoded = await picture.decode()
  const { width, height } = decoded
  const size = { width, height }
  const start = performance.now()
  if (!asksForPixels(provider)) {
    const pixels = () => copyOut(decoded)
    const regions = await toRegionMap(provider, { ...size, path, signal, pixels }, call)
    return { picture, regions, masksMs: performance.now() - start }
  }
  const { data } = await copyOut(decoded)
  picture.close()
  const pixels = async () => ({ data: data.slice(), ...size })
  const regions = await toRegionMap(provider, { ...size, path, signal, pixels }, call)
  const masksMs = performance.now() - start
  const copy = openImage({ data, ...size, channels: 3 }, { transfer: true })
  return { picture: copy, regions, masksMs }
}
