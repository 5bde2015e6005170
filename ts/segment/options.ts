import type { CallOptions } from '../base/call.js'
import type { Device, ModelDType } from '../base/names.js'
import type { PictureOptions } from '../image/decode.js'
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
  /** A loaded model, or what {@link loadModel} takes. Default: as {@link loadModel}. */
  model?: Model | string | undefined
  /** For a model that is loaded by this call. */
  device?: Device | undefined
  /** For a model that is loaded by this call. */
  dtype?: ModelDType | undefined
}
