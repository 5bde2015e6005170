import type { DenseMode, DType, ModelFamily, Positions, TokenizerKind } from '../base/names.js'

// Every class and function of the addon, declared once. What reaches these has passed the checks in
// ts/. Work runs on the addon's own threads.

/** Handle on an at::Tensor. */
export interface NativeTensor {
  readonly shape: number[]
  readonly dtype: DType
  readonly device: string
  /** Row-major bytes; float16 and bfloat16 widened to float32. */
  data(): Promise<ArrayBuffer>
  /** Rows start..end of dimension dim, sharing memory. */
  slice(dim: number, start: number, end: number): NativeTensor
  /** Same elements under another shape, sharing memory. */
  reshape(shape: readonly number[]): NativeTensor
  to(options: { dtype?: DType | undefined; device?: string | undefined }): Promise<NativeTensor>
  dispose(): void
}

/** Stops a running or queued call. */
export interface NativeCancelToken {
  cancel(): void
}

/** What every queued call takes. */
export interface NativeCall {
  token?: NativeCancelToken | undefined
  onProgress?: ((step: string, done: number, total: number) => void) | undefined
  /** 0 low, 1 normal (default), 2 high. */
  priority?: 0 | 1 | 2 | undefined
  /**
   * ticket() of when the caller's call was made: jobs of one client run in this order, as far as they
   * wait together. Unset: when the job is queued.
   */
  order?: number | undefined
  /** Whose call it is: within a priority, clients of an environment take turns. */
  client?: string | undefined
}

/** What the process's jobs do and have done; times in milliseconds, memory in bytes. */
export interface NativeQueueStats {
  readonly threads: number
  /** Jobs now, by priority from low to high. */
  readonly waiting: readonly [number, number, number]
  readonly running: readonly [number, number, number]
  readonly done: number
  readonly failed: number
  readonly cancelled: number
  /** Of all jobs that began, and the longest. */
  readonly waitMs: number
  readonly longestWaitMs: number
  /** Of all jobs that ended, and the longest. */
  readonly runMs: number
  readonly longestRunMs: number
  /** The pool of activations: in use, and kept for the next job. */
  readonly poolUsed: number
  readonly poolFree: number
}

export interface NativeConfig {
  /** The checkpoint's name where its path does not hold it: a hub id. */
  name?: string | undefined
  headWidth?: number | undefined
  textHeads?: number | undefined
  decoderHeads?: number | undefined
  activation?: string | undefined
  textActivation?: string | undefined
  layerNormEps?: number | undefined
  mean?: readonly number[] | undefined
  std?: readonly number[] | undefined
}

/** A tower's shape as `declip info` shows it. */
export interface NativeTowerInfo {
  readonly width: number
  readonly layers: number
  readonly heads: number
}

/** Sides in pixels. */
export interface NativeResize {
  /**
   * Which side becomes `size`: the short one, the long one, both ('squash'), or none. 'patches' keeps the shape and
   * makes the picture as large as `maxPatches` patches allow (SigLIP 2 NaFlex).
   */
  readonly resize: 'none' | 'shortest' | 'longest' | 'squash' | 'patches'
  readonly size: number
  /** Side of the square that is then cut from the middle, with padding around what is smaller. */
  readonly crop: number | null
  readonly maxPatches: number | null
  /** Pillow's, antialiased. */
  readonly interpolation: 'bicubic' | 'bilinear'
}

export interface NativeCheckpointInfo {
  /** File or folder. */
  readonly path: string
  /**
   * 'openai-jit', 'openai', 'open_clip', 'huggingface', 'eva-clip', 'trainer' or 'detector'; of a vision
   * foundation model 'original', 'timm' or 'huggingface'.
   */
  readonly format: string
  /** 'clip' for OpenAI/OpenCLIP ViTs, 'eva' for EVA02; vision foundation models: 'dino', 'dinov2', 'dinov3', 'sam'. */
  readonly family: ModelFamily
  /** False of a vision foundation model: no text is compared with its features. */
  readonly textSpace: boolean
  /** How texts become ids. Null without a text space. */
  readonly tokenizer: TokenizerKind | null
  /** Side of the training pictures in pixels. */
  readonly imageSize: number
  /** Side of a patch in pixels. */
  readonly patchSize: number
  /** Channels of the shared space of pictures and texts, or of a vision foundation model's features. */
  readonly embedDim: number
  readonly vision: NativeTowerInfo & {
    readonly mlp: number
    readonly activation: string
    /** Tokens beside patches and class token: DINOv2's and DINOv3's registers, TIPSv2's second class token. */
    readonly registers: number
    /** One learned query over the patches in place of a class token (SigLIP, PE-Core). */
    readonly poolingHead: {
      readonly heads: number
      readonly mlp: number
      readonly activation: string
    } | null
  }
  readonly text:
    | (NativeTowerInfo & {
        readonly contextLength: number
        readonly vocab: number
        readonly activation: string
        /** Whether a token sees only those before it. */
        readonly causal: boolean
        /** Which positions the embedding is made of: the end token's, the first, the last, or the mean of all. */
        readonly pool: 'end' | 'first' | 'last' | 'mean'
        /** Of `pool` 'end': the id whose first place is pooled; null: the largest id's. */
        readonly endToken: number | null
      })
    | null
  /** How `encodeImage` makes its input of a picture, as the checkpoint's configuration says. */
  readonly preprocess: NativeResize
  /** Pixel statistics on the 0..1 scale, RGB. */
  readonly mean: readonly number[]
  readonly std: readonly number[]
  /** Number format of the file. */
  readonly storedDtype: string
  readonly parameters: number
  readonly tensors: number
  /** exp of the stored logit scale, null where there is none. */
  readonly logitScale: number | null
  /**
   * The stored logit bias: 1 / (1 + exp(-(logitScale * cosine + logitBias))) is the probability that a text is of
   * a picture, for every pair on its own (SigLIP). Null where there is none, as in CLIP.
   */
  readonly logitBias: number | null
  readonly epoch: number | null
  /** Dense mode that the checkpoint was fine-tuned for, where its name says so. */
  readonly denseMode: DenseMode | null
  /** Dense modes that the model has; none of a vision foundation model, which makes patches in one way. */
  readonly denseModes: readonly DenseMode[]
  /** SAM's prompt encoder and mask decoder: what `masksAt` needs. Null where the file has none. */
  readonly maskDecoder: {
    readonly layers: number
    readonly heads: number
    /** Of every prompt: one alone, and those that `multimask` gives. */
    readonly masks: number
    /** Side of the masks before they are enlarged, `lowRes`. */
    readonly lowResSize: number
  } | null
  /** A detector's heads: what boxes of its own need. Null where the file has none. */
  readonly detector: NativeDetectorInfo | null
  /** CAT-Seg's head, which segments by costs that it aggregates. Null where the file has none. */
  readonly catSeg: NativeCatSegInfo | null
  /** Licence, where the file or the hub states one. */
  readonly license: string | null
  /** What was assumed because the weights do not tell. */
  readonly notes: readonly string[]
}

export interface NativeModelInfo extends NativeCheckpointInfo {
  readonly dtype: 'float32' | 'bfloat16' | 'float16' | 'int8'
  readonly engine: string
  /** Of the text tower's weights; empty without one. */
  readonly textFingerprint: string
  readonly device: string
  readonly deviceReason: string
}

/** Last-block options; unset members take the mode's own value. */
export interface NativeDense {
  mode: DenseMode
  positions?: Positions | undefined
  residual?: boolean | undefined
  feedForward?: boolean | undefined
  layers?: readonly number[] | undefined
  selfAttention?: boolean | undefined
  gaussianStd?: number | undefined
  neighboursOnly?: boolean | undefined
  proxyFeatures?: NativeTensor | undefined
  /** Makes the features where there are none. */
  proxyModel?: NativeModel | undefined
  proxyBeta?: number | undefined
  proxyGamma?: number | undefined
  /** Unset: 'patches'. */
  proxyPart?: 'patches' | 'query-key' | undefined
  scclip?: NativeScClip | undefined
  corrclip?: NativeCorrClip | undefined
  /** int32 [B, H, W] of the pictures' pixels, 0 outside of regions. */
  regions?: NativeTensor | undefined
}

/** Unset members take the published value; see ScClipOptions in cpp/include/declip/dense.h. */
export interface NativeScClip {
  middleBlock?: number | undefined
  earlyBlock?: number | undefined
  firstFused?: number | undefined
  lastFused?: number | undefined
  classWeight?: number | undefined
  threshold?: number | undefined
  gain?: number | undefined
  neighbours?: number | undefined
  anomalousShare?: number | undefined
}

/** Unset members take the published value; see CorrClipOptions in cpp/include/declip/dense.h. */
export interface NativeCorrClip {
  merge?: boolean | undefined
  mergeDistance?: number | undefined
  gain?: number | undefined
  spatialWeight?: number | undefined
  semanticWeight?: number | undefined
  spatialBlocks?: number | undefined
  smallestIsUnsegmented?: boolean | undefined
}

/** Picture to window features. */
export interface NativePipeline {
  dense: NativeDense
  /** 0: keep the picture's own size. */
  shortSide: number
  /** Unset: 2048. */
  longSide?: number | undefined
  /** false: smaller pictures keep their size. Unset: true. */
  enlarge?: boolean | undefined
  /** 0: one pass over the whole picture. */
  window: number
  stride: number
  padTo: number
  augment: boolean
  augmentWeight: number
  /** Gain of the attention between all patches of the picture; 0 or unset: none. */
  aggregateGain?: number | undefined
  /** int32 [H, W] of the picture as it came, 0 outside of regions. */
  regions?: NativeTensor | undefined
  /** The foundation model sees the whole picture in its own size. Unset: false. */
  proxySeesPicture?: boolean | undefined
  /** Words are compared with a DINOv2's patches as Talk2DINO does it. Unset: as CLIP does. */
  talk2dino?: { clean: boolean; cleanWeight?: number | undefined } | undefined
  /** CAT-Seg's head sees the picture and answers. Unset: words are compared with patches. */
  catSeg?: NativeCatSegOptions | undefined
  /** Adds what like regions of other pictures say; needs regions. */
  bank?: NativeBank | undefined
  /** Unset: 20. */
  bankNeighbours?: number | undefined
  /** Unset: 0.5. */
  bankShare?: number | undefined
}

/** What a bank's file says beside its rows; see cpp/include/declip/bank.h. */
export interface NativeBankInfo {
  /** JSON. */
  readonly about: string
  readonly regions: number
  readonly pictures: number
  readonly parts: number
  readonly bytes: number
  readonly unfinished: number
  readonly keyWidth: number
  readonly valueWidths: number[]
}

/** Regions of pictures: names, numbers of regions, and rows of all. */
export interface NativeBankRows {
  names: readonly string[]
  counts: readonly number[]
  /** Some [n, C], one below the other. */
  keys: readonly NativeTensor[]
  /** Of every encoder some [n, E]. */
  values: readonly (readonly NativeTensor[])[]
}

/** Handle on a bank. */
export interface NativeBank {
  readonly info: NativeBankInfo
  /** queries [Q, C]: ids int64 [Q, K], -1 for none, and cosines. */
  search(
    options: NativeCall & { queries: NativeTensor; neighbours: number },
  ): Promise<{ ids: NativeTensor; scores: NativeTensor }>
  /** float16 [last - first, C], and of every encoder. */
  rows(
    options: NativeCall & { first: number; last: number },
  ): Promise<{ keys: NativeTensor; values: NativeTensor[] }>
  pictures(options: NativeCall): Promise<{ names: string[]; counts: Float64Array }>
  verify(options: NativeCall): Promise<void>
  save(options: NativeCall & { path: string }): Promise<void>
  dispose(): void
}

/** Window features to labels. */
export interface NativePostprocess {
  logitScale: number
  /** Scores are probabilities of each word on its own: no softmax over words. Unset: false. */
  independent?: boolean | undefined
  /** 0: no refinement. */
  pamrIterations: number
  pamrDilations: readonly number[]
  probThreshold: number
  areaThreshold: number
  closing: boolean
  /** Every region gets its most frequent label. Unset: false. */
  vote?: boolean | undefined
  /** Words whose probability is nowhere this much are left out. Unset: 0. */
  wordThreshold?: number | undefined
  /** Index of the background class, -1 for none. */
  background: number
  logits: boolean
  probabilities: boolean
}

/** Words of a vocabulary: features [Q, D] and the class of every word. */
export interface NativeWords {
  text: NativeTensor
  /** The same words by the second encoder of the pipeline's bank, [Q, E2]. */
  bankText?: NativeTensor | undefined
  wordClass: Int32Array
  post: NativePostprocess
}

/**
 * 8-bit pixels with 1, 3 or 4 interleaved channels: a tensor [H, W, C], or an array, which is read
 * where it lies: until the call has ended nobody may write to it or transfer it.
 */
export type NativePixels =
  | { pixels: NativeTensor }
  | { pixels: Uint8Array; width: number; height: number }

/**
 * Pixels, of a picture of size `of` where they were resized for the pipeline before; or a normalised
 * float tensor [1, 3, H, W].
 */
export type NativePicture =
  | (NativePixels & { of?: { width: number; height: number } | undefined })
  | { tensor: NativeTensor }

export interface NativeSegmentation {
  /** uint8 or uint16 [H, W]. */
  readonly labels: NativeTensor
  /** Pixels per class. */
  readonly counts: number[]
  /** uint8 [H, W]: 255 times the root of the label's probability, 0 where it is not known. */
  readonly certainty: NativeTensor
  readonly logits: NativeTensor | null
  readonly probabilities: NativeTensor | null
  /** Milliseconds. */
  readonly encodeMs: number
  readonly pixelsMs: number
}

/** The masks of classes: all runs, and where each class's end. */
export interface NativeRuns {
  readonly counts: Uint32Array
  readonly ends: Uint32Array
}

/**
 * Outlines of classes, class after class: x and y of all corners, where each ring's corners end, where
 * each polygon's rings end (the outer one comes first), where each class's polygons end.
 */
export interface NativePolygons {
  readonly corners: Int32Array
  readonly ringEnds: Uint32Array
  readonly polygonEnds: Uint32Array
  readonly classEnds: Uint32Array
}

/** A label map, uint8 or uint16 [H, W], and how many classes it has. */
export interface NativeLabels {
  labels: NativeTensor
  classes: number
}

/**
 * Masks that are not arrays of pixels, one after the other. `kinds`: 0 run lengths, 1 a compressed string, 2 rings;
 * `sizes`: height and width of each; `ends`: where each ends in the list of its kind.
 */
export interface NativeShapes {
  readonly kinds: Uint8Array
  readonly sizes: Uint32Array
  readonly ends: Uint32Array
  readonly counts: Uint32Array
  readonly strings: readonly string[]
  /** x and y of all corners in pixels. */
  readonly corners: Float64Array
  /** Where each ring's corners end. */
  readonly ringEnds: Uint32Array
  /** 1: the ring is cut out of the one before it that is none. */
  readonly holes: Uint8Array
}

/** Shapes as run lengths, in their order. */
export interface NativeMeasuredRles {
  readonly strings: readonly string[]
  /** Pixels inside. */
  readonly areas: Float64Array
  /** x, y, width and height of each. */
  readonly boxes: Float64Array
}

/** Objects of many pictures, one after another. */
export interface NativeObjects {
  /** 0..classes-1 */
  labels: Int32Array
  /** x, y, width, height of each. */
  boxes: Float64Array
  /** Masks as compressed counts, one text after another, and where each ends; empty where boxes are compared. */
  maskText: Uint8Array
  maskEnds: Float64Array
}

/**
 * What average precision is made of; see cpp/include/declip/average_precision.h. The arrays are read where they lie:
 * until the call has ended nobody may write to them or transfer them.
 */
export interface NativeDetectionSet {
  rule: 'coco' | 'lvis'
  masks: boolean
  classes: number
  /** Ascending. */
  maxDetections: readonly number[]
  /**
   * Of every picture ten numbers: where its truths, its detections, its negative and its not exhaustive labels begin
   * and end in the lists, height and width.
   */
  pictures: Uint32Array
  truths: NativeObjects & { areas: Float64Array; crowds: Uint8Array }
  detections: NativeObjects & { scores: Float64Array }
  negative: Int32Array
  notExhaustive: Int32Array
  /** Whether all curves are returned. */
  curves: boolean
}

/** -1 stands where a class has no object that counts. */
export interface NativeAveragePrecision {
  /**
   * Of every class twelve numbers: AP, AP50, AP75, AP of small, medium and large objects, mean recall at the first
   * three limits, and of small, medium and large objects at the last.
   */
  readonly perClass: Float64Array
  /** Precision at IoU 0.5 of every class at recalls 0, 0.01 ... 1: [K, 101]. */
  readonly at50: Float64Array
  /** [threshold 10, recall 101, class, area 4, limit] */
  readonly precision?: Float64Array | undefined
  readonly scores?: Float64Array | undefined
  /** [threshold 10, class, area 4, limit] */
  readonly recall?: Float64Array | undefined
}

/** Connected regions of the classes of a label map, best first. */
export interface NativeFoundObjects {
  readonly labels: Int32Array
  readonly scores: Float64Array
  /** Pixels. */
  readonly areas: Int32Array
  /** x1, y1, x2, y2 of each. */
  readonly boxes: Int32Array
  /** Run lengths, or with `compressed` their text; where each object's end in either. */
  readonly counts: Uint32Array
  readonly text: Uint8Array
  readonly runEnds: Uint32Array
  /** Of each object the regions that are joined at their sides; `classEnds` are the objects' here. */
  readonly parts: NativePolygons
  /** Of objects with several parts one polygon that passes corners where they touch; none of others. */
  readonly joined: NativePolygons
}

export interface NativeView {
  readonly width: number
  readonly height: number
  readonly windows: number
  readonly byteLength: number
  segment(options: NativeCall & NativeWords): Promise<NativeSegmentation>
  /** Upsampled similarity of every row of `text`: float32 [K, H, W]. */
  similarity(options: NativeCall & { text: NativeTensor }): Promise<NativeTensor>
  /**
   * Highest places of the similarity with every row of `text`, row after row, best first: text, x, y and score of each.
   * `minDistance` in pixels; unset: twice a patch.
   */
  peaks(
    options: NativeCall & {
      text: NativeTensor
      limit: number
      minScore: number
      minDistance?: number | undefined
    },
  ): Promise<Float64Array>
  dispose(): void
}

/** Prompts of one picture, all of the same form. */
export interface NativeMaskPrompts {
  prompts: number
  /** x and y in pixels of the picture, as many of every prompt, and their labels. */
  points?: Float64Array | undefined
  labels?: Int32Array | undefined
  /** x1, y1, x2, y2 of every prompt. */
  boxes?: Float64Array | undefined
  /** float32 [prompts, 1, 4G, 4G]. */
  maskInput?: NativeTensor | undefined
  /** One mask of each by the rule of MaskChoice::kBest, mask 0 of each, or the others. */
  choice: 'best' | 'single' | 'multi'
}

/** Masks of prompts, prompt after prompt. */
export interface NativeMaskAnswer extends NativeMeasuredRles {
  /** Predicted overlaps. */
  readonly scores: Float64Array
  /** float32 [prompts, masks of each, 4G, 4G] */
  readonly lowRes: NativeTensor
}

/** What a file has of a detector's heads (cpp/include/declip/detector.h). */
export interface NativeDetectorInfo {
  /** Stored ones, without the background. */
  readonly classes: number
  /** Of the stored classes, where the file says them. */
  readonly names: readonly string[] | null
  /** Of them those that were not learned, where the file says so. */
  readonly novel: readonly string[] | null
  readonly masks: boolean
  /** Batch norms in the RPN: the LVIS variant. */
  readonly rpnNorm: boolean
  readonly channels: number
  readonly hidden: number
  readonly strides: readonly number[]
  /** Side of the network's square in pixels. */
  readonly side: number
  /** Taken, counted from 0. */
  readonly blocks: readonly number[]
  readonly mode: DenseMode
  /** Learned factor on the box head's cosines. */
  readonly temperature: number
  /** What the file says that its scores are made with; null where it says nothing. */
  readonly alpha: number | null
  readonly beta: number | null
  readonly voteTemperature: number | null
}

/** What a file has of CAT-Seg's head (cpp/include/declip/cat_seg.h). */
export interface NativeCatSegInfo {
  /** Channels and layers of the aggregator, and prompts of a word. */
  readonly channels: number
  readonly layers: number
  readonly prompts: number
  /** Blocks of the tower whose maps guide, counted from 0, and the last block's mode. */
  readonly blocks: readonly number[]
  readonly mode: DenseMode
  /** Patches enter with length 1. */
  readonly unitPatches: boolean
  /** Sides in pixels: the tower's input, the square that windows are cut from, a window, and its stride. */
  readonly side: number
  readonly canvas: number
  readonly cut: number
  readonly stride: number
  /** Of the aggregator's attention over places, in patches. */
  readonly window: number
  readonly heads: number
  /** Words of a window that are aggregated. */
  readonly wordLimit: number
  readonly prompt: string
  /** Classes that it learned; none where the file does not say. */
  readonly names: readonly string[]
}

/** How CAT-Seg sees and answers; unset members take the head's own value. */
export interface NativeCatSegOptions {
  /** false: the whole picture alone. */
  sliding?: boolean | undefined
  side?: number | undefined
  canvas?: number | undefined
  cut?: number | undefined
  stride?: number | undefined
  blocks?: readonly number[] | undefined
  mode?: DenseMode | undefined
  /** 1 or 2. */
  pooling?: number | undefined
  /** 0: all words, and no padding. */
  wordLimit?: number | undefined
}

/** How a detector sees a picture; unset members take its own value. */
export interface NativeDetectorInput {
  side?: number | undefined
  blocks?: readonly number[] | undefined
  mode?: DenseMode | undefined
  voteMode?: DenseMode | undefined
  perLevel?: number | undefined
  proposals?: number | undefined
  proposalNms?: number | undefined
}

/** What a detector looks for. */
export interface NativeDetectorQuestion {
  /** float32 [W, E], unit length; unset: the stored ones. */
  words?: NativeTensor | undefined
  /** The class of every word, K for the background's; unset: in order, the background last. */
  wordClass?: Int32Array | undefined
  /** 1 for every class that was not learned; unset: none. */
  novel?: Uint8Array | undefined
  alpha: number
  beta: number
  voteTemperature: number
  temperature?: number | undefined
  scoreThreshold: number
  nmsThreshold: number
  limit: number
  masks: boolean
}

/** What a detector found, best first. */
export interface NativeDetected {
  /** x1, y1, x2, y2 of each in pixels of the picture. */
  readonly boxes: Float32Array
  readonly scores: Float32Array
  readonly labels: Int32Array
  /** Which proposal each came from. */
  readonly proposals: Int32Array
  /** Compressed run lengths, if asked for. */
  readonly masks?: readonly string[] | undefined
}

/** A picture that a detector has seen. */
export interface NativeDetectorView {
  readonly width: number
  readonly height: number
  readonly byteLength: number
  readonly proposals: number
  detect(options: NativeCall & NativeDetectorQuestion): Promise<NativeDetected>
  dispose(): void
}

/** A picture that SAM's encoder has seen. */
export interface NativeMaskView {
  readonly width: number
  readonly height: number
  readonly byteLength: number
  masksAt(options: NativeCall & NativeMaskPrompts): Promise<NativeMaskAnswer>
  dispose(): void
}

/** How regions are pooled. */
export interface NativePooling {
  /** What encodeRegionMap() gave. */
  map: NativeTensor
  /** Of the input that it was made of, in pixels. */
  height: number
  width: number
  /** For each region, its picture in the batch; empty: all 0. */
  imageIndex: Int32Array
  normalize: boolean
}

export interface NativeModel {
  readonly info: NativeModelInfo
  /** tokens: int32 or int64 [T, L]; returns [T, D]. */
  encodeText(
    options: NativeCall & { tokens: NativeTensor; normalize: boolean },
  ): Promise<NativeTensor>
  /** tokens [Q * templates, L]; per word: normalise, mean over templates, normalise. Returns [Q, D]. */
  encodeWords(
    options: NativeCall & { tokens: NativeTensor; templates: number },
  ): Promise<NativeTensor>
  /** Pixels as encodeImage takes them, by info.preprocess; returns [1, 3, S, S]. */
  preprocess(options: NativeCall & NativePixels): Promise<NativeTensor>
  /** image: normalised [B, 3, H, W]; returns [B, D]. */
  encodeImage(
    options: NativeCall & {
      image: NativeTensor
      normalize: boolean
      positions?: Positions | undefined
    },
  ): Promise<NativeTensor>
  /** Returns [B, D, h, w]. */
  encodeDense(
    options: NativeCall & NativeDense & { image: NativeTensor; normalize: boolean },
  ): Promise<NativeTensor>
  /**
   * What poolBoxes() and poolMasks() take, [B, D, h, w]; `normalizeBeforePooling`: patches of length 1, unset: as the
   * model's authors have it.
   */
  encodeRegionMap(
    options: NativeCall &
      NativeDense & { image: NativeTensor; normalizeBeforePooling?: boolean | undefined },
  ): Promise<NativeTensor>
  /**
   * Parts of a picture as pictures of their own, some at a time: [K, D]. boxes: x1, y1, x2, y2 in pixels, box after
   * box; `cropScale` enlarges them about their centre, within the picture.
   */
  encodeCrops(
    options: NativeCall &
      NativePixels & { boxes: Float64Array; cropScale: number; normalize: boolean },
  ): Promise<NativeTensor>
  encode(
    options: NativeCall & { picture: NativePicture; pipeline: NativePipeline },
  ): Promise<NativeView>
  /** Rows of a bank that a picture with `regions` gives; keys only with a key model. */
  pictureRows(
    options: NativeCall & {
      picture: NativePicture
      pipeline: NativePipeline
      keyModel?: NativeModel | undefined
    },
  ): Promise<{ keys: NativeTensor | null; values: NativeTensor }>
  segment(
    options: NativeCall & NativeWords & { picture: NativePicture; pipeline: NativePipeline },
  ): Promise<NativeSegmentation>
  /** SAM's automatic masks, flat; see cpp/include/declip/mask_generator.h. */
  generateMasks(
    options: NativeCall & NativePixels & NativeMaskGenerator,
  ): Promise<NativeGeneratedMasks>
  /** Only of a model with a mask decoder. */
  encodeForMasks(options: NativeCall & NativePixels): Promise<NativeMaskView>
  /** Only of a model with a detector's heads. */
  encodeForDetection(
    options: NativeCall & NativePixels & NativeDetectorInput,
  ): Promise<NativeDetectorView>
  /** Of such a model the stored words [K + 1, E], unit length, the background last; null without. */
  detectorWords(options: NativeCall): Promise<NativeTensor | null>
  dispose(): void
}

/** Options of generateMasks(). */
export interface NativeMaskGenerator {
  /** Points along a side of every layer's grid, the picture's first; empty where `points` are given. */
  perSide: readonly number[]
  /** Of every layer x and y in 0..1, one after the other. */
  points: readonly Float64Array[]
  pointsPerBatch: number
  predIouThreshold: number
  stabilityThreshold: number
  stabilityOffset: number
  boxNmsThreshold: number
  cropLayers: number
  cropNmsThreshold: number
  cropOverlap: number
  minRegionArea: number
  multimask: boolean
}

export interface NativeGeneratedMasks {
  /** Of the masks. */
  readonly width: number
  readonly height: number
  /** Compressed counts of each. */
  readonly counts: readonly string[]
  /** Of each area, box (4), predicted IoU, stability, point (2) and crop (4). */
  readonly values: Float64Array
}

/** What a model learns from, and how; see cpp/include/declip/train.h. */
export interface NativeTrainOptions {
  objective: 'clipself' | 'declip' | 'region-text' | 'contrastive'
  /** DeCLIP's attention and context: 'qq', 'kk', 'vv', 'csa' or 'all'. */
  mode: DenseMode
  contentWeight: number
  contextWeight: number
  /** Unset: as DeCLIP's program, which has it for 'csa' and 'all'. */
  contextPerHead?: boolean | undefined
  /** Region-text: unit rows [C, E]. */
  classFeatures?: NativeTensor | undefined
  leastClasses: number
  /** A binary cross-entropy per class, as CLIPSelf's program, or one cross-entropy over the classes. */
  regionLoss: 'sigmoid' | 'softmax'
  /** Contrastive: weight of the regions' loss, for batches with boxes. */
  regionWeight: number
  /** Unset: every block, and for 'contrastive' everything. */
  unlockedGroups?: number | undefined
  trainText: boolean
  schedule: {
    kind: 'constant' | 'cosine' | 'constant-cooldown' | 'step'
    rate: number
    /** In steps, as all below. */
    warmup: number
    total: number
    cooldown: number
    cooldownPower: number
    cooldownEnd: number
    /** 'step': ascending, and what the rate is multiplied by from each on. */
    milestones?: readonly number[] | undefined
    decay?: number | undefined
    /** Share of the rate that the warm-up begins with; unset: as CLIPSelf's program. */
    warmupFrom?: number | undefined
  }
  beta1?: number | undefined
  beta2?: number | undefined
  epsilon?: number | undefined
  weightDecay: number
  /** 0: gradients are not clipped. */
  clipNorm: number
  /** 0: no average is kept. */
  emaDecay: number
  device: string
  dtype: 'float32' | 'bfloat16'
  checkpointActivations: boolean
  seed: number
}

/** How a detector's heads learn; see cpp/include/declip/train_detector.h, whose defaults unset members take. */
export interface NativeDetectorTrainOptions {
  channels?: number | undefined
  hidden?: number | undefined
  convolutions?: number | undefined
  masks: boolean
  rpnNorm: boolean
  side: number
  blocks?: readonly number[] | undefined
  mode: DenseMode
  classes: readonly string[]
  novel: readonly string[]
  /** float32 [K + 1, E], unit length, the background last; unset: those of a student that is a detector. */
  words?: NativeTensor | undefined
  temperature: number
  backgroundWeight: number
  rpnSamples: number
  perLevel: number
  proposals: number
  proposalNms: number
  boxSamples: number
  boxPositiveShare: number
  boxIou: number
  lowQualityBoxes: boolean
  schedule: NativeTrainOptions['schedule']
  beta1?: number | undefined
  beta2?: number | undefined
  epsilon?: number | undefined
  weightDecay: number
  clipNorm: number
  emaDecay: number
  normMomentum: number
  /** What the exported detector says of its vote; unset: nothing. */
  alpha?: number | undefined
  beta?: number | undefined
  voteTemperature?: number | undefined
  device: string
  dtype: 'float32' | 'bfloat16'
  seed: number
}

/** A picture with what is to be found in it. */
export interface NativeDetectorSample {
  /** Of the picture in the square, before padding. */
  width: number
  height: number
  /** x1, y1, x2, y2 of each in pixels of the square. */
  boxes: Float32Array
  labels: Int32Array
  /** uint8 [n, S, S], of a mask head. */
  masks?: NativeTensor | undefined
  /** Of the samplers' choices. */
  seed: number
}

/** What a step of a detector learns from. */
export interface NativeDetectorBatch {
  /** [B, 3, S, S]; unset with `maps`. */
  images?: NativeTensor | undefined
  /** Four of [B, C, G, G], as towerMaps() gave them. */
  maps?: readonly NativeTensor[] | undefined
  samples: readonly NativeDetectorSample[]
}

/** F-ViT's heads in training; a NativeTrainer but for its batches. */
export interface NativeDetectorTrainer extends Omit<NativeTrainer, 'step' | 'exportCheckpoint'> {
  step(options: NativeCall & { parts: readonly NativeDetectorBatch[] }): Promise<NativeTrainStep>
  /** What the frozen tower gives of [B, 3, S, S], on the lane of preparation: four of [B, C, G, G]. */
  towerMaps(options: NativeCall & { images: NativeTensor }): Promise<readonly NativeTensor[]>
  exportCheckpoint(options: NativeCall & { path: string; average: boolean }): Promise<void>
}

/** How CAT-Seg learns; see cpp/include/declip/train_cat_seg.h, whose defaults unset members take. */
export interface NativeCatSegTrainOptions {
  /** Of a new head; unset members as released. */
  head?:
    | (Partial<Omit<NativeCatSegInfo, 'names'>> & {
        imageGuidance?: number | undefined
        textGuidance?: number | undefined
        guidance?: readonly number[] | undefined
        decoder?: readonly number[] | undefined
        decoderGuidance?: readonly number[] | undefined
      })
    | undefined
  /** int32 [T, L], one prompt a class. */
  tokens: NativeTensor
  classes: readonly string[]
  clip: 'attention' | 'none'
  clipRate: number
  pooling: number
  /** Words that a batch learns from: those in its labels and others at random; 0: all. */
  sampledWords: number
  schedule: NativeTrainOptions['schedule']
  beta1?: number | undefined
  beta2?: number | undefined
  epsilon?: number | undefined
  weightDecay: number
  clipNorm: number
  emaDecay: number
  checkpointActivations: boolean
  device: string
  dtype: 'float32' | 'bfloat16'
  seed: number
}

/** What a step of CAT-Seg learns from. */
export interface NativeCatSegBatch {
  /** [B, 3, S, S] */
  images: NativeTensor
  /** int64 [B, S, S], -1 for ignored pixels. */
  labels: NativeTensor
}

/** CAT-Seg in training; a NativeTrainer but for its batches. */
export interface NativeCatSegTrainer extends Omit<NativeTrainer, 'step' | 'exportCheckpoint'> {
  step(options: NativeCall & { parts: readonly NativeCatSegBatch[] }): Promise<NativeTrainStep>
  exportCheckpoint(options: NativeCall & { path: string; average: boolean }): Promise<void>
}

/** A picture with its label map, and how it is changed; see cpp/include/declip/make_cat_seg_batch.h. */
export type NativeSemanticPicture = NativePixels & {
  /** uint8 or int32 [H, W]. */
  labels: NativeTensor
  shortSide: number
  longSide: number
  /** Where the crop lies among the places that it may have, 0 to below 1. */
  cropX: number
  cropY: number
  mirror: boolean
  brightness: number
  contrast: number
  saturation: number
  hue: number
  contrastFirst: boolean
}

/** Sizes of a model to train from scratch. The text tower's MLP is four times as wide as it. */
export interface NativeNewModel {
  family: 'clip' | 'eva'
  imageSize: number
  patchSize: number
  width: number
  layers: number
  heads: number
  mlp: number
  embedDim: number
  /** 'gelu' unless given; EVA has SwiGLU. */
  activation?: string | undefined
  mean?: readonly number[] | undefined
  std?: readonly number[] | undefined
  text?:
    | { width: number; layers: number; heads: number; contextLength: number; vocab: number }
    | undefined
}

/** A step's batch, or a part of it whose gradients are accumulated. */
export interface NativeTrainBatch {
  /** [B, 3, S, S] */
  images: NativeTensor
  /** [B, M, 5]: x1, y1, x2, y2 as shares of the padded square, valid flag. */
  boxes?: NativeTensor | undefined
  /** [K, 3, s, s] of the valid boxes, pictures in order. */
  crops?: NativeTensor | undefined
  /** [B, C, h, w] */
  vfmFeatures?: NativeTensor | undefined
  /** int32 or int64 [B, M], rows of classFeatures (region-text) or of regionTokens (contrastive). */
  labels?: NativeTensor | undefined
  /** Contrastive: [B, L]. */
  tokens?: NativeTensor | undefined
  /** Contrastive with boxes: [C, L], one caption per class. */
  regionTokens?: NativeTensor | undefined
}

export interface NativeTrainStep {
  /** Steps done, this one included. */
  readonly step: number
  /** Weighted, by name. */
  readonly losses: Readonly<Record<string, number>>
  readonly total: number
  /** Before clipping. */
  readonly gradientNorm: number
  readonly learningRate: number
}

/** One of the processes that train a model together; see cpp/include/declip/process_group.h. */
export interface NativeProcessGroup {
  /** 0..worldSize-1 */
  rank: number
  worldSize: number
  /** Where rank 0 listens. */
  address: string
  port: number
  /** How long a rank waits for the others. */
  timeoutMs: number
  /** 'auto': NCCL for tensors on CUDA, where the build has it. 'gloo': those are copied to the CPU. */
  backend: 'auto' | 'gloo'
}

export interface NativeTrainer {
  /** Of the student. */
  readonly info: NativeCheckpointInfo
  /** Names of the parameters that learn. */
  readonly trainable: readonly string[]
  /** One update; if it rejects, nothing has changed. With a process group every rank makes it. */
  step(options: NativeCall & { parts: readonly NativeTrainBatch[] }): Promise<NativeTrainStep>
  /** Whether `value` is true at any rank of the process group; every rank must ask. */
  anyRank(options: NativeCall & { value: boolean }): Promise<boolean>
  /** The whole state, in one safetensors file. */
  save(options: NativeCall & { path: string }): Promise<void>
  /** Resolves with the steps done. */
  load(options: NativeCall & { path: string }): Promise<number>
  /** alpha * student + (1 - alpha) * pretrained, for loadModel(): a safetensors file or a folder. */
  exportCheckpoint(
    options: NativeCall & { path: string; alpha: number; average: boolean },
  ): Promise<void>
  dispose(): void
}

/** A picture that a batch is made of. */
export type NativeBatchPicture = NativePixels & {
  /** The same seed gives the same regions. */
  seed: number
  /** Flat x1, y1, x2, y2 in pixels, where regions are not cells of a grid. */
  proposals?: Float64Array | undefined
}

/** A picture that a detector learns from, and how it is changed; see cpp/include/declip/make_detector_batch.h. */
export type NativeJitterPicture = NativePixels & {
  /** Flat x1, y1, x2, y2 in pixels. */
  boxes: Float64Array
  /** uint8 [n, H, W] of the boxes' objects. */
  masks?: NativeTensor | undefined
  /** What the long side becomes, as a share of the square's. */
  scale: number
  /** Where the crop lies among the places that it may have, 0 to below 1. */
  cropX: number
  cropY: number
  mirror: boolean
}

export interface NativeDetectorPictures {
  /** [B, 3, S, S] */
  readonly images: NativeTensor
  readonly samples: readonly {
    /** In the square, before padding. */
    readonly width: number
    readonly height: number
    /** Flat x1, y1, x2, y2 in pixels of the square. */
    readonly boxes: Float32Array
    /** Which of the given boxes they were. */
    readonly kept: Int32Array
    /** uint8 [n, S, S], with masks. */
    readonly masks?: NativeTensor | undefined
  }[]
}

/** How pictures are fitted into a square: by their long side, black at the right and bottom, normalized. */
export interface NativeSquare {
  /** Side in pixels. */
  size: number
  mean: readonly number[]
  std: readonly number[]
}

/** Boxes and crops for CLIPSelf and DeCLIP. */
export interface NativeRegionInput {
  maxBoxes: number
  /** Side of a crop in pixels. */
  cropSize: number
  cropScale: number
  /** Cells of a grid of at most so many rows and columns; unset: the pictures' proposals. */
  maxSplit?: number | undefined
  /** Proposals of fewer or more pixels than these sides squared are left out. */
  minSize?: number | undefined
  maxSize?: number | undefined
}

/** What a step takes of its pictures; see cpp/include/declip/make_batch.h. */
export interface NativeBatchSpec extends NativeSquare {
  regions?: NativeRegionInput | undefined
  /** Side to which the squares are resized then, bilinearly without antialiasing, half-pixel centers. */
  resizedTo?: number | undefined
  /** What a foundation model sees. */
  teacher?: NativeSquare | undefined
}

export interface NativePictureBatch {
  /** [B, 3, S, S] */
  readonly images: NativeTensor
  /** With regions: [B, maxBoxes, 5], and crops [K, 3, s, s]. */
  readonly boxes?: NativeTensor | undefined
  readonly crops?: NativeTensor | undefined
  /** With a teacher: [B, 3, T, T]. */
  readonly teacherImages?: NativeTensor | undefined
}

/** How a picture becomes a model's input. */
export interface NativePreprocess {
  /**
   * 'crop': short side to `size` (Pillow bicubic), centre crop. 'squash': to size x size (Pillow bilinear).
   * 'pad': long side to `size` (Pillow bicubic), black at the right and bottom.
   */
  fit: 'crop' | 'squash' | 'pad'
  size: number
  mean: readonly number[]
  std: readonly number[]
}

export interface NativeRuntime {
  readonly libtorch: string
  readonly threads: number
  readonly cpu: string
  readonly onednn: boolean
  readonly cudaBuild: boolean
  readonly cudaDevices: number
  /** Instruction set of our kernels, and whether the build has no other. */
  readonly kernels: string
  /** What linear layers of each number format run on. */
  readonly layers: Readonly<Record<'float32' | 'bfloat16' | 'int8', string>>
  /** Whether the processor multiplies bfloat16 itself. */
  readonly bfloat16Units: boolean
}

export interface NativeAddon {
  CancelToken: new () => NativeCancelToken
  runtime(): NativeRuntime
  /** Threads of the inference queue, for jobs that have not begun. */
  setThreads(threads: number): void
  queueStats(): NativeQueueStats
  /** For the `order` of a call: larger with every call, in all environments of the process. */
  ticket(): number
  /** Bytes of large tensors and of what was reserved, in this process. */
  memoryUse(): { readonly used: number; readonly budget: number }
  setMemoryBudget(bytes: number): void
  /** Counts memory that is taken elsewhere; false, and nothing is counted, where the budget has no room. */
  reserveMemory(bytes: number): boolean
  unreserveMemory(bytes: number): void
  /** Copies a typed array. */
  tensor(data: ArrayBufferView, shape: readonly number[], dtype: DType): NativeTensor
  /** The same into the pool's memory, several times faster for megabytes, for what a call uses up. */
  pooledTensor(data: ArrayBufferView, shape: readonly number[], dtype: DType): NativeTensor
  inspect(
    options: NativeCall & { path: string; config: NativeConfig },
  ): Promise<NativeCheckpointInfo>
  loadModel(
    options: NativeCall & { path: string; config: NativeConfig; device: string; dtype: string },
  ): Promise<NativeModel>
  /** `pretrained`: what crops are encoded with and ensembling mixes in; unset: the student. */
  openBank(options: NativeCall & { path: string }): Promise<NativeBank>
  /** In memory. */
  bankOf(options: NativeCall & NativeBankRows & { about: string }): Promise<NativeBank>
  /** Adds pictures to a file, or makes it. */
  addToBank(options: NativeCall & NativeBankRows & { path: string; about: string }): Promise<void>
  createTrainer(
    options: NativeCall & {
      student: string
      pretrained?: string | undefined
      config: NativeConfig
      train: NativeTrainOptions
      /** Unset: the one process there is. All ranks start from rank 0's weights. */
      processGroup?: NativeProcessGroup | undefined
    },
  ): Promise<NativeTrainer>
  /** `student` is a CLIP-like model, or a detector whose heads learn further. */
  createDetectorTrainer(
    options: NativeCall & {
      student: string
      config: NativeConfig
      train: NativeDetectorTrainOptions
      processGroup?: NativeProcessGroup | undefined
    },
  ): Promise<NativeDetectorTrainer>
  /** `student` is a CLIP-like model, or a CAT-Seg that learns further. */
  createCatSegTrainer(
    options: NativeCall & {
      student: string
      config: NativeConfig
      train: NativeCatSegTrainOptions
      processGroup?: NativeProcessGroup | undefined
    },
  ): Promise<NativeCatSegTrainer>
  /** Writes a model that has learnt nothing, as exportCheckpoint() does; train it from scratch. */
  createCheckpoint(
    options: NativeCall & {
      path: string
      seed: number
      model: NativeNewModel
      /** 'structured': patches as DCT coefficients, positions as waves, q like k (CLIP's tower only). */
      start: 'random' | 'structured'
    },
  ): Promise<void>
  /** On a thread of its own: a running step or model is not waited for. */
  makeBatch(
    options: NativeCall & NativeBatchSpec & { pictures: readonly NativeBatchPicture[] },
  ): Promise<NativePictureBatch>
  /** The same for a detector. */
  makeDetectorBatch(
    options: NativeCall & { pictures: readonly NativeJitterPicture[]; side: number },
  ): Promise<NativeDetectorPictures>
  /** The same for CAT-Seg: images [B, 3, S, S] and labels int64 [B, S, S], -1 where there is no class. */
  makeCatSegBatch(
    options: NativeCall & {
      pictures: readonly NativeSemanticPicture[]
      side: number
      classes: number
      mean: readonly number[]
      std: readonly number[]
    },
  ): Promise<NativeCatSegBatch>
  /** Maps [n, C, h, w], one below the other, in channels-last memory. Beside running models. */
  joinMaps(
    options: NativeCall & { maps: readonly NativeTensor[]; dtype: 'float32' | 'bfloat16' },
  ): Promise<NativeTensor>
  preprocess(options: NativeCall & NativePixels & NativePreprocess): Promise<NativeTensor>
  /**
   * The resize that a pipeline begins with: uint8 [H, W, 3]. Beside running models. OpenCV's bilinear one, and
   * Pillow's with `catSeg`.
   */
  resize(
    options: NativeCall &
      NativePixels &
      Pick<NativePipeline, 'shortSide' | 'longSide' | 'enlarge'> & { catSeg?: boolean | undefined },
  ): Promise<NativeTensor>
  /** The windows that a picture of this size has. */
  countWindows(options: Omit<NativePipeline, 'dense'> & { width: number; height: number }): number
  /**
   * Gives the memory of an ArrayBuffer back without waiting for the garbage collector; it has no bytes then.
   * No native call may be reading it.
   */
  detach(buffer: ArrayBuffer): void
  /** (1 - weight) * names[q] + weight * auxiliary[index[q]], rows with index -1 unchanged; not normalised. */
  mixText(
    options: NativeCall & {
      names: NativeTensor
      auxiliary: NativeTensor
      index: Int32Array
      weight: number
    },
  ): Promise<NativeTensor>
  /** a [M, D] times b [K, D] transposed: [M, K]; `unit`: of rows scaled to length 1, the cosines. */
  similarity(
    options: NativeCall & { a: NativeTensor; b: NativeTensor; unit?: boolean | undefined },
  ): Promise<NativeTensor>
  /** boxes: float32 [K, 4], xyxy in pixels of the map's input; returns [K, D]. */
  poolBoxes(options: NativeCall & NativePooling & { boxes: NativeTensor }): Promise<NativeTensor>
  /**
   * masks: [K, h, w] on the patch grid or [K, H, W] in pixels of the map's input; `padded`: in pixels of a picture
   * whose long side fills the input's side, with padding right and bottom. Returns [K, D].
   */
  poolMasks(
    options: NativeCall & NativePooling & { masks: NativeTensor; padded: boolean },
  ): Promise<NativeTensor>
  /** The smallest box around each of uint8 masks [K, H, W]: x1, y1, x2, y2, all 0 where there is no pixel. */
  maskBoxes(options: NativeCall & { masks: NativeTensor }): Promise<Float64Array>
  /**
   * Mixes the colours of the classes into RGB pixels, in place: red, green and blue of each class, null for one
   * that stays as it is; `opacity` their share, 0 to 1; `rim` the pixels at an edge that take the colour alone.
   */
  blendColors(
    options: NativeCall &
      Pick<NativeLabels, 'labels'> & {
        pixels: Uint8Array
        width: number
        height: number
        colors: readonly (readonly [number, number, number] | null)[]
        opacity: number
        rim: number
      },
  ): Promise<void>
  /**
   * Pixels of every pair of labels that occurs: true class, predicted class, pixels, and so on, ascending. Both maps
   * are uint8 or uint16 [H, W]; `classes` stands for values outside 0..classes-1, and pixels whose truth is `ignore`
   * count nowhere. Beside running models.
   */
  countLabels(
    options: NativeCall & {
      prediction: NativeTensor
      truth: NativeTensor
      classes: number
      ignore: number
    },
  ): Promise<{ readonly pairs: Float64Array }>
  /** Beside running models. */
  averagePrecision(options: NativeCall & NativeDetectionSet): Promise<NativeAveragePrecision>
  /** COCO's run lengths of every class. */
  labelRuns(options: NativeCall & NativeLabels): Promise<NativeRuns>
  /** The same as pycocotools' compressed strings. */
  labelStrings(options: NativeCall & NativeLabels): Promise<string[]>
  /** Outlines of every class; `tolerance`: pixels by which a line may be moved. */
  labelPolygons(options: NativeCall & NativeLabels & { tolerance: number }): Promise<NativePolygons>
  /** Connected regions of every class but `background` (-1: none). */
  objects(
    options: NativeCall &
      NativeLabels & {
        certainty?: NativeTensor | undefined
        background: number
        /** Pixels. */
        minArea: number
        connectivity: 4 | 8
        /** Unset: all, and more than a million are refused. */
        limit?: number | undefined
        compressed: boolean
      },
  ): Promise<NativeFoundObjects>
  /** Fills shapes, all of one picture: uint8 [K, height, width]. Errors begin with '#place: '. */
  masks(
    options: NativeCall & NativeShapes & { width: number; height: number },
  ): Promise<NativeTensor>
  /** Every value of a label map but 255 (uint16: 65535), ascending, as a mask: uint8 [K, H, W]. */
  labelMasks(
    options: NativeCall & Pick<NativeLabels, 'labels'>,
  ): Promise<{ masks: NativeTensor; values: number[] }>
  /**
   * Masks painted over each other in ascending order of their keys (unset: their areas), numbered from 1 in that
   * order: int32 [height, width], 0 outside. Beside running models. Errors begin with '#place: '.
   */
  paintShapes(
    options: NativeCall &
      NativeShapes & { width: number; height: number; keys?: Float64Array | undefined },
  ): Promise<NativeTensor>
  /** The same of uint8 or bool masks [K, H, W]. */
  paintMasks(
    options: NativeCall & { masks: NativeTensor; keys?: Float64Array | undefined },
  ): Promise<NativeTensor>
  /** The values of an int32 map [H, W] but 0, ascending; more than `limit` are refused. */
  regionValues(options: NativeCall & { regions: NativeTensor; limit: number }): Promise<Int32Array>
  /** Some of them as masks: uint8 [K, H, W]. */
  regionMasks(
    options: NativeCall & { regions: NativeTensor; values: Int32Array },
  ): Promise<NativeTensor>
  /** Shapes of pictures of any sizes as run lengths. Errors begin with '#place: '. */
  rleOf(options: NativeCall & NativeShapes): Promise<NativeMeasuredRles>
  /**
   * Text embeddings of a torch.save file (a dict of names and vectors, or a matrix) or a safetensors file: float32
   * [C, D], and names where the file has them.
   */
  readEmbeddings(
    options: NativeCall & { path: string },
  ): Promise<{ names: string[]; features: NativeTensor }>
  /** Talk2DINO's file: float32 [out, in] and [out] of every layer. */
  readTextProjection(
    options: NativeCall & { path: string },
  ): Promise<{ weights: NativeTensor[]; biases: NativeTensor[] }>
  /**
   * tokens [Q * templates, L] of `model`; per word: mean of the prompts' embeddings as they are, then the layers with
   * tanh between them, normalised. Returns [Q, D].
   */
  projectWords(
    options: NativeCall & {
      model: NativeModel
      tokens: NativeTensor
      templates: number
      weights: readonly NativeTensor[]
      biases: readonly NativeTensor[]
    },
  ): Promise<NativeTensor>
  readSafetensors(
    options: NativeCall & { path: string },
  ): Promise<{ tensors: Record<string, NativeTensor>; metadata: Record<string, string> }>
  /** Writes beside the target and renames. */
  writeSafetensors(
    options: NativeCall & {
      path: string
      tensors: Record<string, NativeTensor>
      metadata: Record<string, string>
    },
  ): Promise<void>
}
