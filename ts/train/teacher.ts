import { DeclipError } from '../errors.js'
import type { Model } from '../model/model.js'
import type { ResolvedConfig } from './config-fields.js'
import type { Teacher } from './data/batches.js'

/** How a teacher looks at a picture. */
export type TeacherMode = NonNullable<ResolvedConfig['teacher']>['mode']

/**
 * The foundation model that the student's context imitates: its grid is the student's, so the
 * picture is fitted into a square of `grid` of its own patches, black at the right and bottom before it is
 * normalised. DeCLIP, arXiv:2505.04410, training/data.py (`downsample_factor`).
 *
 * A CLIP whose dense features are better than the student's can stand in for one, which the paper has not. Every
 * teacher sees pictures with its own statistics: ImageNet's, but for CLIPs and DINOv3's satellite models.
 *
 * @param grid - patches along a side of the student's picture
 * @param mode - dense mode of a CLIP
 * @throws DeclipError ERR_DECLIP_INVALID_ARG for a mode that the model has not
 */
export function teacherOf(model: Model, grid: number, mode: TeacherMode = 'vanilla'): Teacher {
  const { family, patchSize, textSpace } = model.info
  const { mean, std } = model.native.info
  if (!textSpace && mode !== 'vanilla') {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `teacher.mode must be 'vanilla' for a model of family '${family}', received '${mode}'.`,
    )
  }
  return {
    input: { size: grid * patchSize, mean, std },
    features: image => model.native.encodeDense({ image, mode, normalize: false }),
  }
}
