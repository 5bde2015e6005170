import type { CallOptions } from '../base/call.js'
import type { Device, ModelDType, Positions } from '../base/names.js'
import type { DenseOptions } from '../methods/options.js'

/** What weights cannot tell about a model; overrides what was found or assumed. */
export interface ConfigOptions {
  /** Channels per vision attention head, in channels. */
  headWidth?: number
  /** Number of text attention heads. */
  textHeads?: number
  /** Activation of the vision tower's MLP. */
  activation?: 'quick_gelu' | 'gelu'
  /** Activation of the text tower's MLP. */
  textActivation?: 'quick_gelu' | 'gelu'
  /** Epsilon of every LayerNorm of both towers, or of a vision foundation model. */
  layerNormEps?: number
  /** Pixel statistics on the 0..1 scale, RGB. */
  preprocess?: { mean: readonly number[]; std: readonly number[] }
}

/** Options of {@link loadModel}. */
export interface LoadOptions extends CallOptions {
  /** Default 'auto'. */
  device?: Device | undefined
  /** Default 'auto'. */
  dtype?: ModelDType | undefined
  /** Overrides what the weights cannot tell. */
  config?: ConfigOptions | undefined
}

/** Options of {@link Model.encodeImage}. */
export interface EncodeImageOptions extends CallOptions {
  /** L2-normalises each row. Default true; false for a vision foundation model. */
  normalize?: boolean | undefined
  /** Default 'size'. */
  positions?: Positions | undefined
}

/** Options of {@link Model.encodeDense}. */
export interface EncodeDenseOptions extends CallOptions, DenseOptions {
  /** L2-normalises each patch. Default true; false for a vision foundation model. */
  normalize?: boolean | undefined
}

/** Options of {@link Model.encodeBoxes} and {@link Model.encodeMasks}. */
export interface EncodeRegionOptions extends CallOptions, DenseOptions {
  /** L2-normalises each pooled vector. Default true; false for a vision foundation model. */
  normalize?: boolean | undefined
  /**
   * L2-normalises every patch before pooling: CLIPSelf and the plain tower do (default true there),
   * DeCLIP's EVA tower and vision foundation models do not (default false).
   */
  normalizeBeforePooling?: boolean | undefined
  /** Index of the picture in the batch for each box or mask, all 0 when left out. */
  imageIndex?: readonly number[] | undefined
  /** Side in pixels of the square that an encoded picture is fitted into; default the model's own. */
  size?: number | undefined
}
