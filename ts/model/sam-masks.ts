import { until } from '../base/abort.js'
import { type Call, callOf } from '../base/call.js'
import { checkFields } from '../base/field.js'
import type { Device, ModelDType } from '../base/names.js'
import { invalid } from '../errors.js'
import { generatorSettings, type MaskGeneratorOptions } from '../masks/generator-fields.js'
import type { MaskMaker } from '../masks/provider.js'
import { LOAD_FIELDS } from './fields.js'
import { generateFrom } from './generate-masks.js'
import { modelNamed } from './load.js'
import { Model } from './model.js'

/** Options of {@link samMasks}. */
export interface SamMasksOptions extends MaskGeneratorOptions {
  /** For a model that is loaded by its name. */
  device?: Device | undefined
  /** For a model that is loaded by its name. */
  dtype?: ModelDType | undefined
}

/**
 * SAM's automatic masks of whatever picture is in work, for `masks` of {@link segment} and the others: what
 * {@link Model.generateMasks} gives, painted from the smallest to the largest.
 *
 * @param model - a loaded SAM, which stays the caller's; or what {@link loadModel} takes, loaded at the first picture
 * and kept as {@link releaseModels} says
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG
 *
 * @example
 * ```ts
 * const masks = samMasks('sam_vit_b_01ec64.pth', { preset: 'corrclip-8' })
 * using seg = await segment('photo.jpg', ['cat', 'sofa', 'background'], { masks, refine: 'vote' })
 * ```
 */
export function samMasks(model: Model | string, options: SamMasksOptions = {}): MaskMaker {
  if (!(model instanceof Model) && typeof model !== 'string') {
    throw invalid('model', 'a loaded SAM or what loadModel() takes', model)
  }
  checkFields(options, LOAD_FIELDS)
  const settings = generatorSettings(options)
  const { device, dtype } = options
  return {
    kind: 'sam',
    settings: { model: typeof model === 'string' ? model : model.info.path, ...settings },
    masksOf: async (picture, call: Call) => {
      const loaded =
        typeof model === 'string'
          ? await until(modelNamed(model, { device, dtype }), call.signal)
          : model
      const { data, width, height } = await picture.pixels()
      const { masks } = await generateFrom(
        loaded.engine,
        { pixels: data, width, height },
        settings,
        callOf(call),
      )
      return { masks: masks.map(({ rle }) => rle), order: 'area' }
    },
  }
}
