import type { CallOptions } from '../base/call.js'
import type { Device, ModelDType } from '../base/names.js'
import type { PictureOptions } from '../image/decode.js'
import type { MaskProvider } from '../masks/provider.js'
import type { PipelineOptions, PostprocessOptions } from '../methods/options.js'
import type { Model } from '../model/model.js'
import type { VocabularyOptions } from '../words/options.js'

/** Options of {@link segment} and {@link segmentMany}. */
export interface SegmentOptions
  extends CallOptions,
    PictureOptions,
    PipelineOptions,
    PostprocessOptions,
    Omit<VocabularyOptions, keyof CallOptions> {
  /**
   * Regions of the picture, or where those of every picture come from: see {@link MaskProvider}. For `refine: 'vote'`
   * and for methods that follow regions; refused where nothing would look at them.
   */
  masks?: MaskProvider | undefined
  /** A loaded model, or what {@link loadModel} takes. Default: as {@link loadModel}. */
  model?: Model | string | undefined
  /** For a model that is loaded by this call. */
  device?: Device | undefined
  /** For a model that is loaded by this call. */
  dtype?: ModelDType | undefined
}
