import { types } from 'node:util'
import type { Call } from '../base/call.js'
import { eachLine } from '../base/event-loop.js'
import type { NativeTensor } from '../engine/addon-types.js'
import { callNative } from '../engine/call-native.js'
import { loadAddon } from '../engine/load-addon.js'
import { Tensor } from '../engine/tensor.js'
import { DeclipError, invalid } from '../errors.js'
import type { ImageInput, PictureOptions } from '../image/decode.js'
import type { LabelMap } from '../image/label-map.js'
import { type NativeImage, openImage } from '../image/source.js'
import { labelPicture } from '../masks/label-picture.js'
import { isLabelMap, type MaskInput, type ReadMasks, readMasks } from '../masks/mask-input.js'
import {
  type FoundMasks,
  findMasks,
  holdProvider,
  isRegionMap,
  type MaskProvider,
} from '../masks/provider.js'
import type { DenseOptions } from '../methods/options.js'
import { type Boxes, boxRows } from './boxes.js'
import { type Engine, toInput } from './input.js'
import { sizeOf } from './picture.js'
import { withMasks } from './picture-regions.js'
import { type MapOptions, RegionMap } from './region-map.js'

/** The model that regions are embedded by. @internal */
export interface RegionModel {
  readonly engine: Engine
  mapOptions(
    options: Call & DenseOptions & Pick<RegionRequest, 'normalizeBeforePooling'>,
  ): Promise<MapOptions>
}

/** Regions of a picture and how they become features. @internal */
export interface RegionRequest extends PictureOptions, DenseOptions {
  /** Pooled from the dense features. */
  boxes?: Boxes | undefined
  /** Pooled from the dense features. */
  masks?: MaskProvider | undefined
  /** Encoded as pictures of their own. */
  crops?: Boxes | undefined
  /** Enlarges `crops` about their centre, within the picture. Default 1. */
  cropScale?: number | undefined
  /** Encodes the tight box of every mask as a picture of its own, too. */
  maskCrops?: boolean | undefined
  /** False: `boxes` and `masks` are checked but not pooled. Default true. */
  dense?: boolean | undefined
  /** See EncodeRegionOptions. */
  normalizeBeforePooling?: boolean | undefined
  /** Side of the square that the picture is fitted into. Default: the model's own. */
  size?: number | undefined
}

/** Unit rows, float32 [K, D] each, of what was asked for; the caller disposes of them. @internal */
export interface RegionFeatures {
  boxes?: Tensor
  masks?: Tensor
  crops?: Tensor
  maskCrops?: Tensor
  /** `boxes` as they were read: x1, y1, x2, y2, box after box. */
  corners?: Float64Array
  /** The smallest box around each mask, in the same way. */
  maskCorners?: Float64Array
  /** Of a label picture: the value of each mask. */
  maskValues?: readonly number[]
}

/** Masks of one picture that exist at a time, in bytes. */
const MASK_BYTES = 64 << 20
/** Boxes that are pooled in one job. */
const BOXES_PER_JOB = 4096
/** Crops of one job, after which other calls have their turn. */
const CROPS_PER_JOB = 64

/**
 * Features of the regions of one picture. Boxes and masks share one pass through the tower, and whatever their number,
 * what exists at a time is bounded but for the features.
 *
 * @param first - waited for before the picture is decoded
 * @throws DeclipError ERR_DECLIP_INVALID_ARG naming the box or mask that is outside the picture or empty
 * @internal
 */
export async function regionFeatures(
  model: RegionModel,
  image: ImageInput,
  request: RegionRequest & Call,
  first?: Promise<unknown>,
): Promise<RegionFeatures> {
  const { cropScale = 1, dense = true, maskCrops = false } = request
  let picture = image instanceof Tensor ? undefined : openImage(image, request)
  // What the caller may change is read before anything is waited for.
  const masks = request.masks === undefined ? undefined : holdProvider(request.masks)
  const reading = Promise.all([rowsOf(request.boxes), rowsOf(request.crops)])
  reading.catch(() => {}) // waited for below
  const out: RegionFeatures = {}
  try {
    await first
    const pools = dense && (request.boxes !== undefined || masks !== undefined)
    const options = pools ? await model.mapOptions(request) : undefined
    const [boxes, crops] = await reading
    const asked =
      masks === undefined
        ? undefined
        : await withMasks(picture ?? (image as Tensor), masks, request, findMasks)
    using found = asked && disposable(asked.found)
    if (asked && !(asked.picture instanceof Tensor)) picture = asked.picture
    const decoded = await picture?.decode()
    const { width, height } = decoded ?? sizeOf(image as Tensor)
    const size = { width, height }
    checkAreas('boxes', boxes, size)
    checkAreas('crops', crops, size)
    const cropsAny = crops !== undefined || (maskCrops && masks !== undefined)
    if (cropsAny && !decoded) throw invalid('image', 'a picture where regions are cropped', image)

    using map = options && (await mapOf(model, decoded ?? (image as Tensor), options, request))
    if (!cropsAny) picture?.dispose() // the pixels are given back before regions are pooled
    if (boxes) out.corners = boxes
    const work = new Regions(model.engine, request)
    if (boxes && map) out.boxes = await work.pool(map, boxes)
    if (crops && decoded) out.crops = await work.crop(decoded, crops, cropScale)
    if (found) {
      const ofMasks = await work.masks(map, found.masks, size)
      Object.assign(out, ofMasks)
      if (maskCrops && decoded) out.maskCrops = await work.crop(decoded, ofMasks.maskCorners, 1)
    }
    return out
  } catch (error) {
    disposeFeatures(out)
    throw error
  } finally {
    picture?.dispose()
  }
}

function disposable(found: FoundMasks): FoundMasks & Disposable {
  return { ...found, [Symbol.dispose]: found.dispose }
}

/** @internal */
export function disposeFeatures({ boxes, masks, crops, maskCrops }: RegionFeatures): void {
  for (const tensor of [boxes, masks, crops, maskCrops]) tensor?.dispose()
}

async function rowsOf(boxes: Boxes | undefined): Promise<Float64Array | undefined> {
  return boxes === undefined ? undefined : boxRows(boxes)
}

/** Boxes may reach over the edges of a picture, but not lie outside or be empty. */
function checkAreas(
  name: string,
  rows: Float64Array | undefined,
  { width, height }: { width: number; height: number },
): void {
  for (let i = 0; rows && i < rows.length; i += 4) {
    const [x1, y1, x2, y2] = rows.subarray(i, i + 4) as unknown as [number, number, number, number]
    const isInside = x1 < width && y1 < height && x2 > 0 && y2 > 0
    if (isInside && x2 > x1 && y2 > y1) continue
    const problem = x2 > x1 && y2 > y1 ? 'overlap the picture' : 'have an area'
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `${name}[${i / 4}] must ${problem} (${width} x ${height} pixels), received [${[x1, y1, x2, y2]}]; leave it out.`,
    )
  }
}

/** A map, and how much smaller its input is than the picture. */
interface ScaledMap extends Disposable {
  readonly map: RegionMap
  readonly scale: number
  /** Whether the input has a border that is not the picture's. */
  readonly padded: boolean
}

async function mapOf(
  { engine }: RegionModel,
  image: NativeImage | Tensor,
  options: MapOptions,
  { size = engine.native.info.imageSize, ...call }: RegionRequest & Call,
): Promise<ScaledMap> {
  const padded = !(image instanceof Tensor)
  const input = padded ? await toInput(engine, image, { fit: 'pad', size }, call) : image.native
  const scale = padded ? size / Math.max(image.width, image.height) : 1
  try {
    const map = await RegionMap.encode(engine, input, options, call)
    return { map, scale, padded, [Symbol.dispose]: () => map.dispose() }
  } finally {
    if (padded) input.dispose()
  }
}

/** Regions some at a time. */
class Regions {
  readonly #engine: Engine
  /** Without progress: the steps of a job are no steps of the call. */
  readonly #job: Call
  readonly #call: Call

  constructor(engine: Engine, call: Call) {
    this.#engine = engine
    this.#call = call
    this.#job = { ...call, onProgress: undefined }
  }

  /** Pooled boxes. */
  pool({ map, scale }: ScaledMap, rows: Float64Array): Promise<Tensor> {
    const options = { normalize: true }
    return this.#each(rows.length / 4, BOXES_PER_JOB, (from, to) =>
      map.boxes(rows.subarray(4 * from, 4 * to), scale, options, this.#job),
    )
  }

  /** Boxes as pictures of their own. */
  crop({ pixels }: NativeImage, rows: Float64Array, cropScale: number): Promise<Tensor> {
    const { addon, native } = this.#engine
    return this.#each(rows.length / 4, CROPS_PER_JOB, (from, to) => {
      const boxes = rows.slice(4 * from, 4 * to)
      return callNative(addon, this.#job, job =>
        native.encodeCrops({ ...job, ...pixels, boxes, cropScale, normalize: true }),
      )
    })
  }

  /** Pooled masks where there is a map, and their boxes. */
  async masks(
    scaled: ScaledMap | undefined,
    given: MaskInput,
    size: { width: number; height: number },
  ): Promise<RegionFeatures & { maskCorners: Float64Array }> {
    const { addon } = this.#engine
    const rows = new Rows(this.#engine)
    const boxes: number[] = []
    let values: readonly number[] | undefined
    try {
      for await (const some of masksInParts(given, size, this.#job)) {
        try {
          if (some.values) values = [...(values ?? []), ...some.values]
          const tight = await callNative(addon, this.#job, job =>
            addon.maskBoxes({ ...job, masks: some.masks }),
          )
          checkMasks(tight, boxes.length / 4)
          boxes.push(...tight)
          if (scaled) {
            const { map, padded } = scaled
            rows.add(await map.masks(some.masks, padded, { normalize: true }, this.#job))
          }
          this.#report(boxes.length / 4, some.total)
        } finally {
          some.masks.dispose()
        }
      }
      return {
        ...(scaled && { masks: await rows.join() }),
        ...(values && { maskValues: values }),
        maskCorners: Float64Array.from(boxes),
      }
    } finally {
      rows.dispose()
    }
  }

  async #each(
    total: number,
    most: number,
    run: (from: number, to: number) => Promise<NativeTensor>,
  ): Promise<Tensor> {
    const rows = new Rows(this.#engine)
    try {
      for (let from = 0; from < total; from += most) {
        const to = Math.min(total, from + most)
        rows.add(await run(from, to))
        this.#report(to, total)
      }
      return await rows.join()
    } finally {
      rows.dispose()
    }
  }

  #report(done: number, total: number): void {
    this.#call.onProgress?.({ step: 'regions', done, total })
  }
}

/** Rows of features that came in parts. */
class Rows {
  readonly #engine: Engine
  #parts: NativeTensor[] = []

  constructor(engine: Engine) {
    this.#engine = engine
  }

  add(part: NativeTensor): void {
    this.#parts.push(part)
  }

  /** All of them as one tensor, the caller's. */
  async join(): Promise<Tensor> {
    const [only, ...others] = this.#parts
    if (only && others.length === 0) {
      this.#parts = []
      return new Tensor(only)
    }
    const { addon, native } = this.#engine
    const { embedDim } = native.info
    const total = this.#parts.reduce((sum, { shape }) => sum + (shape[0] as number), 0)
    const all = new Float32Array(total * embedDim)
    let end = 0
    for (const part of this.#parts) {
      const values = new Float32Array(await part.data())
      all.set(values, end)
      end += values.length
    }
    return new Tensor(addon.pooledTensor(all, [total, embedDim], 'float32'))
  }

  dispose(): void {
    for (const part of this.#parts) part.dispose()
    this.#parts = []
  }
}

/** Masks so many at a time that their pixels take a bounded memory, as far as their form allows. */
async function* masksInParts(
  given: MaskInput,
  size: { width: number; height: number },
  call: Call,
): AsyncGenerator<ReadMasks & { readonly total: number }> {
  const most = Math.max(1, Math.floor(MASK_BYTES / (size.width * size.height)))
  if (Array.isArray(given)) {
    const total = given.length
    for (let first = 0; first < total; first += most) {
      yield { ...(await readMasks(given.slice(first, first + most), size, call, first)), total }
    }
    return
  }
  const isFile = typeof given === 'string' || given instanceof URL
  if (isFile || types.isUint8Array(given) || isLabelMap(given)) {
    yield* labelsInParts(await labelPicture(given, call), size, most, call)
    return
  }
  if (given instanceof Tensor && isRegionMap(given)) {
    yield* regionsInParts(given, most, call)
    return
  }
  const { masks } = await readMasks(given, size, call)
  try {
    const [total = 0] = masks.shape
    for (let first = 0; first < total; first += most) {
      yield { masks: masks.slice(0, first, Math.min(total, first + most)), total }
    }
  } finally {
    masks.dispose()
  }
}

/** The same of a label picture: of each part the other values are left out. */
async function* labelsInParts(
  { data, width, height }: LabelMap,
  size: { width: number; height: number },
  most: number,
  call: Call,
): AsyncGenerator<ReadMasks & { readonly total: number }> {
  const ignored = types.isUint8Array(data) ? 255 : 65_535
  const part = new Int32Array(ignored + 1).fill(-1)
  await eachLine(height, width, y => {
    for (let i = y * width; i < (y + 1) * width; i++) part[data[i] as number] = 0
  })
  part[ignored] = -1
  let total = 0
  for (let value = 0; value < ignored; value++) {
    if (part[value] === 0) part[value] = Math.floor(total++ / most)
  }
  for (let k = 0; k * most < total; k++) {
    const own = total <= most ? data : data.slice()
    if (own !== data) {
      await eachLine(height, width, y => {
        for (let i = y * width; i < (y + 1) * width; i++) {
          if (part[own[i] as number] !== k) own[i] = ignored
        }
      })
    }
    yield { ...(await readMasks({ data: own, width, height }, size, call)), total }
  }
}

function checkMasks(boxes: Float64Array, first: number): void {
  for (let i = 0; i < boxes.length; i += 4) {
    if ((boxes[i + 2] as number) > 0) continue
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `masks[${first + i / 4}] must have a pixel, received an empty one; leave it out.`,
    )
  }
}

/** Most regions of one map. */
const MOST_REGIONS = 100_000

async function* regionsInParts(
  { native: regions }: Tensor,
  most: number,
  call: Call,
): AsyncGenerator<ReadMasks & { readonly total: number }> {
  const addon = loadAddon()
  const all = await callNative(addon, call, job =>
    addon.regionValues({ ...job, regions, limit: MOST_REGIONS }),
  )
  for (let first = 0; first < all.length; first += most) {
    const values = all.slice(first, first + most)
    const masks = await callNative(addon, call, job =>
      addon.regionMasks({ ...job, regions, values }),
    )
    yield { masks, values: [...values], total: all.length }
  }
}
