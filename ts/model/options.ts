import type { CallOptions } from '../base/call.js'
import type { Device, ModelDType, Positions } from '../base/names.js'
import type { PictureOptions } from '../image/decode.js'
import type { MaskProvider } from '../masks/provider.js'
import type { DenseOptions, PipelineOptions, TextOptions } from '../methods/options.js'

/** What weights cannot tell about a model; overrides what was found or assumed. */
export interface ConfigOptions {
  /** Channels of a vision attention head: a whole number of at least 1. Default: what the checkpoint says. */
  headWidth?: number
  /** Number of text attention heads: a whole number of at least 1. Default: what the checkpoint says. */
  textHeads?: number
  /**
   * Number of attention heads of SAM's mask decoder, or of CAT-Seg's aggregator: a whole number of at least 1. Default:
   * 8 and 4, or what `config.json` or the file says.
   */
  decoderHeads?: number
  /** Activation of the vision tower's MLP. Default: what the checkpoint says. */
  activation?: 'quick_gelu' | 'gelu' | 'gelu_tanh' | 'relu'
  /** Activation of the text tower's MLP. Default: what the checkpoint says. */
  textActivation?: 'quick_gelu' | 'gelu' | 'gelu_tanh' | 'relu'
  /**
   * Epsilon of every LayerNorm of both towers, or of a vision foundation model: a number between 0 and 1.
   * Default: what the checkpoint says.
   */
  layerNormEps?: number
  /** Pixel statistics on the 0..1 scale, RGB. Default: what the checkpoint says. */
  preprocess?: { mean: readonly number[]; std: readonly number[] }
}

/** Options of {@link loadModel}. */
export interface LoadOptions extends CallOptions {
  /** Where the model computes. Default: 'auto', which is CUDA where this build and machine have it, else the CPU. */
  device?: Device | undefined
  /** Number format of the towers. Default: 'auto', which is float32 on the CPU and float16 on CUDA. */
  dtype?: ModelDType | undefined
  /** Overrides what the weights cannot tell. */
  config?: ConfigOptions | undefined
}

/** Options of {@link Model.encodeImage}. */
export interface EncodeImageOptions extends CallOptions, PictureOptions {
  /** L2-normalises every vector. Default: true; false for a vision foundation model. */
  normalize?: boolean | undefined
  /** Default 'size'. */
  positions?: Positions | undefined
}

/** Options of {@link Model.encodeDense}. */
export interface EncodeDenseOptions extends CallOptions, PictureOptions, DenseOptions {
  /** L2-normalises every vector. Default: true; false for a vision foundation model. */
  normalize?: boolean | undefined
}

/** Options of {@link Model.encodeBoxes} and {@link Model.encodeMasks}. */
export interface EncodeRegionOptions extends CallOptions, PictureOptions, DenseOptions {
  /** L2-normalises every vector. Default: true; false for a vision foundation model. */
  normalize?: boolean | undefined
  /**
   * L2-normalises every patch before pooling. Default: true, as CLIPSelf and the plain tower do; false for
   * DeCLIP's EVA tower and vision foundation models.
   */
  normalizeBeforePooling?: boolean | undefined
  /**
   * Index of the picture in the batch for each box or mask: a list with the number of the picture of every
   * region. Default: all 0.
   */
  imageIndex?: readonly number[] | undefined
  /** Side in pixels of the square that an encoded picture is fitted into. Default: the model's own. */
  size?: number | undefined
}

/** Options of {@link Model.encode}. */
export interface EncodeOptions extends CallOptions, PictureOptions, PipelineOptions {
  /**
   * Regions of the picture, or where they come from: see {@link MaskProvider}. The view keeps them, for
   * `refine: 'vote'` of {@link View.segment}; methods that follow regions look at them here.
   */
  masks?: MaskProvider | undefined
  /** 'talk2dino': where words come from that the view is asked for later. */
  text?: TextOptions | undefined
}
