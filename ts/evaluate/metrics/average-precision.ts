import type { CallOptions } from '../../base/call.js'
import { DeclipError } from '../../errors.js'
import type { Rle } from '../../masks/rle.js'
import type { DatasetClass, DetectionTruth } from '../datasets/dataset.js'

/** An object that was found. */
export interface FoundObject {
  readonly label: number
  /** x, y, width, height in pixels. */
  readonly box: readonly [number, number, number, number]
  readonly score: number
  /** Needed for masks' average precision. */
  readonly mask?: Rle | undefined
}

/** What average precision is made of. */
export interface AveragePrecisionOptions extends CallOptions {
  /** Whether boxes or masks are compared. Default 'bbox'. */
  readonly kind?: 'bbox' | 'segm' | undefined
  /** 'coco' as pycocotools' COCOeval; 'lvis' as LVIS's federated evaluation. Default 'coco'. */
  readonly rule?: 'coco' | 'lvis' | undefined
  readonly classes: readonly DatasetClass[]
  /** By the picture's id: every picture that is evaluated. */
  readonly truths: ReadonlyMap<string, DetectionTruth>
  /** By the picture's id; pictures without an entry have none. */
  readonly detections: ReadonlyMap<string, readonly FoundObject[]>
  /**
   * Detections that count, the best of a picture and class ('coco', default 100) or of a picture ('lvis', default
   * 300).
   */
  readonly maxDetections?: number | undefined
}

/** Average precision and recall of one class, as fractions; null for a class that has no objects. */
export interface ClassAveragePrecision {
  readonly ap: number | null
  readonly ap50: number | null
  readonly ap75: number | null
  /** Average recall at the most detections. */
  readonly ar: number | null
}

/** Average precision over the classes, as fractions; null where no class has a value. */
export interface AveragePrecisionScores {
  /** Mean over IoU thresholds 0.5, 0.55 ... 0.95. */
  readonly ap: number | null
  readonly ap50: number | null
  readonly ap75: number | null
  /** Objects below 32², from there to 96², and above. */
  readonly small: number | null
  readonly medium: number | null
  readonly large: number | null
  /** Average recall at 1, 10 and the most detections ('lvis': at the most alone). */
  readonly ar1: number | null
  readonly ar10: number | null
  readonly ar: number | null
  readonly arSmall: number | null
  readonly arMedium: number | null
  readonly arLarge: number | null
  /** AP at IoU 0.5 by the classes' split, where they have one. */
  readonly splits: {
    readonly novel: number | null
    readonly base: number | null
    readonly all: number | null
  }
  /** LVIS: AP of rare, common and frequent classes. */
  readonly rare: number | null
  readonly common: number | null
  readonly frequent: number | null
  readonly perClass: readonly ClassAveragePrecision[]
}

/**
 * Average precision of objects that were found, by COCO's or LVIS's rules.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG, ERR_DECLIP_ABORTED
 */
export async function averagePrecision(
  _options: AveragePrecisionOptions,
): Promise<AveragePrecisionScores> {
  throw new DeclipError('ERR_DECLIP_INTERNAL', 'Average precision is not computed yet.')
}
