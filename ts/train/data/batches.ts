import { warnOnce } from '../../base/warn.js'
import type { NativeAddon, NativeTensor, NativeTrainBatch } from '../../engine/addon-types.js'
import { DeclipError } from '../../errors.js'
import type { DecodedImage } from '../../image/decode.js'
import { expandTemplates } from '../../text/templates.js'
import type { Tokenizer } from '../../text/tokenizer.js'
import type { ResolvedConfig } from '../config-fields.js'
import { type Augmented, augmentPicture, type Box } from './augment.js'
import { type Loaded, Pictures } from './pictures.js'
import type { Sampler, Visit } from './sampler.js'
import { randomFor, seedOf } from './seeds.js'
import type { LeftOut } from './sources/left-out.js'
import type { Item, Source } from './sources/source.js'
import { joined, padded } from './tensors.js'

/** What the model says about its inputs. */
export interface Inputs {
  /** Side of the student's picture in pixels. */
  readonly size: number
  readonly patchSize: number
  /** Side of a crop in pixels: the model's own. */
  readonly cropSize: number
  readonly mean: readonly number[]
  readonly std: readonly number[]
  readonly tokenizer: Pick<Tokenizer, 'tokenize'>
  readonly contextLength: number
}

/** All of a step. */
export interface StepBatch {
  readonly parts: readonly NativeTrainBatch[]
  /** Why pictures were skipped on the way. */
  readonly skipped: readonly string[]
}

/** A picture as it is learnt from. */
interface View {
  readonly image: DecodedImage
  /** In pixels of `image`. */
  readonly boxes: readonly { readonly corners: Box; readonly label: string }[]
}

/** Pictures that are tried in the place of one, where a batch has no box. */
const TRIES = 20

/** What to say of pictures with labelled boxes behind the ones that are learnt from. */
export function leftOut({ regions }: Pick<Item, 'regions'>, maxBoxes: number): string | null {
  if (regions.slice(maxBoxes).every(({ label }) => label === undefined)) return null
  return `regions.maxBoxes: only the first ${maxBoxes} boxes of a picture are learnt from, and some pictures have labelled ones behind them.`
}

/** Gives a step's tensors back. */
export function disposeBatch({ parts }: StepBatch): void {
  for (const part of parts) for (const tensor of Object.values(part)) tensor?.dispose()
}

/** Makes the features of the foundation model for a batch of pictures; see teacher.ts. */
export type TeacherFeatures = (images: readonly DecodedImage[]) => Promise<NativeTensor>

/** Makes steps' batches: what step n is, is a function of n alone. */
export class Batches {
  readonly #pictures: Pictures
  readonly #config: ResolvedConfig
  readonly #addon: NativeAddon
  readonly #inputs: Inputs
  readonly #sampler: Sampler
  readonly #classIndex: ReadonlyMap<string, number>
  readonly #teacher: TeacherFeatures | undefined
  readonly #normalise: Float32Array

  constructor(options: {
    config: ResolvedConfig
    addon: NativeAddon
    inputs: Inputs
    source: Source
    sampler: Sampler
    signal: AbortSignal
    /** region-text: names in the order of their labels. */
    classes?: readonly string[] | undefined
    teacher?: TeacherFeatures | undefined
  }) {
    const { config, source, signal, classes = [] } = options
    this.#pictures = new Pictures(source, config.seed, signal)
    this.#config = config
    this.#addon = options.addon
    this.#inputs = options.inputs
    this.#sampler = options.sampler
    this.#classIndex = new Map(classes.map((name, i) => [name, i]))
    this.#teacher = options.teacher
    this.#normalise = normalisation(options.inputs)
  }

  /** What turned out not to be usable when it was read. */
  get leftOut(): LeftOut {
    return this.#pictures.leftOut
  }

  /** @throws DeclipError ERR_DECLIP_IMAGE where most pictures, or their boxes, cannot be used */
  async make(step: number): Promise<StepBatch> {
    const visits = this.#sampler.step(step)
    const { batch, accumulate } = this.#config
    const skipped: string[] = []
    const parts: NativeTrainBatch[] = []
    try {
      for (let part = 0; part < accumulate; part++) {
        const mine = visits.slice(part * batch, (part + 1) * batch)
        parts.push(await this.#part(step, part, mine, skipped))
      }
    } catch (error) {
      disposeBatch({ parts, skipped })
      throw error
    }
    return { parts, skipped }
  }

  async #part(
    step: number,
    part: number,
    visits: readonly Visit[],
    skipped: string[],
  ): Promise<NativeTrainBatch> {
    const pictures = await Promise.all(visits.map(visit => this.#pictures.load(visit)))
    for (const picture of pictures) skipped.push(...picture.skipped)
    const { objective } = this.#config
    if (objective === 'contrastive' || objective === 'region-text') {
      return this.#texts(step, part, pictures)
    }
    return this.#regions(step, pictures)
  }

  /** Pictures with captions, or with labelled boxes, or both. */
  async #texts(step: number, part: number, pictures: readonly Loaded[]): Promise<NativeTrainBatch> {
    const { objective, regionWeight } = this.#config
    const { tokenizer, contextLength } = this.#inputs
    const views = await Promise.all(pictures.map(picture => this.#view(picture)))
    if (objective === 'region-text' && views.every(({ boxes }) => boxes.length === 0)) {
      views[0] = await this.#viewWithBox(pictures[0] as Loaded)
    }
    const out: NativeTrainBatch = { images: await this.#images(views.map(({ image }) => image)) }
    if (objective === 'contrastive') {
      const captions = pictures.map(({ item }) => item.caption as string)
      const { data, shape } = tokenizer.tokenize(captions, { contextLength })
      out.tokens = this.#addon.tensor(data, shape, 'int32')
    }
    if (objective === 'region-text' || regionWeight > 0) this.#boxTensors(out, step, part, views)
    return out
  }

  /** A picture as it is learnt from, with its labelled boxes. */
  async #view({ item, image: whole, visit }: Loaded): Promise<View> {
    const { augment, seed, regions } = this.#config
    const { image, box }: Augmented = augment
      ? await augmentPicture(
          whole,
          augment,
          this.#inputs.size,
          randomFor('augment', seed, visit.epoch, visit.index),
        )
      : { image: whole, box: box => box }
    const most = regions.maxBoxes
    warnOnce(leftOut(item, most))
    // The first ones, as CLIPSelf's COCORegionCLIPDataset.
    const boxes = item.regions.slice(0, most).flatMap(({ box: [x, y, w, h], label }) => {
      const corners = label === undefined ? undefined : box([x, y, x + w, y + h])
      return corners ? [{ corners, label: label as string }] : []
    })
    return { image, boxes }
  }

  /** Of other pictures in the place of one, the first that has a box in its view. */
  async #viewWithBox({ visit, item }: Loaded): Promise<View> {
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const view = await this.#view(await this.#pictures.another(visit, attempt))
      if (view.boxes.length > 0) return view
    }
    throw new DeclipError(
      'ERR_DECLIP_IMAGE',
      `No labelled box is left in ${item.name} and ${TRIES} other pictures: they lie outside the pictures, behind the first regions.maxBoxes, or are cut off by augment.crop.`,
    )
  }

  /** Pictures by their long side, black at the right and bottom, normalised: [B, 3, S, S]. */
  async #images(images: readonly DecodedImage[]): Promise<NativeTensor> {
    const { size, mean, std } = this.#inputs
    if (images.some(({ width, height }) => width !== size || height !== size)) {
      return padded(this.#addon, images, { size, mean, std })
    }
    // Small pictures that have their size already: one tensor, made here, costs a fifth of many.
    const plane = size * size
    const table = this.#normalise
    const values = new Float32Array(images.length * 3 * plane)
    for (const [n, { data }] of images.entries()) {
      const to = n * 3 * plane
      for (let i = 0, at = 0; i < plane; i++, at += 3) {
        values[to + i] = table[data[at] as number] as number
        values[to + plane + i] = table[256 + (data[at + 1] as number)] as number
        values[to + 2 * plane + i] = table[512 + (data[at + 2] as number)] as number
      }
    }
    return this.#addon.tensor(values, [images.length, 3, size, size], 'float32')
  }

  /** boxes [B, M, 5], labels [B, M] and, for captions, regionTokens [C, L]. */
  #boxTensors(out: NativeTrainBatch, step: number, part: number, views: readonly View[]): void {
    const most = this.#config.regions.maxBoxes
    const contrastive = this.#config.objective === 'contrastive'
    const names = new Map<string, number>()
    const boxes = new Float32Array(views.length * most * 5)
    const labels = new Int32Array(views.length * most)
    for (const [v, { image, boxes: own }] of views.entries()) {
      const side = Math.max(image.width, image.height)
      for (const [b, { corners, label: name }] of own.entries()) {
        const label = contrastive
          ? (names.get(name) ?? names.size)
          : (this.#classIndex.get(name) as number)
        names.set(name, label)
        boxes.set([...corners.map(at => at / side), 1], (v * most + b) * 5)
        labels[v * most + b] = label
      }
    }
    if (names.size === 0) return
    out.boxes = this.#addon.tensor(boxes, [views.length, most, 5], 'float32')
    out.labels = this.#addon.tensor(labels, [views.length, most], 'int32')
    if (!contrastive) return
    const { templates, seed } = this.#config
    const prompts = [...names.keys()].map(name => {
      const all = expandTemplates(templates, name)
      return all[randomFor('prompt', seed, step, part, name).whole(0, all.length - 1)] as string
    })
    const { contextLength, tokenizer } = this.#inputs
    const { data, shape } = tokenizer.tokenize(prompts, { contextLength })
    out.regionTokens = this.#addon.tensor(data, shape, 'int32')
  }

  /** Pictures with boxes and their crops, for CLIPSelf and DeCLIP. */
  async #regions(step: number, pictures: readonly Loaded[]): Promise<NativeTrainBatch> {
    const made = await Promise.all(pictures.map(picture => this.#cut(picture)))
    const join = (tensors: NativeTensor[]) => joined(this.#addon, tensors)
    const out: NativeTrainBatch = {
      images: await join(made.map(({ image }) => image)),
      boxes: await join(made.map(({ boxes }) => boxes)),
      crops: await join(made.map(({ crops }) => crops)),
    }
    const { multiscale, seed } = this.#config
    if (multiscale) {
      const choice = randomFor('side', seed, step).whole(0, multiscale.length - 1)
      const size = multiscale[choice] as number
      const images = await this.#addon.resizeBatch({ images: out.images, size })
      out.images.dispose()
      out.images = images
    }
    if (this.#teacher) out.vfmFeatures = await this.#teacher(pictures.map(({ image }) => image))
    return out
  }

  #cut({ item, image, visit }: Loaded): Promise<RegionTensors> {
    const { regions, seed } = this.#config
    const { size, cropSize, mean, std } = this.#inputs
    const { data: pixels, width, height } = image
    const grid = regions.source === 'grid'
    return this.#addon.trainingRegions({
      pixels,
      width,
      height,
      size,
      cropSize,
      mean,
      std,
      maxBoxes: regions.maxBoxes,
      cropScale: regions.cropScale ?? (grid ? 1 : 1.5),
      seed: seedOf('regions', seed, visit.epoch, visit.index),
      ...(grid
        ? { maxSplit: regions.maxSplit }
        : { proposals: cornersOf(item), minSize: regions.minSize, maxSize: regions.maxSize }),
    })
  }
}

type RegionTensors = Awaited<ReturnType<NativeAddon['trainingRegions']>>

/** Boxes of an item as x1, y1, x2, y2 one after the other. */
function cornersOf({ regions }: Item): Float64Array {
  return Float64Array.from(regions.flatMap(({ box: [x, y, w, h] }) => [x, y, x + w, y + h]))
}

/** What a byte becomes, by channel: (byte / 255 - mean) / std in float32, as the addon's own. */
function normalisation({ mean, std }: Inputs): Float32Array {
  const { fround } = Math
  return Float32Array.from({ length: 768 }, (_, i) => {
    const channel = i >> 8
    return fround(
      fround(fround((i & 255) / 255) - fround(mean[channel] as number)) /
        fround(std[channel] as number),
    )
  })
}
