import { toPath, writeFileAtomic } from '../base/files.js'
import { prepareAddon } from '../engine/load-addon.js'
import { settings } from '../engine/settings.js'
import { Tensor } from '../engine/tensor.js'
import { DeclipError, invalid } from '../errors.js'
import type { DecodedImage } from '../image/decode.js'
import { takeSlot } from '../image/decode-slots.js'
import { loadImage } from '../image/source.js'
import type { Rle } from '../masks/rle.js'
import { drawDetections } from './draw-detections.js'
import { boxArea, type Found } from './found.js'
import { paintMasks } from './paint-masks.js'
import { overlayColor, vocColor } from './palette.js'
import { encodeLabelPng } from './png.js'
import type { OverlayOptions } from './segmentation.js'
import type { Timings } from './timings.js'

/** What Detections are made from. @internal */
export interface DetectionParts {
  /** Best first. */
  readonly found: readonly Found[]
  readonly classes: readonly string[]
  /** In pixels. */
  readonly width: number
  /** In pixels. */
  readonly height: number
  readonly timings: Timings
  /** Whether the caller gets the masks. */
  readonly masks: boolean
  /** Ids of the classes in COCO's or LVIS's files, where they are theirs. */
  readonly categoryIds?: readonly number[] | undefined
  /** Decodes the picture again. */
  readonly source: () => Promise<DecodedImage>
}

/** What {@link Detections.toJSON} gives. */
export interface DetectionsJson {
  readonly classes: readonly string[]
  /** Best first; boxes in pixels. */
  readonly objects: readonly {
    readonly class: string
    readonly index: number
    readonly score: number
    readonly box: readonly [x1: number, y1: number, x2: number, y2: number]
    readonly mask?: Rle | undefined
  }[]
  /** In pixels. */
  readonly size: readonly [height: number, width: number]
  readonly timings: Timings
}

/** An object as COCO's evaluation takes it. */
export interface CocoResult {
  readonly image_id: number | string
  readonly category_id: number
  /** x, y, width and height in pixels. */
  readonly bbox: readonly [x: number, y: number, width: number, height: number]
  readonly score: number
  readonly segmentation?: Rle | undefined
}

/**
 * The objects that were found in a picture, best first.
 *
 * @example
 * ```ts
 * using found = await detect('photo.jpg', ['dog', 'cup'])
 * for (const { class: name, score, box } of found.toJSON().objects) console.log(name, score, box)
 * await found.savePNG('found.png', { overlay: true })
 * ```
 */
export class Detections {
  /** x1, y1, x2, y2 in pixels of the upright picture, best first: float32 [K, 4]. */
  readonly boxes: Tensor
  /** 0 to 1, float32 [K]. */
  readonly scores: Tensor
  /** Index into `classes`, int32 [K]. */
  readonly labels: Tensor
  /** Masks in the same order, with counts as numbers, if asked for. */
  readonly masks: readonly Rle[] | undefined
  readonly classes: readonly string[]
  /** Width of the upright picture in pixels. */
  readonly width: number
  /** Height of the upright picture in pixels. */
  readonly height: number
  /** How long the steps took. */
  readonly timings: Timings

  readonly #found: readonly Found[]
  readonly #source: DetectionParts['source']
  readonly #categoryIds: readonly number[] | undefined
  #disposed = false

  /** @internal */
  constructor(parts: DetectionParts) {
    const { found, classes, width, height, timings, masks, source } = parts
    const count = found.length
    this.boxes = Tensor.from(Float32Array.from(found.flatMap(({ box }) => box)), [count, 4])
    this.scores = Tensor.from(
      Float32Array.from(found, ({ score }) => score),
      [count],
    )
    this.labels = Tensor.from(
      Int32Array.from(found, ({ label }) => label),
      [count],
    )
    this.masks = masks ? Object.freeze(found.map(({ mask }) => mask as Rle)) : undefined
    this.classes = Object.freeze([...classes])
    this.width = width
    this.height = height
    this.timings = Object.freeze({ ...timings })
    this.#found = found
    this.#source = source
    this.#categoryIds = parts.categoryIds
  }

  /** Number of objects. */
  get count(): number {
    return this.#found.length
  }

  /**
   * Encodes a picture of the objects.
   *
   * With `overlay`: the picture with boxes, names and scores, masks tinted, small ones on large ones; needs the package
   * sharp. Of more than 15 objects weak ones are pale, and names that find no free place are left out. Without: an index
   * PNG in which value k belongs to the k-th object, counted from 1, and 0 to none (16 bits for more than 255), the best
   * on top; objects without a mask have their box.
   *
   * @param options - `overlay`: true, or what it looks like: `legend: false` leaves names and scores out
   * @returns the bytes of a PNG file
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG, ERR_DECLIP_IMAGE or ERR_DECLIP_DISPOSED
   */
  async toPNG(
    options: { overlay?: boolean | OverlayOptions | undefined } = {},
  ): Promise<Uint8Array> {
    this.#checkLive()
    const { overlay = false } = options
    if (overlay === false) {
      const values = this.#found.map(({ box, mask }, i) => ({
        mask: mask ?? boxMask(box, this),
        value: i + 1,
      }))
      using map = await this.#map(values.reverse())
      return await encodeLabelPng(
        map.native,
        Array.from({ length: 256 }, (_, i) => vocColor(i)),
      )
    }
    if (overlay === null || !['boolean', 'object'].includes(typeof overlay)) {
      throw invalid('overlay', 'true, false or an object', overlay)
    }
    return this.#overlay(overlay === true ? {} : overlay)
  }

  async #overlay({ image, opacity = 0.45, legend = true }: OverlayOptions): Promise<Uint8Array> {
    if (!(Number.isFinite(opacity) && opacity >= 0 && opacity <= 1))
      throw invalid('overlay.opacity', '0 to 1', opacity)
    const addon = await prepareAddon()
    const slot = await takeSlot({})
    try {
      await slot.reserve(3 * this.width * this.height, undefined)
      const picture = await this.#picture(image)
      const bySize = [...this.#found].sort((a, b) => boxArea(b) - boxArea(a))
      using labels = await this.#map(bySize.map(({ mask, label }) => ({ mask, value: label + 1 })))
      return await drawDetections({
        addon,
        image: picture,
        found: this.#found,
        classes: this.classes,
        labels: labels.native,
        colors: [undefined, ...this.classes.map((_, i) => overlayColor(i))],
        opacity,
        names: legend,
      })
    } finally {
      slot.release()
    }
  }

  /** A label map [H, W] with the values of masks, of which later ones lie on top; 0 elsewhere. */
  async #map(masks: readonly { mask?: Rle | undefined; value: number }[]): Promise<Tensor> {
    const { width, height } = this
    return Tensor.from(await paintMasks(masks, width, height), [height, width])
  }

  async #picture(given: OverlayOptions['image']): Promise<DecodedImage> {
    const maxPixels = Math.max(settings().maxPixels, this.width * this.height)
    const image = given === undefined ? await this.#source() : await loadImage(given, { maxPixels })
    if (image.width === this.width && image.height === this.height) return image
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `The overlay's picture must be ${this.width} x ${this.height}, received ${image.width} x ${image.height}.`,
    )
  }

  /**
   * Writes {@link Detections.toPNG} to a file, whole or not at all.
   *
   * @throws {@link DeclipError} ERR_DECLIP_IO, and as toPNG
   */
  async savePNG(
    path: string | URL,
    options: { overlay?: boolean | OverlayOptions | undefined } = {},
  ): Promise<void> {
    toPath('path', path)
    await writeFileAtomic(path, await this.toPNG(options))
  }

  /**
   * The objects as lines of COCO's results file.
   *
   * @param imageId - of the picture in the annotation file
   * @param options - `categoryIds`: ids of the classes in their order. Default: COCO's or LVIS's where a detector's
   * classes are theirs, else from 1 on
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG
   */
  toCoco(
    imageId: number | string,
    options: { categoryIds?: readonly number[] | undefined } = {},
  ): CocoResult[] {
    const { categoryIds = this.#categoryIds } = options
    if (categoryIds !== undefined && categoryIds.length !== this.classes.length) {
      throw invalid('categoryIds', `a list of ${this.classes.length} ids`, categoryIds)
    }
    return this.#found.map(({ box: [x1, y1, x2, y2], score, label }, i) => ({
      image_id: imageId,
      category_id: categoryIds?.[label] ?? label + 1,
      bbox: [x1, y1, x2 - x1, y2 - y1],
      score,
      ...(this.masks && { segmentation: this.masks[i] }),
    }))
  }

  /** Objects, size and timings, as JSON.stringify() takes them. */
  toJSON(): DetectionsJson {
    const { classes, height, width, timings, masks } = this
    const objects = this.#found.map(({ label, score, box }, i) => ({
      class: classes[label] as string,
      index: label,
      score,
      box,
      ...(masks && { mask: masks[i] }),
    }))
    return { classes, objects, size: [height, width], timings }
  }

  /** Gives the tensors' memory back; may be called more than once. */
  dispose(): void {
    this.#disposed = true
    this.boxes.dispose()
    this.scores.dispose()
    this.labels.dispose()
  }

  /** As {@link Detections.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose()
  }

  #checkLive(): void {
    if (!this.#disposed) return
    throw new DeclipError(
      'ERR_DECLIP_DISPOSED',
      'The detections were disposed; make their outputs before dispose() or the end of their `using` block.',
    )
  }
}

/** The pixels whose middle is in a box. */
function boxMask(box: Found['box'], { width, height }: { width: number; height: number }): Rle {
  const [x1, y1, x2, y2] = box.map((side, i) =>
    Math.max(0, Math.min(Math.round(side), i % 2 === 0 ? width : height)),
  ) as [number, number, number, number]
  const [columns, rows] = [Math.max(0, x2 - x1), Math.max(0, y2 - y1)]
  if (columns === 0 || rows === 0) return { size: [height, width], counts: [width * height] }
  const counts = [x1 * height + y1]
  for (let column = 0; column < columns; column++) {
    counts.push(rows, column === columns - 1 ? height - y2 + (width - x2) * height : height - rows)
  }
  return { size: [height, width], counts }
}
