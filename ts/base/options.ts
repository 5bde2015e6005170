import type { DType, Tensor } from '../engine/tensor.js'

/** Where a model computes: 'auto' takes CUDA when this build and machine have it, else the CPU. */
export type Device = 'auto' | 'cpu' | 'cuda' | `cuda:${number}`

/**
 * Number format of the towers: 'auto' is float32 on the CPU and float16 on CUDA. 'int8' keeps the
 * weights of the linear layers in 8 bits and rounds what goes into them to 8 bits per token; it needs a
 * processor with VNNI instructions.
 */
export type ModelDType = 'auto' | 'float32' | 'bfloat16' | 'float16' | 'int8'

/**
 * What kind of model a checkpoint holds: 'clip' (OpenAI and OpenCLIP ViTs) and 'eva' (EVA02) have a
 * space that pictures and texts share; 'dino', 'dinov2' and 'sam' are vision foundation models, which
 * make patch features only.
 */
export type ModelFamily = 'clip' | 'eva' | 'dino' | 'dinov2' | 'sam'

/** How the last block of the vision tower makes patch features; see docs/architecture.md. */
export const DENSE_MODES = [
  'vanilla',
  'maskclip',
  'qq',
  'kk',
  'vv',
  'csa',
  'all',
  'itaclip',
  'sclip',
  'clearclip',
  'naclip',
  'proxyclip',
] as const

/** One of {@link DENSE_MODES}. */
export type DenseMode = (typeof DENSE_MODES)[number]

/**
 * How the positional table is resized to another grid: 'scale-factor' is the rule of ITACLIP,
 * SCLIP, NACLIP, ClearCLIP and ProxyCLIP (bicubic with the factor (h + 0.1) / g), 'size' the one of
 * DeCLIP, CLIPSelf and Hugging Face (bicubic to exactly h x w).
 */
export type Positions = 'scale-factor' | 'size'

/** Preset names; their values are data in {@link METHODS}. */
export const METHOD_NAMES = [
  'declip',
  'clipself',
  'itaclip',
  'sclip',
  'clearclip',
  'naclip',
  'maskclip',
  'proxyclip',
  'vanilla',
] as const

/** One of {@link METHOD_NAMES}. */
export type MethodName = (typeof METHOD_NAMES)[number]

/** What every call that takes time accepts. */
export interface CallOptions {
  /** Stops the call between windows and transformer blocks; it then rejects with ERR_DECLIP_ABORTED. */
  signal?: AbortSignal | undefined
  /** Told how far the call is: a fraction from 0 to 1 and the name of the step. */
  onProgress?: ((progress: Progress) => void) | undefined
}

/** A progress report. */
export interface Progress {
  /** The step that is running, such as 'download', 'load', 'encode' or 'pixels'. */
  readonly step: string
  /** Units done so far (windows, planes, bytes). */
  readonly done: number
  /** Units in all, 0 where it is not known. */
  readonly total: number
}

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

/** Options of the last block, for {@link Model.encodeDense} and the pipelines. */
export interface DenseOptions {
  /** Default: the mode the checkpoint was fine-tuned for, else 'vanilla'. */
  mode?: DenseMode | undefined
  /** Default: the rule of the mode's own code base. */
  positions?: Positions | undefined
  /** Keeps (true) or drops (false) the residual connection around the last attention. Default: as the mode's paper. */
  residual?: boolean | undefined
  /** Keeps (true) or drops (false) the last block's MLP. Default: as the mode's paper. */
  feedForward?: boolean | undefined
  /** 'itaclip': blocks, counted from 1, whose attention maps are averaged with the last one's. Default [7, 8, 10]. */
  layers?: readonly number[] | undefined
  /** 'itaclip': true (default) for self-self attention maps, false for ordinary q-k maps. */
  selfAttention?: boolean | undefined
  /** 'naclip': standard deviation of the Gaussian neighbourhood, in patches. Default 5. */
  gaussianStd?: number | undefined
  /** 'naclip': true leaves only the neighbourhood term in the attention logits. Default false. */
  neighboursOnly?: boolean | undefined
  /** 'proxyclip': a vision foundation model, or its features of the same pixels. */
  proxy?: ProxyOptions | undefined
}

/** ProxyCLIP's external attention: give `model` or `features`. */
export interface ProxyOptions {
  /**
   * The vision foundation model (DINO, DINOv2 or SAM) that makes the features of every window: a loaded
   * one, or what {@link loadModel} takes, which is then loaded on the CLIP model's device, in its number
   * format, and kept for later calls. ProxyCLIP's own choice is DINO ViT-B/8.
   */
  model?: import('../model/model.js').Model | string | undefined
  /** Float tensor [B, C, Hv, Wv]: one map per picture or, in a pipeline, per window (row by row). */
  features?: Tensor | undefined
  /** Shift of the similarities, as a multiple of their mean. Default 1.2. */
  beta?: number | undefined
  /** Factor on the shifted similarities. Default 3. */
  gamma?: number | undefined
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

/** PAMR, pixel-adaptive mask refinement. */
export interface PamrOptions {
  /** Number of smoothing rounds, 1 to 1000. */
  iterations: number
  /** Neighbour distances in pixels. */
  dilations: readonly number[]
}

/**
 * Words into classes: a list with one entry per class, each 'name' or 'name, synonym, ...', or the
 * path of a class file with one such line per class.
 */
export type ClassList = readonly string[] | string

/** Options of {@link Model.vocabulary}. */
export interface VocabularyOptions extends CallOptions {
  /** 'imagenet' (80, the default), 'vild' (63), 'subset' (7), 'none' (the bare words), or own prompts with `{}` for the word. */
  templates?: TemplateSetName | readonly string[] | undefined
  /** Definition of every foreground class (in order), the path of a `name >=text` file, or a callback that writes them. */
  definitions?: AuxiliaryTexts | undefined
  /** Like `definitions`, with one synonym per class. */
  synonyms?: AuxiliaryTexts | undefined
  /** Share of the definitions or synonyms in a word's features, 0 to 1. */
  definitionWeight?: number | undefined
  /**
   * Which class is the background: true for class 0, an index, false for none, or a list of words that
   * become a class 'background' in front. Default: the class whose first word is 'background', else
   * class 0 if there is exactly one definition fewer than classes, else none.
   */
  background?: boolean | number | readonly string[] | undefined
}

/** Names of the built-in prompt lists. */
export type TemplateSetName = 'imagenet' | 'vild' | 'subset' | 'none'

/** Texts beside the class names: a list, a file, or a language model that writes them from a prompt. */
export type AuxiliaryTexts = readonly string[] | string | ((prompt: string) => Promise<string>)

/** Everything a pipeline can be told; what is left out comes from the method's preset. */
export interface PipelineOptions extends DenseOptions {
  /**
   * Preset that fills what is left out. Default: the one of the mode that the checkpoint was
   * fine-tuned for; else 'declip' for an EVA tower, 'vanilla' for a model of pictures under 224
   * pixels, 'naclip' for any other.
   */
  method?: MethodName | undefined
  /** Variant of the preset for a data set of the papers, such as 'voc21'. */
  dataset?: string | undefined
  /** Dense mode; overrides the preset's. */
  denseMode?: DenseMode | undefined
  /** Shorter side in pixels that the picture is resized to, or null for its own size. */
  shortSide?: number | null | undefined
  /** Side of the sliding window in pixels; 0 for one pass over the whole picture. */
  window?: number | undefined
  /** Step of the sliding window in pixels. */
  stride?: number | undefined
  /** Windows are padded with zeros to a multiple of this many pixels; 1 for none. */
  padTo?: number | undefined
  /** ITACLIP's image engineering: grey, blurred and flipped copies of every window. */
  augment?: boolean | undefined
  /** Share of original, grey and blurred copies against the flipped ones, 0 to 1. */
  augmentWeight?: number | undefined
}

/** What is done with the class scores of every pixel. */
export interface PostprocessOptions {
  /** Factor on the cosine similarities before the softmax. */
  logitScale?: number | undefined
  /** Refinement along the picture's edges; false for none. */
  pamr?: PamrOptions | false | undefined
  /** Pixels whose best probability is lower become background. 0 to 1. */
  probThreshold?: number | undefined
  /** Foreground classes with a smaller share of the foreground pixels are removed. 0 to 1, 0 for none. */
  areaThreshold?: number | undefined
  /** 3 x 3 morphological closing of the label map. */
  closing?: boolean | undefined
  /** Also return the scores of every class and pixel; costs classes x H x W x 4 bytes. */
  logits?: boolean | undefined
  /** Also return the class probabilities of every pixel; costs classes x H x W x 4 bytes. */
  probabilities?: boolean | undefined
}

/** Options of {@link segment} and {@link segmentMany}. */
export interface SegmentOptions
  extends CallOptions,
    Omit<PipelineOptions, 'mode'>,
    PostprocessOptions,
    Omit<VocabularyOptions, keyof CallOptions> {
  /** A loaded model, or what {@link loadModel} takes. Default: the bundled model. */
  model?: import('../model/model.js').Model | string | undefined
  /** For a model that is loaded by this call. */
  device?: Device | undefined
  /** For a model that is loaded by this call. */
  dtype?: ModelDType | undefined
}

export type { DType }
