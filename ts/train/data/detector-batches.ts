import type {
  NativeAddon,
  NativeDetectorBatch,
  NativeDetectorSample,
  NativeJitterPicture,
  NativeTensor,
} from '../../engine/addon-types.js'
import { nameShapes, packShapes } from '../../masks/pack-shapes.js'
import type { DetectorFields, ResolvedConfig } from '../config-fields.js'
import type { KeptView, ViewStore } from './kept-views.js'
import { type Loaded, Pictures } from './pictures.js'
import type { Sampler, Visit } from './sampler.js'
import { randomFor, seedOf } from './seeds.js'
import type { LeftOut } from './sources/left-out.js'
import type { Source } from './sources/source.js'
import { type BatchMaker, disposeBatch, type StepBatch } from './step-batch.js'

/** The frozen tower: four maps [1, C, G, G] of a picture [1, 3, S, S]. */
export type Tower = (image: NativeTensor) => Promise<readonly NativeTensor[]>

/**
 * Makes a detector's batches: large-scale jitter of pictures, boxes and masks (mmdetection 2.x, as F-ViT's
 * configurations have it), drawn by (seed, sample, epoch).
 *
 * With `detector.views` the draws of a sample are those of epoch % views, and in place of the pictures come the maps
 * that the frozen tower makes of them, which a store keeps: the batches are the same with and without it.
 */
export class DetectorBatches implements BatchMaker {
  readonly #pictures: Pictures
  readonly #source: Source
  readonly #config: ResolvedConfig
  readonly #detector: DetectorFields
  readonly #addon: NativeAddon
  readonly #sampler: Sampler
  readonly #side: number
  readonly #labels: ReadonlyMap<string, number>
  readonly #tower: Tower
  readonly #store: ViewStore | undefined

  constructor(options: {
    config: ResolvedConfig
    detector: DetectorFields
    addon: NativeAddon
    source: Source
    sampler: Sampler
    signal: AbortSignal
    /** Of the network's square in pixels. */
    side: number
    /** In the order of their labels. */
    classes: readonly string[]
    tower: Tower
    /** With `detector.views`. */
    store?: ViewStore | undefined
  }) {
    const { config, source, signal, classes } = options
    this.#pictures = new Pictures(source, config.seed, signal)
    this.#source = source
    this.#config = config
    this.#detector = options.detector
    this.#addon = options.addon
    this.#sampler = options.sampler
    this.#side = options.side
    this.#labels = new Map(classes.map((name, i) => [name, i]))
    this.#tower = options.tower
    this.#store = options.store
  }

  get leftOut(): LeftOut {
    return this.#pictures.leftOut
  }

  async make(step: number): Promise<StepBatch<NativeDetectorBatch>> {
    const visits = this.#sampler.step(step)
    const { batch, accumulate } = this.#config
    const skipped: string[] = []
    const parts: NativeDetectorBatch[] = []
    try {
      for (let part = 0; part < accumulate; part++) {
        const mine = visits.slice(part * batch, (part + 1) * batch)
        parts.push(
          await (this.#store ? this.#fromMaps(mine, skipped) : this.#fromPictures(mine, skipped)),
        )
      }
    } catch (error) {
      disposeBatch({ parts, skipped })
      throw error
    }
    return { parts, skipped }
  }

  async #fromPictures(visits: readonly Visit[], skipped: string[]): Promise<NativeDetectorBatch> {
    const loaded = await Promise.all(visits.map(visit => this.#pictures.load(visit)))
    for (const one of loaded) skipped.push(...one.skipped)
    const pictures: NativeJitterPicture[] = []
    try {
      for (const one of loaded) pictures.push(await this.#picture(one, one.visit.epoch))
      const { images, samples } = await this.#addon.makeDetectorBatch({
        pictures,
        side: this.#side,
      })
      return {
        images,
        samples: samples.map(({ kept, ...sample }, i) =>
          this.#sample(loaded[i] as Loaded, visits[i] as Visit, { ...sample, kept }),
        ),
      }
    } finally {
      for (const { masks } of pictures) masks?.dispose()
    }
  }

  /** What is drawn for a picture in an epoch or view. */
  async #picture({ image, item, visit }: Loaded, draw: number): Promise<NativeJitterPicture> {
    const { jitter, mirror } = this.#detector
    const { data, width, height } = image
    const random = randomFor('jitter', this.#config.seed, draw, visit.index)
    const [least, most] = jitter as [number, number]
    return {
      pixels: data,
      width,
      height,
      boxes: Float64Array.from(
        item.regions.flatMap(({ box: [x, y, w, h] }) => [x, y, x + w, y + h]),
      ),
      scale: random.real(least, most),
      cropX: random.real(0, 1),
      cropY: random.real(0, 1),
      mirror: random.real(0, 1) < mirror,
      masks: await this.#masks(item.regions, item.name, { width, height }),
    }
  }

  /** uint8 [n, H, W] */
  async #masks(
    regions: Loaded['item']['regions'],
    name: string,
    size: { readonly width: number; readonly height: number },
  ): Promise<NativeTensor | undefined> {
    if (!this.#detector.masks) return undefined
    if (regions.length === 0) return this.#noMasks(size.height, size.width)
    const shapes = await this.#source.shapes?.(regions)
    const named = nameShapes(shapes ?? [], size).map(shape => ({
      ...shape,
      name: `${name}: ${shape.name.replace('masks', 'segmentations')}`,
    }))
    const packed = await packShapes(named)
    return this.#addon.masks({ ...packed.native, ...size }).catch(packed.rename)
  }

  #noMasks(height: number, width = height): NativeTensor | undefined {
    if (!this.#detector.masks) return undefined
    return this.#addon.tensor(new Uint8Array(), [0, height, width], 'uint8')
  }

  #sample(
    { item }: Pick<Loaded, 'item'>,
    visit: Visit,
    {
      kept,
      ...made
    }: Omit<NativeDetectorSample, 'labels' | 'seed'> & { readonly kept: Int32Array },
  ): NativeDetectorSample {
    const labels = kept.map(i => this.#labels.get(item.regions[i]?.label as string) as number)
    return { ...made, labels, seed: this.#seed(visit) }
  }

  /** Of the samplers' choices, which are new every epoch. */
  #seed({ epoch, index }: Visit): number {
    return seedOf('samples', this.#config.seed, epoch, index)
  }

  async #fromMaps(visits: readonly Visit[], skipped: string[]): Promise<NativeDetectorBatch> {
    const views: KeptView[] = []
    const maps: NativeTensor[] = []
    try {
      for (const visit of visits) views.push(await this.#view(visit, skipped))
      for (let level = 0; level < (views[0]?.maps.length ?? 0); level++) {
        const level_maps = views.map(view => view.maps[level] as NativeTensor)
        maps.push(await this.#addon.joinMaps({ maps: level_maps, dtype: 'float32' }))
      }
      const samples = views.map(({ sample }, i): NativeDetectorSample => {
        const { masks } = sample
        return {
          ...sample,
          // A handle of the batch's own: the store may keep the other.
          masks: masks ? masks.slice(0, 0, masks.shape[0] as number) : this.#noMasks(this.#side),
          seed: this.#seed(visits[i] as Visit),
        }
      })
      return { maps, samples }
    } catch (error) {
      for (const map of maps) map.dispose()
      throw error
    } finally {
      for (const view of views) this.#store?.release(view)
    }
  }

  /** The view of a visit, from the store or the tower. */
  async #view(visit: Visit, skipped: string[]): Promise<KeptView> {
    const store = this.#store as ViewStore
    const draw = visit.epoch % (this.#detector.views as number)
    const known = await store.get(visit.index, draw)
    if (known) return known
    const loaded = await this.#pictures.load(visit)
    skipped.push(...loaded.skipped)
    const { index } = loaded.visit
    const other = index === visit.index ? undefined : await store.get(index, draw)
    if (other) return other
    const picture = await this.#picture(loaded, draw)
    let image: NativeTensor | undefined
    try {
      const made = await this.#addon.makeDetectorBatch({ pictures: [picture], side: this.#side })
      image = made.images
      const [{ kept, ...sample }] = made.samples as [(typeof made.samples)[0]]
      const { seed: _, ...labelled } = this.#sample(loaded, visit, { ...sample, kept })
      return await store.put(index, draw, { maps: await this.#tower(image), sample: labelled })
    } finally {
      picture.masks?.dispose()
      image?.dispose()
    }
  }
}
