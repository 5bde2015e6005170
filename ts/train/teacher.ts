import { DeclipError } from '../errors.js'
import type { Model } from '../model.js'
import type { NativeAddon } from '../native.js'
import { isFoundation } from '../proxy.js'
import type { TeacherFeatures } from './batches.js'
import { padded } from './tensors.js'

/** Of DINO, DINOv2 and SAM alike: SAM's own are the same on the 0..255 scale. */
const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const

/**
 * Features of the foundation model that the student's context imitates: its grid is the student's, so the
 * picture is fitted into a square of `grid` of its own patches, black at the right and bottom before it is
 * normalised. DeCLIP, arXiv:2505.04410, training/data.py (`downsample_factor`).
 *
 * @param grid - patches along a side of the student's picture
 * @throws DeclipError ERR_DECLIP_INVALID_ARG for a model that is none
 */
export function teacherFeatures(addon: NativeAddon, model: Model, grid: number): TeacherFeatures {
  const { family, patchSize } = model.info
  if (!isFoundation(family)) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `teacher.model must be a DINO, DINOv2 or SAM, received a model of family '${family}'.`,
    )
  }
  return async images => {
    const image = await padded(addon, images, { size: grid * patchSize, ...IMAGENET })
    try {
      return await model.native.encodeDense({ image, mode: 'vanilla', normalize: false })
    } finally {
      image.dispose()
    }
  }
}
