import { type CallOptions, checkCall } from '../base/call.js'
import { eachLine } from '../base/event-loop.js'
import { toPath, writeFileAtomic } from '../base/files.js'
import type { NativeAddon, NativeLabels, NativeSegmentation } from '../engine/addon-types.js'
import { callNative } from '../engine/call-native.js'
import { prepareAddon } from '../engine/load-addon.js'
import { settings } from '../engine/settings.js'
import { Tensor } from '../engine/tensor.js'
import { DeclipError, invalid, toDeclipError } from '../errors.js'
import type { DecodedImage, ImageInput } from '../image/decode.js'
import { takeSlot } from '../image/decode-slots.js'
import type { LabelMap } from '../image/label-map.js'
import { loadImage } from '../image/source.js'
import { type Polygon, toPolygonLists } from '../masks/polygons.js'
import { type Rle, toRunLists } from '../masks/rle.js'
import {
  checkObjectOptions,
  type ObjectOptions,
  type SegmentedObject,
  toObjects,
} from './objects.js'
import { drawOverlay } from './overlay.js'
import { overlayColor, type Rgb, vocColor } from './palette.js'
import { encodeLabelPng } from './png.js'
import type { Timings } from './timings.js'
import { checkData, type SegmentationData, type TransferableSegmentation } from './transferable.js'

/** What an overlay looks like. */
export interface OverlayOptions {
  /** The picture. Default: the one that was segmented. */
  image?: Exclude<ImageInput, Tensor> | undefined
  /** Share of the class colours, 0 to 1. Default 0.55. */
  opacity?: number | undefined
  /** Names and areas below the picture. Default true. */
  legend?: boolean | undefined
}

/** Options of {@link Segmentation.toPNG}. */
export interface PngOptions {
  /** The picture under the colours of the classes instead of the mask. Default false. */
  overlay?: boolean | OverlayOptions | undefined
  /**
   * Colours in class order. Default: for a mask the PASCAL VOC colour map, for an overlay 20
   * distinct colours.
   */
  palette?: readonly Rgb[] | undefined
}

/** What {@link Segmentation.toJSON} gives. */
export interface SegmentationJson {
  readonly classes: readonly string[]
  readonly areas: readonly number[]
  /** In pixels. */
  readonly size: readonly [height: number, width: number]
  readonly timings: Timings
}

/** Which of many pictures was segmented. @internal */
export interface Given {
  readonly image: ImageInput
  readonly index: number
}

/** What a Segmentation is made from. @internal */
export interface SegmentationParts {
  labels: Tensor
  classes: readonly string[]
  /** Pixels per class. */
  counts: readonly number[]
  /** Index of the background class, -1 for none. */
  background: number
  timings: Timings
  /** uint8 [H, W]: 255 times the root of the label's probability, 0 where it is not known. */
  certainty?: Tensor | undefined
  logits?: Tensor | undefined
  probabilities?: Tensor | undefined
  given?: Given | undefined
  /** Decodes the picture again; absent for tensors. */
  source?: (() => Promise<DecodedImage>) | undefined
  addon: Pick<
    NativeAddon,
    | 'blendColors'
    | 'CancelToken'
    | 'labelPolygons'
    | 'labelRuns'
    | 'labelStrings'
    | 'objects'
    | 'writeSafetensors'
  >
}

/**
 * The class of every pixel of a picture.
 *
 * @example
 * ```ts
 * using seg = await segment('photo.jpg', ['cat, feline', 'sofa', 'background'])
 * await seg.savePNG('mask.png')
 * await seg.savePNG('overlay.png', { overlay: true })
 * ```
 */
export class Segmentation {
  /** Index into `classes` of every pixel: uint8, or uint16 for more than 256 classes, [H, W]. */
  readonly labels: Tensor
  /** Names in the caller's order. */
  readonly classes: readonly string[]
  /** Fraction of the pixels per class, 0 to 1. */
  readonly areas: readonly number[]
  /** Width of the upright picture in pixels. */
  readonly width: number
  /** Height of the upright picture in pixels. */
  readonly height: number
  /** How long the steps took. */
  readonly timings: Timings
  /** Cosine similarity per class and pixel before any threshold, float32 [C, H, W], if asked for. */
  readonly logits: Tensor | undefined
  /** Probability per class and pixel, float32 [C, H, W], if asked for. */
  readonly probabilities: Tensor | undefined
  /** What was passed to {@link segmentMany}; undefined of other calls. */
  readonly image: ImageInput | undefined
  /** Place of `image` among those that were passed, from 0; undefined of other calls. */
  readonly index: number | undefined

  readonly #background: number
  readonly #certainty: Tensor | undefined
  readonly #addon: SegmentationParts['addon']
  #source: SegmentationParts['source']
  #disposed = false

  /** @internal */
  constructor(parts: SegmentationParts) {
    const [height, width] = parts.labels.shape as [number, number]
    this.labels = parts.labels
    this.classes = Object.freeze([...parts.classes])
    this.areas = Object.freeze(parts.counts.map(count => count / (height * width)))
    this.width = width
    this.height = height
    this.timings = Object.freeze({ ...parts.timings })
    this.logits = parts.logits
    this.probabilities = parts.probabilities
    this.image = parts.given?.image
    this.index = parts.given?.index
    this.#background = parts.background
    this.#certainty = parts.certainty
    this.#addon = parts.addon
    this.#source = parts.source
  }

  /**
   * Encodes the mask or an overlay.
   *
   * Without `overlay`: an indexed PNG whose palette indices are the labels, or a 16-bit grey one
   * for more than 256 classes. With `overlay`: the picture under the colours of its classes with a
   * legend of names and areas below; needs the package sharp.
   *
   * @returns the bytes of a PNG file
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG, ERR_DECLIP_IMAGE or ERR_DECLIP_DISPOSED
   */
  async toPNG(options: PngOptions = {}): Promise<Uint8Array> {
    const { overlay = false, palette } = options
    checkPalette(palette)
    if (overlay === false) {
      using labels = this.#heldLabels()
      return await encodeLabelPng(labels.native, maskPalette(palette))
    }
    return this.#overlay(overlay === true ? {} : overlay, palette)
  }

  async #overlay(
    options: OverlayOptions,
    palette: readonly Rgb[] | undefined,
  ): Promise<Uint8Array> {
    if (typeof options !== 'object' || options === null) {
      throw invalid('overlay', 'true, false or an object', options)
    }
    const { opacity = 0.55, legend = true } = options
    if (!(Number.isFinite(opacity) && opacity >= 0 && opacity <= 1))
      throw invalid('overlay.opacity', '0 to 1', opacity)
    using labels = this.#heldLabels()
    const slot = await takeSlot({})
    try {
      await slot.reserve(3 * this.width * this.height, undefined)
      const image = await this.#picture(options.image)
      const colors = this.#overlayColors(palette)
      return await drawOverlay({
        addon: this.#addon,
        image,
        labels: labels.native,
        classes: this.classes,
        areas: this.areas,
        colors,
        opacity,
        legend,
      })
    } finally {
      slot.release()
    }
  }

  /** The background keeps the picture; its colour goes to the next class. */
  #overlayColors(palette?: readonly Rgb[]): (Rgb | undefined)[] {
    const background = this.#background
    return this.classes.map((_, i) =>
      i === background
        ? undefined
        : (palette?.[i] ?? overlayColor(background >= 0 && i > background ? i - 1 : i)),
    )
  }

  async #picture(given: OverlayOptions['image']): Promise<DecodedImage> {
    const maxPixels = Math.max(settings().maxPixels, this.width * this.height)
    const image =
      given === undefined ? await this.#source?.() : await loadImage(given, { maxPixels })
    if (!image) {
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        'An overlay of a segmentation that was made from a tensor needs its picture: ' +
          'pass overlay: { image }.',
      )
    }
    if (image.width !== this.width || image.height !== this.height) {
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `The overlay's picture must have the size of the labels, ${this.width} x ${this.height}, ` +
          `received ${image.width} x ${image.height}.`,
      )
    }
    return image
  }

  /**
   * Colours of the labels as RGB pixels.
   *
   * @param options - `palette`: colours in class order, default the PASCAL VOC colour map
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG or ERR_DECLIP_DISPOSED
   */
  async toColor(
    options: Pick<PngOptions, 'palette'> = {},
  ): Promise<DecodedImage & { channels: 3 }> {
    checkPalette(options.palette)
    this.#checkLive()
    const { width, height } = this
    const labels = (await this.labels.data()) as LabelMap['data']
    const colors = maskPalette(options.palette, this.classes.length)
    const data = new Uint8Array(3 * labels.length)
    await eachLine(height, width, y => {
      for (let i = y * width; i < (y + 1) * width; i++) {
        const color = colors[labels[i] as number] as Rgb
        for (let c = 0; c < 3; c++) data[3 * i + c] = color[c] as number
      }
    })
    return { data, width, height, channels: 3 }
  }

  /**
   * COCO run-length encodings, one per class in class order.
   *
   * @param options - `compressed`: counts as pycocotools' string instead of numbers, default false
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG, ERR_DECLIP_ABORTED or ERR_DECLIP_DISPOSED
   */
  async toRLE(
    options: Pick<CallOptions, 'signal'> & { compressed?: boolean | undefined } = {},
  ): Promise<Rle[]> {
    const { compressed = false } = options
    const labels = this.#nativeLabels(options)
    const addon = this.#addon
    const masks = await callNative(
      addon,
      options,
      async (call): Promise<readonly Rle['counts'][]> =>
        compressed
          ? addon.labelStrings({ ...call, ...labels })
          : toRunLists(await addon.labelRuns({ ...call, ...labels })),
    )
    const size = [this.height, this.width] as const
    return masks.map(counts => ({ size, counts }))
  }

  /**
   * Outlines, per class a list of polygons; with the default tolerance they run along the pixels'
   * sides and filling them gives the mask again.
   *
   * @param options - `tolerance`: pixels by which Douglas-Peucker may move a line, default 0
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG, ERR_DECLIP_ABORTED or ERR_DECLIP_DISPOSED
   */
  async toPolygons(
    options: Pick<CallOptions, 'signal'> & { tolerance?: number | undefined } = {},
  ): Promise<Polygon[][]> {
    const { tolerance = 0 } = options
    const labels = this.#nativeLabels(options)
    if (!(Number.isFinite(tolerance) && tolerance >= 0)) {
      throw invalid('tolerance', 'a number of pixels, 0 or more', tolerance)
    }
    return callNative(this.#addon, options, async call =>
      toPolygonLists(await this.#addon.labelPolygons({ ...call, ...labels, tolerance })),
    )
  }

  /**
   * The connected regions of every class but the background, best first (by score; of equal ones that which begins
   * higher up in the picture).
   *
   * A pixel's probability is kept as a byte, so that scores are exact to about 0.002. Pixels that a closing, a
   * threshold or the area filter gave to a class have none and are left out of the mean; a score is 0 where none is left.
   *
   * @example
   * ```ts
   * using seg = await segment('photo.jpg', ['cat', 'dog', 'background'])
   * for (const { class: name, score, box } of await seg.objects({ minArea: 100 })) console.log(name, score, box)
   * ```
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG, ERR_DECLIP_ABORTED or ERR_DECLIP_DISPOSED
   */
  async objects(options: ObjectOptions = {}): Promise<SegmentedObject[]> {
    const labels = this.#nativeLabels(options)
    checkObjectOptions(options)
    const { minArea = 0, connectivity = 8, limit, compressed = false } = options
    const certainty = this.#certainty?.native
    const background = this.#background
    const found = await callNative(this.#addon, options, call =>
      this.#addon.objects({
        ...call,
        ...labels,
        certainty,
        background,
        minArea,
        connectivity,
        limit,
        compressed,
      }),
    )
    return toObjects(found, this.classes, [this.height, this.width], compressed)
  }

  /**
   * Writes {@link Segmentation.toPNG} to a file, whole or not at all.
   *
   * @throws {@link DeclipError} ERR_DECLIP_IO, and as toPNG
   */
  async savePNG(path: string | URL, options: PngOptions = {}): Promise<void> {
    toPath('path', path)
    await writeFileAtomic(path, await this.toPNG(options))
  }

  /**
   * Writes `logits` as a safetensors file, whole or not at all: tensor 'logits', float32
   * [C, H, W], and the names as a JSON list in the metadata's 'classes'.
   *
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG where the call was made without
   * `logits: true`, ERR_DECLIP_IO or ERR_DECLIP_DISPOSED
   */
  async saveLogits(path: string | URL): Promise<void> {
    this.#checkLive()
    const target = toPath('path', path)
    if (!this.logits) {
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        'There are no logits to save: call segment() with logits: true.',
      )
    }
    try {
      await this.#addon.writeSafetensors({
        path: target,
        tensors: { logits: this.logits.native },
        metadata: { classes: JSON.stringify(this.classes) },
      })
    } catch (error) {
      throw toDeclipError(error)
    }
  }

  /**
   * The result as plain data for another thread, process or window, and the arrays' memory to be moved
   * there: `port.postMessage(message, transfer)`. Where nothing can be moved, send the message alone.
   * The segmentation stays as it is. {@link Segmentation.fromTransferable} makes one of the message again.
   *
   * @throws {@link DeclipError} ERR_DECLIP_DISPOSED
   */
  async toTransferable(): Promise<TransferableSegmentation> {
    this.#checkLive()
    const { width, height, classes, areas, timings } = this
    const read = async (tensor?: Tensor) => (await tensor?.data()) as Float32Array | undefined
    const labels = (await this.labels.data()) as LabelMap['data']
    const certainty = (await this.#certainty?.data()) as Uint8Array | undefined
    const [logits, probabilities] = [await read(this.logits), await read(this.probabilities)]
    const colors = this.#overlayColors().map(color => color ?? null)
    const arrays = [labels, certainty, logits, probabilities].filter(array => array !== undefined)
    return {
      message: {
        labels,
        width,
        height,
        classes,
        areas,
        background: this.#background,
        colors,
        timings,
        ...(certainty && { certainty }),
        ...(logits && { logits }),
        ...(probabilities && { probabilities }),
      },
      transfer: arrays.map(({ buffer }) => buffer as ArrayBuffer),
    }
  }

  /**
   * A segmentation from the message of {@link Segmentation.toTransferable}, with everything that one
   * can do, where the package can be loaded. It has no picture: an overlay needs `overlay: { image }`.
   *
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG, ERR_DECLIP_ADDON_NOT_FOUND, ERR_DECLIP_LIBTORCH
   */
  static async fromTransferable(data: SegmentationData): Promise<Segmentation> {
    const counts = await checkData(data)
    const addon = await prepareAddon()
    const { labels, width, height, classes, background, timings } = data
    const { certainty, logits, probabilities } = data
    const planes = [classes.length, height, width]
    return new Segmentation({
      labels: Tensor.from(labels, [height, width]),
      classes,
      counts,
      background,
      timings,
      certainty: certainty && Tensor.from(certainty, [height, width]),
      logits: logits && Tensor.from(logits, planes),
      probabilities: probabilities && Tensor.from(probabilities, planes),
      addon,
    })
  }

  /** Classes, areas, size and timings, as JSON.stringify() takes them. */
  toJSON(): SegmentationJson {
    const { classes, areas, height, width, timings } = this
    return { classes, areas, size: [height, width], timings }
  }

  /** Gives the tensors' memory back; may be called more than once. */
  dispose(): void {
    this.#disposed = true
    this.#source = undefined
    this.labels.dispose()
    this.#certainty?.dispose()
    this.logits?.dispose()
    this.probabilities?.dispose()
  }

  /** As {@link Segmentation.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose()
  }

  #checkLive(): void {
    if (!this.#disposed) return
    throw new DeclipError(
      'ERR_DECLIP_DISPOSED',
      'The segmentation was disposed; make its outputs before dispose() or the end of its `using` block.',
    )
  }

  #nativeLabels(options: CallOptions): NativeLabels {
    this.#checkLive()
    checkCall(options)
    return { labels: this.labels.native, classes: this.classes.length }
  }

  /** The labels for an output that goes on when this is disposed. */
  #heldLabels(): Tensor {
    this.#checkLive()
    return new Tensor(this.labels.native.slice(0, 0, this.height))
  }
}

/** A {@link Segmentation} of {@link segmentMany}, which says what it is of. */
export interface SegmentationOf<Image extends ImageInput> extends Segmentation {
  /** What was passed. */
  readonly image: Image
  /** Its place among what was passed, from 0. */
  readonly index: number
}

function checkPalette(palette: readonly Rgb[] | undefined): void {
  const isByte = (value: unknown) =>
    Number.isInteger(value) && Number(value) >= 0 && Number(value) < 256
  const isColor = (color: unknown) =>
    Array.isArray(color) && color.length === 3 && color.every(isByte)
  if (palette !== undefined && !(Array.isArray(palette) && palette.every(isColor))) {
    throw invalid('palette', 'a list of [red, green, blue], each 0 to 255', palette)
  }
}

/** The caller's colours first, then the PASCAL VOC colour map. */
function maskPalette(given: readonly Rgb[] = [], length = 256): Rgb[] {
  return Array.from({ length }, (_, i) => given[i] ?? vocColor(i))
}

/** The result of a native call with what only its caller knows. @internal */
export function toSegmentation(
  { labels, counts, certainty, logits, probabilities }: NativeSegmentation,
  rest: Pick<
    SegmentationParts,
    'classes' | 'background' | 'timings' | 'given' | 'source' | 'addon'
  >,
): Segmentation {
  return new Segmentation({
    ...rest,
    labels: new Tensor(labels),
    counts,
    certainty: new Tensor(certainty),
    logits: logits ? new Tensor(logits) : undefined,
    probabilities: probabilities ? new Tensor(probabilities) : undefined,
  })
}
