import { field, flag, fraction, whole } from '../base/field.js'
import { DeclipError } from '../errors.js'
import { DETECTOR_FIELDS, DETECTOR_INPUT_FIELDS } from '../model/detector-fields.js'
import type { DetectorInputOptions, DetectorQuestionOptions } from '../model/detector-options.js'
import type { SegmentOptions } from '../segment/options.js'

/**
 * Options of {@link detect}. With a detector checkpoint: those of {@link DetectorView.detect} and
 * {@link Model.encodeForDetection}, of which `mode` is here the last block's, too. With any other model: those of
 * {@link segment}. What is of the other kind is refused.
 */
export interface DetectOptions
  extends Omit<SegmentOptions, 'masks' | 'refine' | 'proposals'>,
    Omit<DetectorInputOptions, 'mode'>,
    Omit<DetectorQuestionOptions, 'scoreThreshold' | 'limit' | 'masks'> {
  /** Objects of a lower score are left out: a number from 0 to 1. Default: 0; of a detector checkpoint the preset's. */
  scoreThreshold?: number | undefined
  /** Most objects, the best ones: a whole number of at least 1. Default: 100; of a detector checkpoint the preset's. */
  limit?: number | undefined
  /** Also gives the mask of every object. Default: false. */
  masks?: boolean | undefined
  /**
   * Objects of fewer pixels are left out: a whole number of at least 0. Default: a five-hundredth of the
   * picture's.
   */
  minArea?: number | undefined
}

/** Most objects of a picture, as COCO counts them. */
export const LIMIT = 100

/**
 * None are left out: how high probabilities are depends on the model, the number of words and how alike they are,
 * and each region was the best of its words already.
 */
export const SCORE_THRESHOLD = 0

/** Share of a picture below which a region is taken for a speck: about one patch of a ViT/16 at 336 pixels. */
const LEAST_SHARE = 1 / 500

/** Pixels that an object has at least where the caller does not say. @internal */
export function leastArea(width: number, height: number): number {
  return Math.ceil(width * height * LEAST_SHARE)
}

/** See {@link DetectOptions}. @internal */
export const DETECT_FIELDS = {
  scoreThreshold: field(fraction, 'Objects of a lower score are left out', String(SCORE_THRESHOLD)),
  limit: field(whole(1), 'Most objects, the best ones', String(LIMIT)),
  masks: field(flag, 'Also gives the mask of every object', 'false'),
  minArea: field(
    whole(0),
    'Objects of fewer pixels are left out',
    "a five-hundredth of the picture's",
  ),
} as const

/** What only a checkpoint with a detector's head knows; the others are of any model. */
const OF_DETECTORS = [
  ...Object.keys(DETECTOR_FIELDS),
  ...Object.keys(DETECTOR_INPUT_FIELDS),
  'proposals',
].filter(name => !Object.hasOwn(DETECT_FIELDS, name) && name !== 'mode') as (keyof DetectOptions)[]

/**
 * Refuses what a model without a detector's head has no use for, instead of leaving it without effect.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG
 * @internal
 */
export function refuseDetectorOptions(options: DetectOptions): void {
  for (const name of OF_DETECTORS) {
    if (options[name] === undefined) continue
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `${name} is of a detector checkpoint, and this model has no detector's head: its objects are the connected regions of its labels, which do not overlap. Leave ${name} out.`,
    )
  }
}
