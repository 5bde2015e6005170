import type { ModelFamily } from '../base/names.js'
import type { FamilyVariant, Preset } from './method.js'

/**
 * TIPSv2's own zero-shot segmentation: pictures of 448 in windows of 448, and TCL's prompts. Their scores are
 * averaged before the argmax, so that the scale is the preset's.
 *
 * @internal
 */
export const TIPS_WINDOWS: FamilyVariant = {
  changes: { shortSide: 448, window: 448, stride: 336, templates: 'tcl' },
  source: 'github.com/google-deepmind/tips, pytorch/TIPS_zeroshot_segmentation.ipynb',
}

const OURS = 'ours: the pooling head with another attention and the tail it was trained with'

/**
 * DeCLIP on models with a pooling head that it did not train: the attention of its SigLIP tower, without
 * the tail that only its own checkpoints have learnt.
 *
 * @internal
 */
export const DECLIP_HEADS: Readonly<Partial<Record<ModelFamily, FamilyVariant>>> = {
  siglip: { changes: { mode: 'qq' }, source: OURS },
  pe: { changes: { mode: 'qq' }, source: OURS },
}

interface FittedTo {
  readonly family: ModelFamily
  readonly imageSize: number
  readonly patchSize: number
}

/** Families that no method's paper ran: sizes are made to fit the model. */
const FITTED: readonly ModelFamily[] = ['siglip', 'pe', 'tips']

/** Whether a family is one that no method's paper ran. @internal */
export function isFitted(family: ModelFamily): boolean {
  return FITTED.includes(family)
}

/**
 * A preset for a model of a family that its paper did not run. Window, stride and short side are whole
 * patches; where the model's own pictures are larger than the window, all three grow with them. Positions
 * are resized by the family's one rule.
 *
 * @internal
 */
export function fitted(preset: Preset, model: FittedTo): Preset {
  if (!isFitted(model.family)) return preset
  const patch = model.patchSize
  const patches = (pixels: number) => Math.max(1, Math.round(pixels / patch)) * patch
  const scale = preset.window > 0 ? Math.max(1, ownWindow(model) / preset.window) : 1
  const grown = (pixels: number) => patches(pixels * scale)
  return {
    ...preset,
    positions: 'size',
    shortSide: grown(preset.shortSide),
    window: preset.window > 0 ? grown(preset.window) : 0,
    stride: grown(preset.stride),
    padTo: 'patch',
  }
}

/** Side of a model's own pictures, without pixels beyond whole patches, which a fitted one may have. @internal */
export function ownWindow({ family, imageSize, patchSize }: FittedTo): number {
  return isFitted(family) ? Math.max(1, Math.floor(imageSize / patchSize)) * patchSize : imageSize
}
