import { shown } from '../../base/coco-entries.js'
import { DeclipError, type ErrorCode } from '../../errors.js'
import type { SemanticTruth } from '../../evaluate/datasets/dataset.js'
import { checkSize } from '../../evaluate/datasets/semantic.js'
import type { DecodedImage } from '../../image/decode.js'
import { loadImage } from '../../image/source.js'
import type { Visit } from './sampler.js'
import { randomFor } from './seeds.js'
import { LeftOut } from './sources/left-out.js'
import { isInside } from './sources/regions.js'
import type { Item, Source } from './sources/source.js'

/** Smaller pictures are not learnt from, side in pixels (CLIPSelf, training/data.py). */
const LEAST_SIDE = 10

/** Replacements that are tried for one picture. */
const TRIES = 20

/** From this many pictures on, a run with more unusable pictures than others stops. */
const JUDGED_FROM = 32

/** Errors that are a picture's own. */
const UNUSABLE: readonly ErrorCode[] = [
  'ERR_DECLIP_IO',
  'ERR_DECLIP_IMAGE',
  'ERR_DECLIP_INVALID_ARG',
]

/** A picture that can be learnt from. */
export interface Loaded {
  /** The sample that was loaded in the end: another one where the visited one cannot be used. */
  readonly visit: Visit
  /** Without boxes that lie outside the picture. */
  readonly item: Item
  readonly image: DecodedImage
  /** The class of every pixel, of semantic data. */
  readonly truth?: SemanticTruth | undefined
  /** Why pictures were skipped on the way. */
  readonly skipped: readonly string[]
}

/**
 * Loads pictures. One that is unreadable or narrower or lower than 10 pixels is replaced by another,
 * which is drawn as a function of (seed, epoch, index).
 */
export class Pictures {
  readonly #source: Source
  readonly #seed: number
  readonly #signal: AbortSignal
  /** What turned out not to be usable when it was read; every picture counts once. */
  readonly leftOut = new LeftOut()
  /** Pictures that `leftOut` was told of. */
  readonly #told = new Set<number>()
  #loaded = 0
  #skipped = 0

  constructor(source: Source, seed: number, signal: AbortSignal) {
    this.#source = source
    this.#seed = seed
    this.#signal = signal
  }

  /**
   * The picture of a visit, or another in its place.
   *
   * @throws DeclipError ERR_DECLIP_IMAGE when most pictures cannot be used
   */
  async load(visit: Visit): Promise<Loaded> {
    const random = randomFor('replacement', this.#seed, visit.epoch, visit.index)
    const skipped: string[] = []
    let index = visit.index
    for (let attempt = 0; attempt <= TRIES; attempt++) {
      const loaded = await this.#attempt(index)
      if (typeof loaded !== 'string') {
        this.#loaded++
        return { visit: { epoch: visit.epoch, index }, ...loaded, skipped }
      }
      skipped.push(loaded)
      this.#skipped++
      if (this.#skipped >= JUDGED_FROM && this.#skipped > this.#loaded) break
      index = random.whole(0, this.#source.length - 1)
    }
    throw new DeclipError(
      'ERR_DECLIP_IMAGE',
      `${this.#skipped} pictures of data could not be used, ${this.#loaded} could; the last one: ${skipped.at(-1)} Check data.path and data.images.`,
    )
  }

  /** Another picture in the place of a visit's own: a function of (seed, epoch, index, attempt). */
  async another({ epoch, index }: Visit, attempt: number): Promise<Loaded> {
    const random = randomFor('another', this.#seed, epoch, index, attempt)
    return this.load({ epoch, index: random.whole(0, this.#source.length - 1) })
  }

  /** The picture, or why there is none. */
  async #attempt(
    index: number,
  ): Promise<{ item: Item; image: DecodedImage; truth: SemanticTruth | undefined } | string> {
    let item: Item | undefined
    let reason: string
    try {
      item = await this.#source.read(index)
      const image = await loadImage(item.picture, { signal: this.#signal })
      if (Math.min(image.width, image.height) >= LEAST_SIDE) {
        const truth = await item.truth?.(this.#signal)
        if (truth) checkSize(item.name, image, 'Its label file', truth)
        return { item: this.#withBoxesInside(index, item, image), image, truth }
      }
      reason = `${item.name} is only ${image.width} x ${image.height} pixels.`
    } catch (error) {
      if (!(error instanceof DeclipError && UNUSABLE.includes(error.code))) throw error
      reason = item ? `${item.name}: ${error.message}` : error.message
    }
    if (!this.#told.has(index)) {
      this.leftOut.add('pictures that cannot be used', reason.replace(/\.$/, ''))
    }
    this.#told.add(index)
    return reason
  }

  #withBoxesInside(index: number, item: Item, image: DecodedImage): Item {
    const regions = item.regions.filter(region => isInside(region, image))
    if (regions.length === item.regions.length) return item
    for (const region of item.regions) {
      if (this.#told.has(index) || isInside(region, image)) continue
      const example = `${shown(region.box)} in ${item.name}, ${image.width} x ${image.height}`
      this.leftOut.add('boxes outside their pictures', example)
    }
    this.#told.add(index)
    return { ...item, regions }
  }
}
