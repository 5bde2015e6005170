import { DeclipError, invalid } from '../../errors.js'
import type { MiouConvention } from '../../methods/benchmarks.js'
import { meanOf, ratio } from './ratio.js'

/** Scores of a class, as fractions; null where the pixels do not say: see {@link SemanticCounts.scores}. */
export interface SemanticClassScores {
  /** Pixels of both over pixels of either. Null for a class that is neither in the truth nor predicted. */
  readonly iou: number | null
  /** Share of the class's pixels that were found (recall). Null for a class that is not in the truth. */
  readonly acc: number | null
  /** 2 x pixels of both / (pixels of the truth + predicted pixels). */
  readonly dice: number | null
  /** Harmonic mean of precision and recall; null where either is null or both are 0. */
  readonly fscore: number | null
  /** Share of the predicted pixels that are right. Null for a class that is never predicted. */
  readonly precision: number | null
  /** Pixels of the class in the truth. */
  readonly pixels: number
  /** Pixels predicted as the class, where something is counted. */
  readonly predicted: number
}

/** Scores over a data set, as fractions. */
export interface SemanticScores {
  /** Mean of the classes' IoU, mmsegmentation's. */
  readonly miou: number | null
  /** The same by convention, see {@link MIOU_CONVENTIONS}. */
  readonly mious: Readonly<Record<MiouConvention, number | null>>
  /** Mean of the classes' accuracy. */
  readonly macc: number | null
  /** Share of all pixels of known classes that were found. */
  readonly aacc: number | null
  readonly mdice: number | null
  readonly mfscore: number | null
  readonly mprecision: number | null
  /** By class. */
  readonly perClass: readonly SemanticClassScores[]
  /**
   * Pixels by class of the truth (row) and predicted class (column): (C + 1) x (C + 1), row by row. The last row and
   * column have values outside 0..C-1.
   */
  readonly confusion: Float64Array
}

/**
 * Pixels of a data set by true and predicted class. Whole numbers, so pictures may come in any order and parts may be
 * united: the scores are the same to the last digit.
 */
export class SemanticCounts {
  readonly classes: number
  /** Pixels by truth * (classes + 1) + prediction; pairs that never occur have no entry. */
  readonly #pixels = new Map<number, number>()

  /** @throws DeclipError ERR_DECLIP_INVALID_ARG unless there are 1 to 65536 classes */
  constructor(classes: number) {
    if (!Number.isInteger(classes) || classes < 1 || classes > 65536) {
      throw invalid('classes', 'a whole number, 1 to 65536', classes)
    }
    this.classes = classes
  }

  /**
   * Adds the pixels of a picture.
   *
   * @param pairs - true class, predicted class, pixels, and so on; `classes` stands for every value outside 0..C-1
   * @throws DeclipError ERR_DECLIP_INVALID_ARG, and then nothing is added
   */
  add(pairs: ArrayLike<number>): this {
    this.#check(pairs)
    for (let i = 0; i < pairs.length; i += 3) {
      const at = (pairs[i] as number) * (this.classes + 1) + (pairs[i + 1] as number)
      this.#pixels.set(at, (this.#pixels.get(at) ?? 0) + (pairs[i + 2] as number))
    }
    return this
  }

  /** Adds what another has counted. @throws DeclipError ERR_DECLIP_INVALID_ARG for another number of classes */
  merge(other: SemanticCounts): this {
    if (other.classes !== this.classes) {
      throw invalid('other', `counts of ${this.classes} classes`, `those of ${other.classes}`)
    }
    for (const [at, pixels] of other.#pixels) {
      this.#pixels.set(at, (this.#pixels.get(at) ?? 0) + pixels)
    }
    return this
  }

  /** What was added, in one list of triples, ascending by true and predicted class. */
  pairs(): Float64Array {
    const side = this.classes + 1
    const sorted = [...this.#pixels].sort(([a], [b]) => a - b)
    return Float64Array.from(
      sorted.flatMap(([at, pixels]) => [Math.floor(at / side), at % side, pixels]),
    )
  }

  /**
   * The scores as mmsegmentation's IoUMetric has them, on whole numbers where it sums in float32. A mean is over the
   * classes that have a value: one that is predicted but not in the truth has IoU 0 and no accuracy. A pixel whose
   * truth is no class of the set counts as predicted, and nowhere else.
   */
  scores(): SemanticScores {
    const { classes } = this
    const both = new Float64Array(classes)
    const predicted = new Float64Array(classes)
    const labelled = new Float64Array(classes)
    for (const [at, pixels] of this.#pixels) {
      const truth = Math.floor(at / (classes + 1))
      const prediction = at % (classes + 1)
      if (prediction < classes) predicted[prediction] = (predicted[prediction] as number) + pixels
      if (truth < classes) labelled[truth] = (labelled[truth] as number) + pixels
      if (truth < classes && truth === prediction) both[truth] = pixels
    }
    const perClass = Array.from(both, (hits, c) =>
      classScores(hits, predicted[c] as number, labelled[c] as number),
    )
    const dense = () => this.#confusion()
    const miou = meanOf(perClass.map(({ iou }) => iou))
    const present = perClass.filter(({ pixels }) => pixels > 0)
    return {
      miou,
      mious: { mmsegmentation: miou, detectron2: meanOf(present.map(({ iou }) => iou)) },
      macc: meanOf(perClass.map(({ acc }) => acc)),
      aacc: ratio(sum(both), sum(labelled)),
      mdice: meanOf(perClass.map(({ dice }) => dice)),
      mfscore: meanOf(perClass.map(({ fscore }) => fscore)),
      mprecision: meanOf(perClass.map(({ precision }) => precision)),
      perClass,
      // Made when it is asked for: of thousands of classes it is large, and few ask.
      get confusion() {
        return dense()
      },
    }
  }

  #confusion(): Float64Array {
    const matrix = new Float64Array((this.classes + 1) ** 2)
    for (const [at, pixels] of this.#pixels) matrix[at] = pixels
    return matrix
  }

  #check(pairs: ArrayLike<number>): void {
    if (pairs.length % 3 !== 0) {
      throw invalid('pairs', 'triples of true class, predicted class and pixels', pairs)
    }
    for (let i = 0; i < pairs.length; i += 3) {
      const truth = pairs[i] as number
      const prediction = pairs[i + 1] as number
      const pixels = pairs[i + 2] as number
      const within = (c: number) => Number.isInteger(c) && c >= 0 && c <= this.classes
      if (within(truth) && within(prediction) && Number.isSafeInteger(pixels) && pixels >= 0) {
        continue
      }
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `pairs must hold classes of 0 to ${this.classes} and whole numbers of pixels, received ${truth}, ${prediction}, ${pixels} as triple ${i / 3 + 1}. Count again those pictures.`,
      )
    }
  }
}

/** Of the pixels of both, those predicted, and those of the truth. */
function classScores(both: number, predicted: number, labelled: number): SemanticClassScores {
  const acc = ratio(both, labelled)
  const precision = ratio(both, predicted)
  return {
    iou: ratio(both, predicted + labelled - both),
    acc,
    dice: ratio(2 * both, predicted + labelled),
    fscore: precision === null || acc === null ? null : ratio(2 * precision * acc, precision + acc),
    precision,
    pixels: labelled,
    predicted,
  }
}

const sum = (values: Float64Array): number => values.reduce((a, b) => a + b, 0)
