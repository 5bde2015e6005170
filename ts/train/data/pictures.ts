import { DeclipError } from '../../errors.js'
import { type DecodedImage, loadImage } from '../../image/decode.js'
import type { Visit } from './sampler.js'
import { randomFor } from './seeds.js'
import type { Item, Source } from './sources/source.js'

/** Smaller pictures are not learnt from, side in pixels (CLIPSelf, training/data.py). */
const LEAST_SIDE = 10

/** Replacements that are tried for one picture. */
const TRIES = 20

/** From this many pictures on, a run with more unusable pictures than others stops. */
const JUDGED_FROM = 32

/** A picture that can be learnt from. */
export interface Loaded {
  /** The sample that was loaded in the end: another one where the visited one cannot be used. */
  readonly visit: Visit
  readonly item: Item
  readonly image: DecodedImage
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
  #loaded = 0
  #skipped = 0

  constructor(source: Source, seed: number, signal: AbortSignal) {
    this.#source = source
    this.#seed = seed
    this.#signal = signal
  }

  /** @throws DeclipError ERR_DECLIP_IMAGE when most pictures cannot be used */
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

  /** The picture, or why there is none. */
  async #attempt(index: number): Promise<{ item: Item; image: DecodedImage } | string> {
    let item: Item | undefined
    try {
      item = await this.#source.read(index)
      const image = await loadImage(item.picture, { signal: this.#signal })
      if (Math.min(image.width, image.height) >= LEAST_SIDE) return { item, image }
      return `${item.name} is only ${image.width} x ${image.height} pixels.`
    } catch (error) {
      if (!(error instanceof DeclipError)) throw error
      if (error.code !== 'ERR_DECLIP_IO' && error.code !== 'ERR_DECLIP_IMAGE') throw error
      return item ? `${item.name}: ${error.message}` : error.message
    }
  }
}
