import { warnOnce } from '../../base/warn.js'
import type {
  NativeAddon,
  NativeBatchSpec,
  NativePictureBatch,
  NativeSquare,
  NativeTensor,
  NativeTrainBatch,
} from '../../engine/addon-types.js'
import { DeclipError } from '../../errors.js'
import type { DecodedImage } from '../../image/decode.js'
import { expandTemplates } from '../../text/templates.js'
import type { TextTokenizer } from '../../text/text-tokenizer.js'
import type { ResolvedConfig } from '../config-fields.js'
import { type Augmented, augmentPicture, type Box } from './augment.js'
import { type Loaded, Pictures } from './pictures.js'
import type { Sampler, Visit } from './sampler.js'
import { randomFor, seedOf } from './seeds.js'
import type { LeftOut } from './sources/left-out.js'
import type { Item, Source } from './sources/source.js'
import { type BatchMaker, disposeBatch, type StepBatch } from './step-batch.js'

/** What the model says about its inputs. */
export interface Inputs {
  /** Side of the student's picture in pixels. */
  readonly size: number
  readonly patchSize: number
  /** Side of a crop in pixels: the model's own. */
  readonly cropSize: number
  readonly mean: readonly number[]
  readonly std: readonly number[]
  readonly tokenizer: Pick<TextTokenizer, 'tokenize'>
  readonly contextLength: number
}

/** A picture as it is learnt from. */
interface View {
  readonly loaded: Loaded
  /** The loaded one, or what augmenting has made of it. */
  readonly image: DecodedImage
  /** Labelled ones, in pixels of `image`. */
  readonly boxes: readonly { readonly corners: Box; readonly label: string }[]
}

/** Pictures that are tried in the place of one, where a batch has no box. */
const TRIES = 20

/** What to say of pictures with labelled boxes behind the ones that are learnt from. */
export function leftOut({ regions }: Pick<Item, 'regions'>, maxBoxes: number): string | null {
  if (regions.slice(maxBoxes).every(({ label }) => label === undefined)) return null
  return `regions.maxBoxes: only the first ${maxBoxes} boxes of a picture are learnt from, and some pictures have labelled ones behind them.`
}

/** The foundation model that DeCLIP's context imitates; see teacher.ts. */
export interface Teacher {
  /** How it sees a picture. */
  readonly input: NativeSquare
  /** Its features [B, C, h, w] of pictures [B, 3, T, T]. */
  features(images: NativeTensor): Promise<NativeTensor>
}

/** Makes batches of regions and texts. */
export class Batches implements BatchMaker {
  readonly #pictures: Pictures
  readonly #config: ResolvedConfig
  readonly #addon: NativeAddon
  readonly #inputs: Inputs
  readonly #sampler: Sampler
  readonly #classIndex: ReadonlyMap<string, number>
  readonly #teacher: Teacher | undefined

  constructor(options: {
    config: ResolvedConfig
    addon: NativeAddon
    inputs: Inputs
    source: Source
    sampler: Sampler
    signal: AbortSignal
    /** region-text: names in the order of their labels. */
    classes?: readonly string[] | undefined
    teacher?: Teacher | undefined
  }) {
    const { config, source, signal, classes = [] } = options
    this.#pictures = new Pictures(source, config.seed, signal)
    this.#config = config
    this.#addon = options.addon
    this.#inputs = options.inputs
    this.#sampler = options.sampler
    this.#classIndex = new Map(classes.map((name, i) => [name, i]))
    this.#teacher = options.teacher
  }

  get leftOut(): LeftOut {
    return this.#pictures.leftOut
  }

  async make(step: number): Promise<StepBatch<NativeTrainBatch>> {
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
    const views = await Promise.all(
      visits.map(async visit => this.#view(await this.#pictures.load(visit))),
    )
    for (const { loaded } of views) skipped.push(...loaded.skipped)
    return this.#hasTexts ? this.#texts(step, part, views) : this.#regions(step, views)
  }

  get #hasTexts(): boolean {
    const { objective } = this.#config
    return objective === 'contrastive' || objective === 'region-text'
  }

  /** A picture as it is learnt from. */
  async #view(loaded: Loaded): Promise<View> {
    const { augment, seed } = this.#config
    const { epoch, index } = loaded.visit
    const { image, box }: Augmented = augment
      ? await augmentPicture(
          loaded.image,
          augment,
          this.#inputs.size,
          randomFor('augment', seed, epoch, index),
        )
      : { image: loaded.image, box: box => box }
    return {
      loaded,
      image,
      boxes: this.#hasTexts ? this.#labelled(loaded.item, box) : [],
    }
  }

  #labelled({ regions }: Item, box: Augmented['box']): View['boxes'] {
    const most = this.#config.regions.maxBoxes
    warnOnce(leftOut({ regions }, most))
    // The first ones, as CLIPSelf's COCORegionCLIPDataset.
    return regions.slice(0, most).flatMap(({ box: [x, y, w, h], label }) => {
      const corners = label === undefined ? undefined : box([x, y, x + w, y + h])
      return corners ? [{ corners, label: label as string }] : []
    })
  }

  /** Pictures with captions, or with labelled boxes, or both. */
  async #texts(step: number, part: number, views: View[]): Promise<NativeTrainBatch> {
    const { objective, regionWeight } = this.#config
    const { tokenizer, contextLength } = this.#inputs
    if (objective === 'region-text' && views.every(({ boxes }) => boxes.length === 0)) {
      const [first] = views as [View]
      views[0] = await this.#viewWithBox(first.loaded)
    }
    const out: NativeTrainBatch = { ...(await this.#made(views, {})) }
    if (objective === 'contrastive') {
      const captions = views.map(({ loaded }) => loaded.item.caption as string)
      const { data, shape } = tokenizer.tokenize(captions, { contextLength })
      out.tokens = this.#addon.tensor(data, shape, 'int32')
    }
    if (objective === 'region-text' || regionWeight > 0) this.#boxTensors(out, step, part, views)
    return out
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

  /** Pictures as the addon makes a batch of them. */
  #made(
    views: readonly View[],
    spec: Omit<NativeBatchSpec, keyof NativeSquare>,
  ): Promise<NativePictureBatch> {
    const { size, mean, std } = this.#inputs
    const proposes = spec.regions !== undefined && spec.regions.maxSplit === undefined
    const pictures = views.map(({ image: { data, width, height }, loaded: { item, visit } }) => ({
      pixels: data,
      width,
      height,
      seed: seedOf('regions', this.#config.seed, visit.epoch, visit.index),
      proposals: proposes ? cornersOf(item) : undefined,
    }))
    return this.#addon.makeBatch({ pictures, size, mean, std, ...spec })
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
  async #regions(step: number, views: readonly View[]): Promise<NativeTrainBatch> {
    const { regions, multiscale, seed } = this.#config
    const { maxBoxes, maxSplit, minSize, maxSize } = regions
    const grid = regions.source === 'grid'
    const { teacherImages, ...out } = await this.#made(views, {
      regions: {
        maxBoxes,
        cropSize: this.#inputs.cropSize,
        cropScale: regions.cropScale ?? (grid ? 1 : 1.5),
        ...(grid ? { maxSplit } : { minSize, maxSize }),
      },
      resizedTo: multiscale?.[randomFor('side', seed, step).whole(0, multiscale.length - 1)],
      teacher: this.#teacher?.input,
    })
    if (!teacherImages) return out
    try {
      return { ...out, vfmFeatures: await this.#teacher?.features(teacherImages) }
    } catch (error) {
      disposeBatch({ parts: [out], skipped: [] })
      throw error
    } finally {
      teacherImages.dispose()
    }
  }
}

/** Boxes of an item as x1, y1, x2, y2 one after the other. */
function cornersOf({ regions }: Item): Float64Array {
  return Float64Array.from(regions.flatMap(({ box: [x, y, w, h] }) => [x, y, x + w, y + h]))
}
