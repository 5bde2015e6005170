import type { CallOptions } from '../base/call.js'
import { checkCall } from '../base/call.js'
import { DENSE_MODES, type DenseMode, type Device, type ModelFamily } from '../base/names.js'
import { warnOnce } from '../base/warn.js'
import type {
  NativeAddon,
  NativeCheckpointInfo,
  NativeDense,
  NativeModel,
  NativePreprocess,
  NativeTensor,
} from '../engine/addon-types.js'
import { callNative } from '../engine/call-native.js'
import { loadAddon } from '../engine/load-addon.js'
import { Tensor } from '../engine/tensor.js'
import { DeclipError, describe, invalid } from '../errors.js'
import { type ImageInput, loadImage } from '../image/decode.js'
import type {
  DenseOptions,
  FoundationModel,
  PipelineOptions,
  ProxyOptions,
} from '../methods/options.js'
import { isFoundation, toNativeProxy } from '../methods/proxy.js'
import { resolveMethod } from '../methods/resolve.js'
import type { Tokenizer } from '../text/tokenizer.js'
import type { ClassList, VocabularyOptions } from '../words/options.js'
import { Vocabulary } from '../words/vocabulary.js'
import type { TextModel } from '../words/word-features.js'
import { View } from './encoded-image.js'
import type {
  EncodeDenseOptions,
  EncodeImageOptions,
  EncodeRegionOptions,
  LoadOptions,
} from './options.js'

/** What a checkpoint is. */
export interface CheckpointInfo extends NativeCheckpointInfo {}

/** What a loaded model is. */
export interface ModelInfo {
  /** File or folder that was loaded. */
  readonly path: string
  /**
   * 'openai-jit', 'openai', 'open_clip', 'huggingface', 'eva-clip', 'trainer' or 'detector'; of a vision
   * foundation model 'original', 'timm' or 'huggingface'.
   */
  readonly format: string
  /** 'clip' for OpenAI/OpenCLIP ViTs, 'eva' for EVA02; vision foundation models: 'dino', 'dinov2', 'sam'. */
  readonly family: ModelFamily
  /** Side of the training pictures in pixels. */
  readonly imageSize: number
  /** Side of a patch in pixels. */
  readonly patchSize: number
  /** Channels of the vision tower. */
  readonly width: number
  /** Blocks of the vision tower. */
  readonly layers: number
  /** Attention heads of the vision tower. */
  readonly heads: number
  /** Channels of the shared space of pictures and texts, or of a vision foundation model's features. */
  readonly embedDim: number
  /** Longest text in tokens; null without a text tower. */
  readonly contextLength: number | null
  /** The towers that the file holds. */
  readonly towers: readonly ('vision' | 'text')[]
  /** Number format that the towers compute in. */
  readonly dtype: 'float32' | 'bfloat16' | 'float16' | 'int8'
  /** What the layers run on, chosen for this processor when the model was loaded. */
  readonly engine: string
  /** 'cpu' or 'cuda:0'. */
  readonly device: string
  /** Why this device. */
  readonly deviceReason: string
  /** Dense mode that the checkpoint was fine-tuned for, where its name says so. */
  readonly denseMode: DenseMode | null
  /** Licence, where the file or the hub states one. */
  readonly license: string | null
  /** exp of the stored logit scale, null where there is none. */
  readonly logitScale: number | null
  /** What was assumed because the weights do not tell. */
  readonly notes: readonly string[]
}

/** What a Model is made from. @internal */
export interface ModelParts {
  native: NativeModel
  tokenizer: Tokenizer
  /** Where the hub states one. */
  license: string | undefined
  /** Loads the foundation model that `proxy.model` names. */
  loadProxy(source: string, options: LoadOptions): Promise<FoundationModel>
}

/** Boxes or masks: rows of numbers, or a tensor. */
export type Boxes = readonly (readonly number[])[] | Tensor

/**
 * A loaded checkpoint. Calls may overlap; they share one inference queue.
 *
 * @example
 * ```ts
 * using model = await loadModel('openai/clip-vit-base-patch16')
 * const image = await model.encodeImage('photo.jpg')
 * ```
 */
export class Model {
  /** What was loaded and where it computes. */
  readonly info: ModelInfo
  /** @internal */
  readonly native: NativeModel
  readonly #addon: NativeAddon
  readonly #tokenizer: Tokenizer
  readonly #loadProxy: ModelParts['loadProxy']

  /** @internal */
  constructor({ native, tokenizer, license, loadProxy }: ModelParts) {
    const { vision, text, ...info } = native.info
    this.native = native
    this.#addon = loadAddon()
    this.#tokenizer = tokenizer
    this.#loadProxy = loadProxy
    this.info = Object.freeze({
      path: info.path,
      format: info.format,
      family: info.family,
      imageSize: info.imageSize,
      patchSize: info.patchSize,
      width: vision.width,
      layers: vision.layers,
      heads: vision.heads,
      embedDim: info.embedDim,
      contextLength: text?.contextLength ?? null,
      towers: Object.freeze(text ? (['vision', 'text'] as const) : (['vision'] as const)),
      dtype: info.dtype,
      engine: info.engine,
      device: info.device,
      deviceReason: info.deviceReason,
      denseMode: info.denseMode,
      license: info.license ?? license ?? null,
      logitScale: info.logitScale,
      notes: Object.freeze([...info.notes]),
    })
  }

  /**
   * Token ids of texts by this model's tokenizer: int32 [T, contextLength], padded with 0.
   *
   * @param texts - one text or several
   * @param options - `truncate`: cut texts that are too long (default), or throw
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG
   */
  tokenize(
    texts: string | readonly string[],
    options: { truncate?: boolean | undefined } = {},
  ): Tensor {
    const contextLength = this.info.contextLength ?? 77
    const { data, shape } = this.#tokenizer.tokenize(texts, { ...options, contextLength })
    return Tensor.from(data, shape)
  }

  /**
   * Embeds texts: float32 [T, D].
   *
   * @param texts - one text, several, or token ids as an int32 or int64 tensor [T, L]
   * @param options - `normalize`: rows of length 1, default true
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG, ERR_DECLIP_WEIGHTS (no text tower), ERR_DECLIP_ABORTED,
   * ERR_DECLIP_DISPOSED
   */
  async encodeText(
    texts: string | readonly string[] | Tensor,
    options: CallOptions & { normalize?: boolean | undefined } = {},
  ): Promise<Tensor> {
    checkCall(options)
    this.checkTextSpace()
    const { normalize = true } = options
    const given = texts instanceof Tensor
    const tokens = given ? texts : this.tokenize(texts)
    try {
      return await this.#tensor(options, call =>
        this.native.encodeText({ ...call, tokens: tokens.native, normalize }),
      )
    } finally {
      if (!given) tokens.dispose()
    }
  }

  /**
   * Embeds pictures by their class token: float32 [B, D]. Of DINO and DINOv2 it is the class token after
   * the final norm; SAM has none (ERR_DECLIP_WEIGHTS).
   *
   * @param image - a picture (short side to the model's size, centre crop, as CLIP does), or a
   * normalised float tensor [B, 3, H, W] of any size
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG, ERR_DECLIP_IMAGE, ERR_DECLIP_IO, ERR_DECLIP_ABORTED,
   * ERR_DECLIP_DISPOSED
   */
  async encodeImage(image: ImageInput, options: EncodeImageOptions = {}): Promise<Tensor> {
    checkCall(options)
    const { normalize = this.#normalizes, positions } = options
    checkPositions(positions)
    this.#checkOptions({ positions })
    return this.#withImage(image, 'crop', this.info.imageSize, options, input =>
      this.#tensor(options, call =>
        this.native.encodeImage({ ...call, image: input, normalize, positions }),
      ),
    )
  }

  /**
   * Embeds the patches of pictures: float32 [B, D, h, w], class token dropped. Of a vision foundation
   * model they are what its authors' code gives: the last block after the final norm, without class and
   * register tokens (DINO, DINOv2), or the neck's map (SAM); not normalised unless `normalize` says so.
   *
   * @param image - a picture (squashed to the model's square, as DeCLIP does, and normalised with the
   * model's own statistics), or a normalised float tensor [B, 3, H, W] of any size, for DINOv2 in
   * multiples of its patch
   * @param options - dense mode and its settings, which a vision foundation model has none of
   * @throws {@link DeclipError} as {@link Model.encodeImage}
   */
  async encodeDense(image: ImageInput, options: EncodeDenseOptions = {}): Promise<Tensor> {
    checkCall(options)
    const ready = namesProxy(options) ? await this.withProxy(options) : options
    const { normalize = this.#normalizes } = ready
    const dense = this.#dense(ready)
    return this.#withImage(image, 'squash', this.info.imageSize, ready, input =>
      this.#tensor(ready, call =>
        this.native.encodeDense({ ...call, ...dense, image: input, normalize }),
      ),
    )
  }

  /**
   * Embeds boxes by RoIAlign on the dense features: float32 [K, D].
   *
   * @param image - a picture (longest side to `size`, black right and bottom, as CLIPSelf and DeCLIP
   * evaluate), or a normalised float tensor [B, 3, H, W]
   * @param boxes - [x1, y1, x2, y2] in the picture's pixels, or a float tensor [K, 4]
   * @throws {@link DeclipError} as {@link Model.encodeImage}
   */
  async encodeBoxes(
    image: ImageInput,
    boxes: Boxes,
    options: EncodeRegionOptions = {},
  ): Promise<Tensor> {
    checkCall(options)
    const ready = namesProxy(options) ? await this.withProxy(options) : options
    const dense = this.#dense(ready)
    const { normalize = this.#normalizes, normalizeBeforePooling } = ready
    const size = this.#regionSize(ready)
    const imageIndex = toImageIndex(ready)
    const rows = await boxRows(boxes)
    return this.#withImage(image, 'pad', size, ready, async (input, scale) => {
      const scaled = Tensor.from(
        rows.map(v => v * scale),
        [rows.length / 4, 4],
      )
      try {
        return await this.#tensor(ready, call =>
          this.native.encodeBoxes({
            ...call,
            ...dense,
            image: input,
            boxes: scaled.native,
            imageIndex,
            normalize,
            normalizeBeforePooling,
          }),
        )
      } finally {
        scaled.dispose()
      }
    })
  }

  /**
   * Embeds masks by the mean of the patches under them: float32 [K, D].
   *
   * @param image - as {@link Model.encodeBoxes}
   * @param masks - a tensor [K, H, W] in the picture's pixels, or [K, h, w] on the patch grid;
   * not 0 is inside
   * @throws {@link DeclipError} as {@link Model.encodeImage}
   */
  async encodeMasks(
    image: ImageInput,
    masks: Tensor,
    options: EncodeRegionOptions = {},
  ): Promise<Tensor> {
    checkCall(options)
    const ready = namesProxy(options) ? await this.withProxy(options) : options
    if (!(masks instanceof Tensor)) throw invalid('masks', 'a Tensor [K, H, W]', masks)
    const dense = this.#dense(ready)
    const { normalize = this.#normalizes, normalizeBeforePooling } = ready
    const size = this.#regionSize(ready)
    const imageIndex = toImageIndex(ready)
    const padded = !(image instanceof Tensor)
    return this.#withImage(image, 'pad', size, ready, input =>
      this.#tensor(ready, call =>
        this.native.encodeMasks({
          ...call,
          ...dense,
          image: input,
          masks: masks.native,
          padded,
          imageIndex,
          normalize,
          normalizeBeforePooling,
        }),
      ),
    )
  }

  /**
   * Text features of classes, to be used for any number of pictures.
   *
   * @param classes - one entry per class, 'name' or 'name, synonym, ...'; or the path of such a file
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG, ERR_DECLIP_WEIGHTS, ERR_DECLIP_IO, ERR_DECLIP_ABORTED
   */
  async vocabulary(classes: ClassList, options: VocabularyOptions = {}): Promise<Vocabulary> {
    checkCall(options)
    this.checkTextSpace()
    return Vocabulary.build(this.textModel, classes, options)
  }

  /**
   * Encodes a picture once; the view answers any number of vocabularies without another pass
   * through the vision tower.
   *
   * @param image - any {@link ImageInput}
   * @param options - method and pipeline as for {@link segment}
   * @throws {@link DeclipError} as {@link segment}
   */
  async encode(image: ImageInput, options: CallOptions & PipelineOptions = {}): Promise<View> {
    checkCall(options)
    this.checkTextSpace()
    const ready = namesProxy(options) ? await this.withProxy(options) : options
    const { pipeline, warning } = resolveMethod({ model: this.facts, options: ready })
    warnOnce(warning)
    const picture =
      image instanceof Tensor ? { tensor: image.native } : toPixels(await loadImage(image, ready))
    const native = await callNative(this.#addon, ready, call =>
      this.native.encode({ ...call, picture, pipeline }),
    )
    return new View(native, this, ready, () => sourceOf(image))
  }

  /** Gives the weights back once the calls in flight are done. May be called again. */
  dispose(): void {
    this.native.dispose()
  }

  /** As {@link Model.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose()
  }

  /** What presets need to know. @internal */
  get facts() {
    const { imageSize, patchSize, family, denseMode, layers } = this.info
    return { imageSize, patchSize, family, denseMode, layers }
  }

  /** What the text side needs. @internal */
  get textModel(): TextModel {
    return {
      addon: this.#addon,
      native: this.native,
      tokenizer: this.#tokenizer,
    }
  }

  /** A vision foundation model has no space for texts. @internal */
  checkTextSpace(): void {
    const { family, path } = this.info
    if (!isFoundation(family)) return
    throw new DeclipError(
      'ERR_DECLIP_WEIGHTS',
      `${path} is a vision foundation model (${family}) without a text tower: its features cannot be compared with words. Load a CLIP checkpoint for that, and give it this one as proxy: { model } with method 'proxyclip'.`,
    )
  }

  /** The options with the model of `proxy.model` loaded where that is a source. @internal */
  async withProxy<T extends CallOptions & { proxy?: ProxyOptions | undefined }>(
    options: T,
  ): Promise<T> {
    const source = options.proxy?.model
    if (typeof source !== 'string') return options
    const { device, dtype } = this.info
    const model = await this.#loadProxy(source, {
      device: device as Device,
      dtype,
      onProgress: options.onProgress,
    })
    return { ...options, proxy: { ...options.proxy, model } }
  }

  /** Whether features are scaled to length 1 unless the caller says so. */
  get #normalizes(): boolean {
    return !isFoundation(this.info.family)
  }

  /** Refuses what only CLIP's towers understand. */
  #checkOptions(options: DenseOptions): void {
    if (!isFoundation(this.info.family)) return
    const name = DENSE_OPTIONS.find(option => options[option] !== undefined)
    if (name === undefined) return
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `${name} does not go with a vision foundation model (${this.info.family}), whose features are made in one way only; leave it out.`,
    )
  }

  #regionSize({ size = this.info.imageSize }: EncodeRegionOptions): number {
    if (Number.isInteger(size) && size >= this.info.patchSize && size <= 16384) return size
    throw invalid('size', `${this.info.patchSize} (one patch) to 16384 pixels`, size)
  }

  #dense(options: DenseOptions): NativeDense {
    const { mode = this.info.denseMode ?? 'vanilla', proxy, layers, gaussianStd } = options
    this.#checkOptions(options)
    if (!DENSE_MODES.includes(mode)) throw invalid('mode', `one of ${DENSE_MODES.join(', ')}`, mode)
    if (layers !== undefined && !(Array.isArray(layers) && layers.every(Number.isInteger))) {
      throw invalid('layers', 'a list of block numbers, counted from 1', layers)
    }
    if (gaussianStd !== undefined && !(gaussianStd > 0)) {
      throw invalid('gaussianStd', 'a number of patches above 0', gaussianStd)
    }
    checkPositions(options.positions)
    for (const [name, value] of Object.entries({ beta: proxy?.beta, gamma: proxy?.gamma })) {
      if (value !== undefined && !Number.isFinite(value)) {
        throw invalid(`proxy.${name}`, 'a finite number', value)
      }
    }
    if (mode === 'proxyclip' && proxy?.features === undefined && proxy?.model === undefined) {
      throw invalid(
        'proxy.features',
        "a Tensor [B, C, Hv, Wv] for mode 'proxyclip', or proxy.model the vision foundation model that makes it",
        undefined,
      )
    }
    return {
      mode,
      positions: options.positions,
      residual: options.residual,
      feedForward: options.feedForward,
      layers,
      selfAttention: options.selfAttention,
      gaussianStd,
      neighboursOnly: options.neighboursOnly,
      ...toNativeProxy(proxy),
      proxyBeta: proxy?.beta,
      proxyGamma: proxy?.gamma,
    }
  }

  async #tensor(
    options: CallOptions,
    run: Parameters<typeof callNative<NativeTensor>>[2],
  ): Promise<Tensor> {
    return new Tensor(await callNative(this.#addon, options, run))
  }

  /** Hands `use` the model's input and how much smaller it is than the picture. */
  async #withImage(
    image: ImageInput,
    fit: NativePreprocess['fit'],
    size: number,
    options: CallOptions,
    use: (input: NativeTensor, scale: number) => Promise<Tensor>,
  ): Promise<Tensor> {
    if (image instanceof Tensor) return use(image.native, 1)
    const { data: pixels, width, height } = await loadImage(image, options)
    const { mean, std } = this.native.info
    const input = await callNative(this.#addon, options, call =>
      this.#addon.preprocess({ ...call, pixels, width, height, fit, size, mean, std }),
    )
    try {
      return await use(input, size / Math.max(width, height))
    } finally {
      input.dispose()
    }
  }
}

/** What {@link DenseOptions} has, for models that know none of it. */
const DENSE_OPTIONS = [
  'mode',
  'positions',
  'residual',
  'feedForward',
  'layers',
  'selfAttention',
  'gaussianStd',
  'neighboursOnly',
  'proxy',
] as const satisfies readonly (keyof DenseOptions)[]

/** True where a model has to be loaded before the call; only then may it wait before it copies pixels. */
function namesProxy({ proxy }: { proxy?: ProxyOptions | undefined }): boolean {
  return typeof proxy?.model === 'string'
}

async function boxRows(boxes: Boxes): Promise<Float32Array> {
  if (boxes instanceof Tensor) {
    const data = await boxes.data()
    if (boxes.shape.length !== 2 || boxes.shape[1] !== 4 || !(data instanceof Float32Array)) {
      throw invalid('boxes', 'a float tensor [K, 4]', `${boxes.dtype} [${boxes.shape}]`)
    }
    return data
  }
  if (!Array.isArray(boxes)) throw invalid('boxes', 'a list of [x1, y1, x2, y2] in pixels', boxes)
  for (const [i, box] of boxes.entries()) {
    const [x1, y1, x2, y2] = Array.isArray(box) && box.length === 4 ? box : []
    if (![x1, y1, x2, y2].every(Number.isFinite) || x2 < x1 || y2 < y1) {
      const got = Array.isArray(box) ? `[${box}]` : describe(box)
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `boxes[${i}] must be [x1, y1, x2, y2] in pixels with x2 >= x1 and y2 >= y1, received ${got}.`,
      )
    }
  }
  return Float32Array.from(boxes.flat())
}

function toImageIndex({ imageIndex = [] }: EncodeRegionOptions): Int32Array {
  if (Array.isArray(imageIndex) && imageIndex.every(i => Number.isInteger(i) && i >= 0)) {
    return Int32Array.from(imageIndex)
  }
  throw invalid('imageIndex', 'a list with the number of the picture of every region', imageIndex)
}

function checkPositions(positions: unknown): void {
  if (positions === undefined || positions === 'scale-factor' || positions === 'size') return
  throw invalid('positions', "'scale-factor' or 'size'", positions)
}

/** @internal */
export function toPixels({
  data,
  width,
  height,
}: {
  data: Uint8Array
  width: number
  height: number
}) {
  return { pixels: data, width, height }
}

/** Decodes a picture again for an overlay. @internal */
export async function sourceOf(image: ImageInput) {
  if (image instanceof Tensor) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      'A tensor has no picture to draw on; pass overlay: { image }.',
    )
  }
  return loadImage(image)
}
