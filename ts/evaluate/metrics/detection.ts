import { type Call, type CallOptions, callOf } from '../../base/call.js'
import { Growing } from '../../base/growing.js'
import type { NativeAveragePrecision } from '../../engine/addon-types.js'
import { admit } from '../../engine/admission.js'
import { callNative } from '../../engine/call-native.js'
import { loadAddon } from '../../engine/load-addon.js'
import { DeclipError, invalid } from '../../errors.js'
import { countText } from '../../masks/count-text.js'
import type { Rle } from '../../masks/rle.js'
import type { DatasetClass, DetectionTruth } from '../datasets/dataset.js'
import { meanOf } from './ratio.js'

/** An object that was found. */
export interface FoundObject {
  readonly label: number
  /** x, y, width, height in pixels. */
  readonly box: readonly [number, number, number, number]
  readonly score: number
  /** Needed where masks are compared. */
  readonly mask?: Rle | undefined
}

/** How objects are compared. */
export interface DetectionRules {
  readonly classes: readonly DatasetClass[]
  /** Whether boxes or masks are compared. Default 'bbox'. */
  readonly kind?: 'bbox' | 'segm' | undefined
  /** 'coco' as pycocotools' COCOeval; 'lvis' as LVIS's federated evaluation. Default 'coco'. */
  readonly rule?: 'coco' | 'lvis' | undefined
  /**
   * Detections that count: the best of a picture and class ('coco', default 100) or of a picture ('lvis', default
   * 300). Three ascending numbers ('coco'): those of `ar1`, `ar10`, and of all else.
   */
  readonly maxDetections?: number | readonly [number, number, number] | undefined
}

/** A picture's objects and what was found of them. */
export interface DetectedPicture {
  /** Names it in messages, and once alone. */
  readonly id: string
  /**
   * Its place in the data set, which decides between equal scores of two pictures; COCO's evaluation goes by its image
   * ids. Default: the order of adding.
   */
  readonly place?: number | undefined
  readonly truth: DetectionTruth
  readonly detections: readonly FoundObject[]
}

/** Average precision and recall of one class, as fractions; null where the class has no object that counts. */
export interface ClassAveragePrecision {
  /** Mean over IoU thresholds 0.5, 0.55 ... 0.95. */
  readonly ap: number | null
  readonly ap50: number | null
  readonly ap75: number | null
  /** Of objects of at most 32², from there to 96², and from there on. */
  readonly small: number | null
  readonly medium: number | null
  readonly large: number | null
  /** Average recall at 1, 10 and the most detections; 'lvis' has the last alone. */
  readonly ar1: number | null
  readonly ar10: number | null
  readonly ar: number | null
  readonly arSmall: number | null
  readonly arMedium: number | null
  readonly arLarge: number | null
}

/** Precision at IoU 0.5 by recall. */
export interface PrecisionCurve {
  /** Whose mean it is. */
  readonly name: 'all' | 'novel' | 'base' | 'rare' | 'common' | 'frequent'
  /** 0, 0.01 ... 1 */
  readonly recall: readonly number[]
  readonly precision: readonly number[]
}

/** Means over the classes that have a value, as fractions; null where none has. */
export interface AveragePrecisionScores extends ClassAveragePrecision {
  /** AP at IoU 0.5 of the classes of either split and of all; null without such classes. */
  readonly splits: {
    readonly novel: number | null
    readonly base: number | null
    readonly all: number | null
  }
  /** LVIS: AP of the rare, common and frequent classes. */
  readonly rare: number | null
  readonly common: number | null
  readonly frequent: number | null
  readonly perClass: readonly ClassAveragePrecision[]
  /** Of all classes, and of the splits and frequencies that there are. */
  readonly curves: readonly PrecisionCurve[]
}

/** The figures of a class in the addon's order. */
const FIGURES = [
  'ap',
  'ap50',
  'ap75',
  'small',
  'medium',
  'large',
  'ar1',
  'ar10',
  'ar',
  'arSmall',
  'arMedium',
  'arLarge',
] as const satisfies readonly (keyof ClassAveragePrecision)[]

const RECALLS = Array.from({ length: 101 }, (_, i) => i / 100)

/** Numbers that a picture has in the addon's list. */
const PER_PICTURE = 10

/**
 * Objects of a data set and what was found of them, a few numbers each; pictures may come in any order.
 *
 * @example
 * ```ts
 * const counts = new DetectionCounts({ classes: [{ name: 'cat', words: ['cat'] }] })
 * counts.add({
 *   id: '1',
 *   truth: { width: 64, height: 48, objects: [{ id: 1, label: 0, box: [4, 4, 20, 10], area: 200, crowd: false }] },
 *   detections: [{ label: 0, box: [4, 5, 20, 10], score: 0.9 }],
 * })
 * const { ap, ap50 } = await counts.scores()
 * ```
 */
export class DetectionCounts {
  readonly #rules: {
    readonly classes: readonly DatasetClass[]
    readonly kind: 'bbox' | 'segm'
    readonly rule: 'coco' | 'lvis'
  }
  readonly #limits: readonly number[]
  /** Place, and where the picture's items begin and end, by id. */
  readonly #pictures = new Map<string, { readonly place: number; readonly numbers: number[] }>()
  readonly #truths = new Objects()
  readonly #areas = new Growing(n => new Float64Array(n))
  readonly #crowds = new Growing(n => new Uint8Array(n))
  readonly #found = new Objects()
  readonly #scores = new Growing(n => new Float64Array(n))
  readonly #negative = new Growing(n => new Int32Array(n))
  readonly #notExhaustive = new Growing(n => new Int32Array(n))

  /** @throws DeclipError ERR_DECLIP_INVALID_ARG */
  constructor({ classes, kind = 'bbox', rule = 'coco', maxDetections }: DetectionRules) {
    if (!Array.isArray(classes) || classes.length === 0 || classes.length > 65536) {
      throw invalid('classes', 'a list of 1 to 65536 classes', classes)
    }
    if (kind !== 'bbox' && kind !== 'segm') throw invalid('kind', "'bbox' or 'segm'", kind)
    if (rule !== 'coco' && rule !== 'lvis') throw invalid('rule', "'coco' or 'lvis'", rule)
    this.#rules = { classes, kind, rule }
    this.#limits = limitsOf(rule, maxDetections)
  }

  /** Pictures that were added. */
  get pictures(): number {
    return this.#pictures.size
  }

  /**
   * Adds a picture.
   *
   * @throws DeclipError ERR_DECLIP_INVALID_ARG naming the picture and the item, and then nothing is added
   */
  add({ id, place = this.#pictures.size, truth, detections }: DetectedPicture): this {
    if (typeof id !== 'string') throw invalid('id', 'a string', id)
    if (this.#pictures.has(id)) {
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `Picture '${id}' was added before. Leave one of the two out.`,
      )
    }
    if (!Number.isSafeInteger(place)) throw invalid('place', 'a whole number', place)
    const what = `Picture '${id}': `
    this.#checkTruth(what, truth)
    for (const [i, one] of detections.entries()) {
      const name = `${what}detections[${i}].`
      this.#checkObject(name, one, truth)
      if (!Number.isFinite(one.score)) throw invalid(`${name}score`, 'a finite number', one.score)
    }
    const { objects, negative = [], notExhaustive = [], width, height } = truth
    const starts = [this.#truths, this.#found, this.#negative, this.#notExhaustive].map(
      list => list.length,
    )
    const withMasks = this.#rules.kind === 'segm'
    for (const object of objects) {
      this.#truths.add(object, withMasks)
      this.#areas.push(object.area)
      this.#crowds.push(object.crowd ? 1 : 0)
    }
    for (const object of detections) {
      this.#found.add(object, withMasks)
      this.#scores.push(object.score)
    }
    this.#negative.append(negative)
    this.#notExhaustive.append(notExhaustive)
    const lengths = [objects, detections, negative, notExhaustive].map(list => list.length)
    const spans = starts.flatMap((start, i) => [start, start + (lengths[i] as number)])
    this.#pictures.set(id, { place, numbers: [...spans, height, width] })
    return this
  }

  /**
   * Average precision and recall of all pictures that were added.
   *
   * @throws DeclipError ERR_DECLIP_INVALID_ARG for masks that are none, ERR_DECLIP_ABORTED, ERR_DECLIP_BUSY
   */
  async scores(options: CallOptions = {}): Promise<AveragePrecisionScores> {
    return admit(options, call => this.compute(call))
  }

  /** The same as a part of a call that was let in before. @internal */
  async compute(call: Call): Promise<AveragePrecisionScores> {
    return this.#toScores(await this.#native(call, false))
  }

  /** All curves, as COCOeval keeps them: [threshold, recall, class, area, limit]. @internal */
  async allCurves(call: Call): Promise<NativeAveragePrecision> {
    return this.#native(call, true)
  }

  async #native(call: Call, curves: boolean): Promise<NativeAveragePrecision> {
    const { classes, kind, rule } = this.#rules
    // Of two of the same place the smaller id first: a result must not depend on which was added first.
    const ordered = [...this.#pictures].sort(
      ([a, one], [b, other]) => one.place - other.place || (a < b ? -1 : 1),
    )
    const pictures = new Uint32Array(PER_PICTURE * ordered.length)
    for (const [i, [, { numbers }]] of ordered.entries()) pictures.set(numbers, PER_PICTURE * i)
    const addon = loadAddon()
    try {
      return await callNative(addon, callOf(call), job =>
        addon.averagePrecision({
          ...job,
          rule,
          masks: kind === 'segm',
          classes: classes.length,
          maxDetections: this.#limits,
          pictures,
          truths: {
            ...this.#truths.native(),
            areas: this.#areas.view(),
            crowds: this.#crowds.view(),
          },
          detections: { ...this.#found.native(), scores: this.#scores.view() },
          negative: this.#negative.view(),
          notExhaustive: this.#notExhaustive.view(),
          curves,
        }),
      )
    } catch (error) {
      throw this.#named(error)
    }
  }

  /** The addon knows objects by their places in the lists. */
  #named(error: unknown): unknown {
    if (!(error instanceof DeclipError)) return error
    const [all, list, place] = /^(truth|detection) (\d+): /.exec(error.message) ?? []
    if (all === undefined) return error
    const at = Number(place)
    const first = list === 'truth' ? 0 : 2
    for (const [id, { numbers }] of this.#pictures) {
      const [begin, end] = numbers.slice(first, first + 2) as [number, number]
      if (at < begin || at >= end) continue
      const name = list === 'truth' ? 'truth.objects' : 'detections'
      const message = `Picture '${id}': ${name}[${at - begin}].mask: ${error.message.slice(all.length)}`
      return new DeclipError(error.code, message)
    }
    return error
  }

  #toScores({ perClass: numbers, at50 }: NativeAveragePrecision): AveragePrecisionScores {
    const { classes, rule } = this.#rules
    const own = classes.map((_, k) =>
      classFigures(numbers.subarray(FIGURES.length * k), rule === 'lvis'),
    )
    const mean = (key: keyof ClassAveragePrecision, holds: (one: DatasetClass) => boolean) =>
      meanOf(own.filter((_, k) => holds(classes[k] as DatasetClass)).map(one => one[key]))
    const all = () => true
    const figures = Object.fromEntries(FIGURES.map(key => [key, mean(key, all)]))
    const groups = {
      novel: ({ split }: DatasetClass) => split === 'novel',
      base: ({ split }: DatasetClass) => split === 'base',
      rare: ({ frequency }: DatasetClass) => frequency === 'r',
      common: ({ frequency }: DatasetClass) => frequency === 'c',
      frequent: ({ frequency }: DatasetClass) => frequency === 'f',
    }
    const curves = Object.entries({ all, ...groups }).flatMap(([name, holds]) => {
      const rows = classes.flatMap((one, k) =>
        holds(one) && own[k]?.ap50 !== null ? [at50.subarray(101 * k, 101 * k + 101)] : [],
      )
      if (rows.length === 0) return []
      const precision = RECALLS.map((_, r) => meanOf(rows.map(row => row[r] as number)) as number)
      return [{ name: name as PrecisionCurve['name'], recall: RECALLS, precision }]
    })
    return {
      ...(figures as unknown as ClassAveragePrecision),
      splits: {
        novel: mean('ap50', groups.novel),
        base: mean('ap50', groups.base),
        all: mean('ap50', all),
      },
      rare: mean('ap', groups.rare),
      common: mean('ap', groups.common),
      frequent: mean('ap', groups.frequent),
      perClass: own,
      curves,
    }
  }

  #checkTruth(what: string, truth: DetectionTruth): void {
    for (const side of ['width', 'height'] as const) {
      const value = truth[side]
      if (Number.isInteger(value) && value >= 1 && value < 2 ** 31) continue
      throw invalid(`${what}${side}`, 'a whole number of pixels, at least 1', value)
    }
    for (const [i, object] of truth.objects.entries()) {
      const name = `${what}truth.objects[${i}].`
      this.#checkObject(name, object, truth)
      if (!(Number.isFinite(object.area) && object.area >= 0)) {
        throw invalid(`${name}area`, 'a number of pixels, at least 0', object.area)
      }
      if (typeof object.crowd !== 'boolean') {
        throw invalid(`${name}crowd`, 'true or false', object.crowd)
      }
    }
    for (const list of ['negative', 'notExhaustive'] as const) {
      for (const label of truth[list] ?? []) this.#checkLabel(`${what}truth.${list}`, label)
    }
  }

  #checkObject(
    name: string,
    { label, box, mask }: Pick<FoundObject, 'label' | 'box' | 'mask'>,
    { width, height }: DetectionTruth,
  ): void {
    this.#checkLabel(`${name}label`, label)
    if (this.#rules.kind === 'bbox') {
      const holds = box?.length === 4 && box.every(Number.isFinite) && box[2] >= 0 && box[3] >= 0
      if (holds) return
      const shown = Array.isArray(box) ? `[${box}]` : box
      throw invalid(`${name}box`, 'x, y, width and height in pixels, no side below 0', shown)
    }
    if (!mask) throw invalid(`${name}mask`, "run lengths, since kind is 'segm'", mask)
    if (mask.size[0] !== height || mask.size[1] !== width) {
      const size = `${height} x ${width} (height x width), the size of its picture`
      throw invalid(`${name}mask`, size, `${mask.size[0]} x ${mask.size[1]}`)
    }
    const { counts } = mask
    if (typeof counts === 'string') return
    const holds = (n: number) => Number.isInteger(n) && n >= 0 && n < 2 ** 32
    if (!Array.isArray(counts) || !counts.every(holds)) {
      throw invalid(`${name}mask.counts`, 'whole numbers of pixels or a compressed string', counts)
    }
  }

  #checkLabel(name: string, label: number): void {
    const { length } = this.#rules.classes
    if (Number.isInteger(label) && label >= 0 && label < length) return
    throw invalid(name, `a whole number, 0 to ${length - 1}`, label)
  }
}

/** Objects one after another. */
class Objects {
  readonly #labels = new Growing(n => new Int32Array(n))
  readonly #boxes = new Growing(n => new Float64Array(n))
  readonly #text = new Growing(n => new Uint8Array(n))
  readonly #ends = new Growing(n => new Float64Array(n))

  get length(): number {
    return this.#labels.length
  }

  add({ label, box, mask }: Pick<FoundObject, 'label' | 'box' | 'mask'>, withMask: boolean): void {
    this.#labels.push(label)
    if (!withMask || !mask) {
      this.#boxes.append(box)
      return
    }
    const { counts } = mask
    const text = typeof counts === 'string' ? counts : countText(counts)
    this.#text.append(Buffer.from(text, 'latin1'))
    this.#ends.push(this.#text.length)
  }

  native() {
    return {
      labels: this.#labels.view(),
      boxes: this.#boxes.view(),
      maskText: this.#text.view(),
      maskEnds: this.#ends.view(),
    }
  }
}

function limitsOf(
  rule: 'coco' | 'lvis',
  given: DetectionRules['maxDetections'] = rule === 'coco' ? 100 : 300,
): readonly number[] {
  const holds = (n: unknown) => Number.isInteger(n) && (n as number) >= 1 && (n as number) < 2 ** 32
  if (holds(given)) {
    const most = given as number
    return rule === 'lvis' ? [most] : [1, Math.min(10, most), most]
  }
  const list = given as readonly number[]
  const ascends = Array.isArray(list) && list.length === 3 && list.every(holds)
  if (rule === 'coco' && ascends && list.every((n, i) => i === 0 || n >= (list[i - 1] as number))) {
    return list
  }
  const three = rule === 'coco' ? ', or three that ascend' : ''
  throw invalid('maxDetections', `a whole number, at least 1${three}`, given)
}

/** `alone`: there is one limit, whose recall comes first. */
function classFigures(numbers: Float64Array, alone: boolean): ClassAveragePrecision {
  const values = FIGURES.map((_, i) => (numbers[i] === -1 ? null : (numbers[i] as number)))
  const figures = Object.fromEntries(FIGURES.map((key, i) => [key, values[i]])) as unknown as {
    -readonly [K in keyof ClassAveragePrecision]: number | null
  }
  if (alone) {
    figures.ar = figures.ar1
    figures.ar1 = null
  }
  return figures
}
