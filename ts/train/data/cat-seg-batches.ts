import type {
  NativeAddon,
  NativeCatSegBatch,
  NativeSemanticPicture,
  NativeTensor,
} from '../../engine/addon-types.js'
import type { CatSegFields, ResolvedConfig } from '../config-fields.js'
import { type Loaded, Pictures } from './pictures.js'
import type { Sampler, Visit } from './sampler.js'
import { randomFor } from './seeds.js'
import type { LeftOut } from './sources/left-out.js'
import type { Source } from './sources/source.js'
import { type BatchMaker, disposeBatch, type StepBatch } from './step-batch.js'

/** SSD's colour jitter, as detectron2's ColorAugSSDTransform has it. */
const BRIGHTNESS = 32
const FACTORS = [0.5, 1.5] as const
const HUE = 18

/** What is drawn for a picture: all but its pixels and labels. @internal */
export type SemanticDraw = Omit<NativeSemanticPicture, 'pixels' | 'width' | 'height' | 'labels'>

/**
 * How a sample is changed in an epoch: a function of (seed, epoch, index).
 *
 * @param side - of the crop in pixels
 * @internal
 */
export function drawSemantic(
  {
    scale,
    longSide,
    jitter,
    mirror,
  }: Pick<CatSegFields, 'scale' | 'longSide' | 'jitter' | 'mirror'>,
  side: number,
  seed: number,
  { epoch, index }: Visit,
): SemanticDraw {
  const random = randomFor('cat-seg', seed, epoch, index)
  const [least, most] = scale as [number, number]
  const changes = () => random.real(0, 1) < jitter
  const shortSide = Math.max(1, Math.round(side * random.real(least, most)))
  const draw = {
    shortSide,
    longSide: Math.max(longSide, shortSide),
    cropX: random.real(0, 1),
    cropY: random.real(0, 1),
    mirror: random.real(0, 1) < mirror,
    contrastFirst: random.real(0, 1) < 0.5,
  }
  return {
    ...draw,
    brightness: changes() ? random.real(-BRIGHTNESS, BRIGHTNESS) : 0,
    contrast: changes() ? random.real(...FACTORS) : 1,
    saturation: changes() ? random.real(...FACTORS) : 1,
    hue: changes() ? random.whole(-HUE, HUE) : 0,
  }
}

/**
 * Makes CAT-Seg's batches: square crops of pictures with their labels, in the authors' order (detectron2's semantic
 * mapper): short side, crop, colours, mirror, padding.
 */
export class CatSegBatches implements BatchMaker {
  readonly #pictures: Pictures
  readonly #config: ResolvedConfig
  readonly #catSeg: CatSegFields
  readonly #addon: NativeAddon
  readonly #sampler: Sampler
  readonly #side: number
  readonly #classes: number
  readonly #mean: readonly number[]
  readonly #std: readonly number[]

  constructor(options: {
    config: ResolvedConfig
    catSeg: CatSegFields
    addon: NativeAddon
    source: Source
    sampler: Sampler
    signal: AbortSignal
    /** Of the crop in pixels. */
    side: number
    /** How many there are. */
    classes: number
    /** Pixel statistics on the 0..1 scale. */
    mean: readonly number[]
    std: readonly number[]
  }) {
    const { config, source, signal } = options
    this.#pictures = new Pictures(source, config.seed, signal)
    this.#config = config
    this.#catSeg = options.catSeg
    this.#addon = options.addon
    this.#sampler = options.sampler
    this.#side = options.side
    this.#classes = options.classes
    this.#mean = options.mean
    this.#std = options.std
  }

  get leftOut(): LeftOut {
    return this.#pictures.leftOut
  }

  async make(step: number): Promise<StepBatch<NativeCatSegBatch>> {
    const visits = this.#sampler.step(step)
    const { batch, accumulate } = this.#config
    const skipped: string[] = []
    const parts: NativeCatSegBatch[] = []
    try {
      for (let part = 0; part < accumulate; part++) {
        parts.push(await this.#part(visits.slice(part * batch, (part + 1) * batch), skipped))
      }
    } catch (error) {
      disposeBatch({ parts, skipped })
      throw error
    }
    return { parts, skipped }
  }

  async #part(visits: readonly Visit[], skipped: string[]): Promise<NativeCatSegBatch> {
    const loaded = await Promise.all(visits.map(visit => this.#pictures.load(visit)))
    for (const one of loaded) skipped.push(...one.skipped)
    const pictures: NativeSemanticPicture[] = []
    try {
      for (const one of loaded) pictures.push(this.#picture(one))
      return await this.#addon.makeCatSegBatch({
        pictures,
        side: this.#side,
        classes: this.#classes,
        mean: this.#mean,
        std: this.#std,
      })
    } finally {
      for (const { labels } of pictures) labels.dispose()
    }
  }

  #picture({ image, truth, visit }: Loaded): NativeSemanticPicture {
    const { data, width, height } = image
    const draw = drawSemantic(this.#catSeg, this.#side, this.#config.seed, visit)
    return { ...draw, pixels: data, width, height, labels: this.#labels(truth as Truth) }
  }

  /** [H, W] in a format that the core has. */
  #labels({ labels, width, height }: Truth): NativeTensor {
    return labels instanceof Uint8Array
      ? this.#addon.tensor(labels, [height, width], 'uint8')
      : this.#addon.tensor(Int32Array.from(labels), [height, width], 'int32')
  }
}

type Truth = NonNullable<Loaded['truth']>
