import type { Call } from '../base/call.js'
import type { NativePicture, NativePipeline } from '../engine/addon-types.js'
import { Tensor } from '../engine/tensor.js'
import { copyOut, openImage, type Picture } from '../image/source.js'
import {
  asksForPixels,
  type MaskPicture,
  type MaskProvider,
  toRegionMap,
} from '../masks/provider.js'
import { noPicture, readyPicture, sizeOf } from './picture.js'

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
  call: Call & {
    readonly masks?: MaskProvider | undefined
    /** The picture is wanted in its own size. */
    readonly whole?: boolean | undefined
  },
): Promise<PlacedPicture> {
  const { masks } = call
  if (masks === undefined) return placed(picture, pipeline, call)
  const asked = await withMasks(picture, masks, call, toRegionMap)
  const { found: regions, masksMs } = asked
  try {
    const made = await placed(asked.picture, { ...pipeline, regions }, call)
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
  call: Call & { readonly whole?: boolean | undefined },
): Promise<PlacedPicture> {
  if (picture instanceof Tensor) {
    return { ready: { tensor: picture.native }, pipeline, dispose: () => {} }
  }
  const { picture: ready, dispose } = await readyPicture(picture, pipeline, call)
  return { ready, pipeline, dispose }
}

interface WithMasks<Found> {
  /** Instead of the picture that was given, which may be closed. */
  readonly picture: Opened
  /** What `get` gave. */
  readonly found: Found
  readonly masksMs: number
}

/**
 * Asks for a picture's masks. What makes them of pixels has a copy of these, and may take long and open pictures
 * itself, so the place to decode is given back before it is asked.
 *
 * @internal
 */
export async function withMasks<Found>(
  picture: Opened,
  provider: MaskProvider,
  call: Call,
  get: (provider: MaskProvider, picture: MaskPicture, call: Call) => Promise<Found>,
): Promise<WithMasks<Found>> {
  const { signal } = call
  if (picture instanceof Tensor) {
    const start = performance.now()
    const found = await get(provider, { ...sizeOf(picture), signal, pixels: noPicture }, call)
    return { picture, found, masksMs: performance.now() - start }
  }
  const { path } = picture
  const decoded = await picture.decode()
  const { width, height } = decoded
  const size = { width, height }
  const start = performance.now()
  if (!asksForPixels(provider)) {
    const pixels = () => copyOut(decoded)
    const found = await get(provider, { ...size, path, signal, pixels }, call)
    return { picture, found, masksMs: performance.now() - start }
  }
  const { data } = await copyOut(decoded)
  picture.close()
  const pixels = async () => ({ data: data.slice(), ...size })
  const found = await get(provider, { ...size, path, signal, pixels }, call)
  const masksMs = performance.now() - start
  const copy = openImage({ data, ...size, channels: 3 }, { transfer: true })
  return { picture: copy, found, masksMs }
}
