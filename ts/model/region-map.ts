import type { Call } from '../base/call.js'
import type { NativeDense, NativePooling, NativeTensor } from '../engine/addon-types.js'
import { callNative } from '../engine/call-native.js'
import type { Engine } from './input.js'

/** How a map is made. @internal */
export interface MapOptions {
  readonly dense: NativeDense
  readonly normalizeBeforePooling: boolean | undefined
}

/** How regions are pooled from it. @internal */
export interface PoolOptions {
  readonly normalize: boolean
  readonly imageIndex?: readonly number[] | undefined
}

/**
 * Patch features that regions are pooled from: one pass through the tower for any number of boxes and masks. The one
 * way to features of regions.
 *
 * @internal
 */
export class RegionMap {
  readonly #engine: Engine
  readonly #map: NativeTensor
  readonly #size: { readonly height: number; readonly width: number }

  private constructor(engine: Engine, map: NativeTensor, [height, width]: readonly number[]) {
    this.#engine = engine
    this.#map = map
    this.#size = { height: height as number, width: width as number }
  }

  /** Of a normalised input [B, 3, H, W], which is not disposed of. */
  static async encode(
    engine: Engine,
    image: NativeTensor,
    { dense, normalizeBeforePooling }: MapOptions,
    call: Call,
  ): Promise<RegionMap> {
    const { addon, native } = engine
    const map = await callNative(addon, call, job =>
      native.encodeRegionMap({ ...job, ...dense, image, normalizeBeforePooling }),
    )
    return new RegionMap(engine, map, image.shape.slice(2))
  }

  /**
   * RoIAlign on the map: float32 [K, D].
   *
   * @param rows - x1, y1, x2, y2 of every box in the picture's pixels
   * @param scale - how much smaller the input is than the picture
   */
  async boxes(
    rows: Float64Array,
    scale: number,
    options: PoolOptions,
    call: Call,
  ): Promise<NativeTensor> {
    const { addon } = this.#engine
    const scaled = Float32Array.from(rows, v => Math.fround(v) * scale)
    const boxes = addon.tensor(scaled, [rows.length / 4, 4], 'float32')
    try {
      return await callNative(addon, call, job =>
        addon.poolBoxes({ ...job, ...this.#pooling(options), boxes }),
      )
    } finally {
      boxes.dispose()
    }
  }

  /**
   * The mean of the patches under each mask: float32 [K, D], zeros where there is none.
   *
   * @param masks - [K, H, W], of the picture where the input is `padded`
   */
  masks(
    masks: NativeTensor,
    padded: boolean,
    options: PoolOptions,
    call: Call,
  ): Promise<NativeTensor> {
    const { addon } = this.#engine
    return callNative(addon, call, job =>
      addon.poolMasks({ ...job, ...this.#pooling(options), masks, padded }),
    )
  }

  dispose(): void {
    this.#map.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  #pooling({ normalize, imageIndex = [] }: PoolOptions): NativePooling {
    return { map: this.#map, ...this.#size, normalize, imageIndex: Int32Array.from(imageIndex) }
  }
}
