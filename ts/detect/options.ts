import { field, flag, fraction, whole } from '../base/field.js'
import { DeclipError } from '../errors.js'
import type { SegmentOptions } from '../segment/options.js'

/** Options of {@link detect}. */
export interface DetectOptions extends Omit<SegmentOptions, 'masks' | 'refine'> {
  /** Objects of a lower score are left out: a number from 0 to 1. Default: 0. */
  scoreThreshold?: number | undefined
  /** Most objects, the best ones: a whole number of at least 1. Default: 100. */
  limit?: number | undefined
  /** Also gives the mask of every object. Default: false. */
  masks?: boolean | undefined
  /**
   * Objects of fewer pixels are left out: a whole number of at least 0. Default: a five-hundredth of the
   * picture's.
   */
  minArea?: number | undefined
  /** Of a detector checkpoint: overlap above which the lower of two boxes is dropped. */
  nmsThreshold?: number | undefined
  /** Of a detector checkpoint: classes that it was trained on. */
  base?: readonly string[] | undefined
  /** Of a detector checkpoint: classes that it was not trained on. */
  novel?: readonly string[] | undefined
  /** Of a detector checkpoint: weight of its own scores for base classes. */
  alpha?: number | undefined
  /** Of a detector checkpoint: weight of its own scores for novel classes. */
  beta?: number | undefined
  /** Of a detector checkpoint: factor on its scores before they become probabilities. */
  temperature?: number | undefined
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

/** What only a checkpoint with a detector's head knows. */
const OF_DETECTORS = ['nmsThreshold', 'base', 'novel', 'alpha', 'beta', 'temperature'] as const

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
