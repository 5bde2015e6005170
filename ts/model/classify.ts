import type { Call, CallOptions } from '../base/call.js'
import { checkFields } from '../base/field.js'
import { callNative } from '../engine/call-native.js'
import { Tensor } from '../engine/tensor.js'
import type { ImageInput, PictureOptions } from '../image/decode.js'
import { openImage } from '../image/source.js'
import type { MaskProvider } from '../masks/provider.js'
import type { DenseOptions } from '../methods/options.js'
import type { ClassList, VocabularyOptions } from '../words/options.js'
import { type RankedClass, rankClasses } from '../words/rank.js'
import { Vocabulary } from '../words/vocabulary.js'
import type { TextModel } from '../words/word-features.js'
import type { Box, Boxes } from './boxes.js'
import { CLASSIFY_FIELDS, regionSize } from './fields.js'
import type { ModelInfo } from './info.js'
import { toInput } from './input.js'
import { sizeOf } from './picture.js'
import { disposeFeatures, type RegionModel, regionFeatures } from './region-features.js'

/** How a region becomes a vector; see {@link ClassifyOptions.pool}. */
export type RegionPool = 'dense' | 'crop' | 'mean'

/** Options of {@link Model.classify}. */
export interface ClassifyOptions
  extends CallOptions,
    PictureOptions,
    DenseOptions,
    Omit<VocabularyOptions, keyof CallOptions> {
  /** Regions: [x1, y1, x2, y2] in the picture's pixels, or a float tensor [K, 4]. They may reach over its edges. */
  boxes?: Boxes | undefined
  /**
   * Regions: masks, or where they come from, see {@link MaskProvider}. Masks that overlap are regions of their own each.
   * Of a label picture every value but 255 (65535 of 16 bits) is a region, 0 too; of a map of regions and an `.npz` file
   * every value but 0.
   */
  masks?: MaskProvider | undefined
  /**
   * 'dense': the dense features under the region, by RoIAlign of a box and by the mean over a mask. 'crop': the region
   * cut out (of a mask its tight box) and encoded as a picture of its own. 'mean': the mean of both. A whole picture
   * is always encoded as one. Default 'dense'.
   */
  pool?: RegionPool | undefined
  /** Enlarges the crops of boxes about their centre, within the picture: a number from 1 to 100. Default 1.5. */
  cropScale?: number | undefined
  /** Classes for each region: a whole number of at least 1. Default 5, or as many as there are. */
  topK?: number | undefined
  /** Side in pixels of the square that the picture is fitted into for dense features. Default: the model's own. */
  size?: number | undefined
  /** As for {@link Model.encodeBoxes}. */
  normalizeBeforePooling?: boolean | undefined
}

/** A region and the classes that fit it best. */
export interface ClassifiedRegion {
  /** The box as it was given, or the smallest around the mask; none of a whole picture. */
  readonly box?: Box
  /** Of a label picture or map: the value that the region has in it. */
  readonly value?: number
  /** The best first. */
  readonly ranked: readonly RankedClass[]
}

/** What {@link Model.classify} resolves with. */
export interface Classification {
  /** Every class's name, by index. */
  readonly classes: readonly string[]
  /** Those of `boxes` and then those of `masks`, or the whole picture. */
  readonly regions: readonly ClassifiedRegion[]
}

/** The model that pictures are classified by. @internal */
export interface ClassifyingModel extends RegionModel {
  readonly info: ModelInfo
  readonly textModel: TextModel
  checkTextSpace(): void
}

/** Cosines that exist at a time. */
const COSINES_PER_JOB = 1 << 22

/** See {@link Model.classify}. @internal */
export async function classify(
  model: ClassifyingModel,
  image: ImageInput,
  classes: ClassList | Vocabulary,
  call: ClassifyOptions & Call,
): Promise<Classification> {
  checkFields(call, { ...CLASSIFY_FIELDS, size: regionSize(model.info.patchSize) })
  model.checkTextSpace()
  // The picture is taken over before anything is waited for, and decoded when the words are ready.
  const building = vocabularyOf(model.textModel, classes, call)
  try {
    const groups = await embed(model, image, call, building)
    try {
      const vocabulary = await building
      const regions: ClassifiedRegion[] = []
      for (const group of groups) regions.push(...(await rank(model, group, vocabulary, call)))
      return { classes: vocabulary.classes, regions }
    } finally {
      for (const { features } of groups) features.dispose()
    }
  } finally {
    const mine = await building.catch(() => undefined)
    if (mine !== classes) mine?.dispose()
  }
}

async function vocabularyOf(
  model: TextModel,
  classes: ClassList | Vocabulary,
  options: ClassifyOptions & Call,
): Promise<Vocabulary> {
  if (!(classes instanceof Vocabulary)) {
    return Vocabulary.build(model, classes, options, { own: false })
  }
  await classes.verify(model, options)
  return classes
}

/** Regions that were embedded together. */
interface Group {
  /** [K, D] */
  readonly features: Tensor
  /** What is known of region k. */
  region(k: number): Omit<ClassifiedRegion, 'ranked'>
}

async function embed(
  model: ClassifyingModel,
  image: ImageInput,
  call: ClassifyOptions & Call,
  words: Promise<unknown>,
): Promise<Group[]> {
  const { boxes, masks, pool = 'dense', cropScale = 1.5 } = call
  if (boxes === undefined && masks === undefined) {
    return [{ features: await embedWhole(model, image, call, words), region: () => ({}) }]
  }
  const crops = pool === 'dense' ? {} : { crops: boxes, cropScale, maskCrops: true }
  const request = { ...call, ...crops, dense: pool !== 'crop' }
  const found = await regionFeatures(model, image, request, words)
  try {
    const groups: Group[] = []
    const { corners, maskCorners, maskValues } = found
    const ofBoxes = await oneOf(model, found.boxes, found.crops, call)
    if (ofBoxes && corners) {
      groups.push({ features: ofBoxes, region: k => ({ box: boxAt(corners, k) }) })
    }
    const ofMasks = await oneOf(model, found.masks, found.maskCrops, call)
    if (ofMasks && maskCorners) {
      const region = (k: number) => {
        const value = maskValues?.[k]
        return { box: boxAt(maskCorners, k), ...(value !== undefined && { value }) }
      }
      groups.push({ features: ofMasks, region })
    }
    return groups
  } catch (error) {
    disposeFeatures(found)
    throw error
  }
}

/** The features that there are; of two the mean, not of length 1. Takes them over. */
async function oneOf(
  { engine: { addon } }: ClassifyingModel,
  dense: Tensor | undefined,
  crops: Tensor | undefined,
  call: Call,
): Promise<Tensor | undefined> {
  if (!dense || !crops) return dense ?? crops
  const [names, auxiliary] = [dense.native, crops.native]
  const index = Int32Array.from({ length: dense.shape[0] as number }, (_, i) => i)
  const mean = await callNative(addon, { ...call, onProgress: undefined }, job =>
    addon.mixText({ ...job, names, auxiliary, index, weight: 0.5 }),
  )
  dense.dispose()
  crops.dispose()
  return new Tensor(mean)
}

function boxAt(corners: Float64Array, k: number): Box {
  return [...corners.subarray(4 * k, 4 * k + 4)] as unknown as Box
}

/** A picture as one vector, as encodeImage() has it. */
async function embedWhole(
  { engine, info }: ClassifyingModel,
  image: ImageInput,
  call: ClassifyOptions & Call,
  words: Promise<unknown>,
): Promise<Tensor> {
  const { addon, native } = engine
  const picture = image instanceof Tensor ? undefined : openImage(image, call)
  try {
    await words
    if (!picture) sizeOf(image as Tensor)
    const decoded = await picture?.decode()
    const fitted = { fit: 'own', size: info.imageSize } as const
    const input = decoded && (await toInput(engine, decoded, fitted, call))
    picture?.dispose()
    try {
      const features = await callNative(addon, call, job =>
        native.encodeImage({ ...job, image: input ?? (image as Tensor).native, normalize: true }),
      )
      return new Tensor(features)
    } finally {
      input?.dispose()
    }
  } finally {
    picture?.dispose()
  }
}

async function rank(
  { engine: { addon }, info }: ClassifyingModel,
  { features, region }: Group,
  vocabulary: Vocabulary,
  call: ClassifyOptions & Call,
): Promise<ClassifiedRegion[]> {
  const { topK = 5 } = call
  const regions: ClassifiedRegion[] = []
  const [total = 0] = features.shape
  const most = Math.max(1, Math.floor(COSINES_PER_JOB / vocabulary.words.length))
  for (let from = 0; from < total; from += most) {
    using some = features.slice(from, Math.min(total, from + most))
    const [a, b] = [some.native, vocabulary.features.native]
    const native = await callNative(addon, { ...call, onProgress: undefined }, job =>
      addon.similarity({ ...job, a, b, unit: true }),
    )
    using cosines = new Tensor(native)
    const values = (await cosines.data()) as Float32Array
    for (const ranked of await rankClasses(values, vocabulary, info, topK)) {
      regions.push({ ...region(regions.length), ranked })
    }
  }
  return regions
}
