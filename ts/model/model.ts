import { until } from '../base/abort.js'
import type { Call, CallOptions } from '../base/call.js'
import { checkFields } from '../base/field.js'
import type { Device } from '../base/names.js'
import { refuseClones } from '../base/uncloneable.js'
import { warnOnce } from '../base/warn.js'
import type { NativeAddon, NativeDense, NativeModel, NativeTensor } from '../engine/addon-types.js'
import { admit } from '../engine/admission.js'
import { callNative } from '../engine/call-native.js'
import { loadAddon } from '../engine/load-addon.js'
import { Tensor } from '../engine/tensor.js'
import { DeclipError, invalid } from '../errors.js'
import type { ImageInput, PictureOptions } from '../image/decode.js'
import { openImage, type Picture } from '../image/source.js'
import { generatorSettings, type MaskGeneratorOptions } from '../masks/generator-fields.js'
import { holdProvider } from '../masks/provider.js'
import { resolveDense } from '../methods/dense.js'
import { checkDense, DENSE_FIELDS, modeOf } from '../methods/fields.js'
import { METHODS, type MethodName } from '../methods/list.js'
import type {
  BankSource,
  DenseOptions,
  FoundationModel,
  ProxyOptions,
  TextOptions,
} from '../methods/options.js'
import { checkMode } from '../methods/preset.js'
import { resolveMethod } from '../methods/resolve.js'
import { checkTalking, TALKING_FAMILIES, talks } from '../methods/talk2dino.js'
import type { PromptedMasks } from '../result/prompted-masks.js'
import { tokenizeOrCut } from '../text/cut-texts.js'
import type { TextTokenizer } from '../text/text-tokenizer.js'
import type { ClassList, VocabularyOptions } from '../words/options.js'
import { projectedText } from '../words/projected.js'
import { Vocabulary } from '../words/vocabulary.js'
import type { TextModel } from '../words/word-features.js'
import { type Boxes, boxRows } from './boxes.js'
import { type Classification, type ClassifyOptions, classify } from './classify.js'
import type { EncodeForDetectionOptions } from './detector-options.js'
import {
  type DetectorView,
  encodeForDetection,
  noTensor,
  refuseOthers,
  VIEW_ENCODING,
} from './detector-view.js'
import { View } from './encoded-image.js'
import { ENCODE_FIELDS, REGION_FIELDS, regionSize } from './fields.js'
import { type GeneratedMask, type GeneratedMasks, generateFrom } from './generate-masks.js'
import { describeCheckpoint, type ModelInfo } from './info.js'
import { type Engine, type InputFit, toInput } from './input.js'
import type { MaskPromptOptions } from './mask-prompts.js'
import { encodeForMasks, type MaskView } from './mask-view.js'
import type {
  EncodeDenseOptions,
  EncodeImageOptions,
  EncodeOptions,
  EncodeRegionOptions,
  LoadOptions,
} from './options.js'
import { noPicture } from './picture.js'
import { placeRegions } from './picture-regions.js'
import { type MapOptions, RegionMap } from './region-map.js'

/** What a Model is made from. @internal */
export interface ModelParts {
  native: NativeModel
  /** None for a vision foundation model. */
  tokenizer: TextTokenizer | undefined
  /** Where the hub states one. */
  license: string | undefined
  /** Loads the foundation model that `proxy.model` names. */
  loadProxy(source: string, options: LoadOptions): Promise<FoundationModel>
}

const ADVICE =
  'A Model is native memory of this thread and cannot be cloned or sent in a message. Call loadModel() where it is needed.'

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
  readonly #tokenizer: TextTokenizer | undefined
  readonly #loadProxy: ModelParts['loadProxy']

  /** @internal */
  constructor({ native, tokenizer, license, loadProxy }: ModelParts) {
    const { textFingerprint: _, ...info } = native.info
    this.native = native
    this.#addon = loadAddon()
    this.#tokenizer = tokenizer
    this.#loadProxy = loadProxy
    this.info = describeCheckpoint(info, license)
    refuseClones(native, ADVICE)
  }

  /** What JSON.stringify() takes: {@link Model.info}. */
  toJSON(): ModelInfo {
    return this.info
  }

  /**
   * Token ids of texts by this model's tokenizer: int32 [T, contextLength], padded with the model's padding id. A
   * vocabulary that is not CLIP's is read at the first use of words; this call reads it at once, which takes up to a
   * second for the largest, while `encodeText`, `vocabulary` and `segment` read it in turns with the event loop.
   *
   * @param texts - one text or several
   * @param options - `truncate`: cut texts that are too long, which is said once by a warning of code
   * 'DECLIP_TEXT_CUT' where it was not asked for (default); true to have them cut without; or false to throw
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG, ERR_DECLIP_WEIGHTS for a vision foundation model and for
   * tokenizer files that are missing or damaged
   */
  tokenize(
    texts: string | readonly string[],
    options: { truncate?: boolean | undefined } = {},
  ): Tensor {
    this.checkTextSpace()
    const contextLength = this.info.contextLength ?? 77
    const tokenizer = this.#tokenizer as TextTokenizer
    const { data, shape } = tokenizeOrCut(tokenizer, texts, { ...options, contextLength })
    return Tensor.from(data, shape)
  }

  /**
   * Embeds texts: float32 [T, D].
   *
   * @param texts - one text, several, or token ids as an int32 or int64 tensor [T, L]
   * @param options - `normalize`: rows of length 1, default true; `truncate` as for {@link Model.tokenize}
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG, ERR_DECLIP_WEIGHTS (no text tower), ERR_DECLIP_ABORTED,
   * ERR_DECLIP_DISPOSED
   */
  async encodeText(
    texts: string | readonly string[] | Tensor,
    options: CallOptions & {
      normalize?: boolean | undefined
      truncate?: boolean | undefined
    } = {},
  ): Promise<Tensor> {
    return admit(options, async call => {
      checkFields(call, ENCODE_FIELDS)
      this.checkTextSpace()
      const { normalize = true, truncate } = call
      const given = texts instanceof Tensor
      const ids = given ? texts : this.#tokens(texts, { truncate }, call)
      const tokens = ids instanceof Tensor ? ids : await ids
      try {
        return await this.#tensor(call, native =>
          this.native.encodeText({ ...native, tokens: tokens.native, normalize }),
        )
      } finally {
        if (!given) tokens.dispose()
      }
    })
  }

  /**
   * Embeds pictures by their class token: float32 [B, D]. Of DINO, DINOv2 and DINOv3 it is the class token after
   * the final norm; SAM has none (ERR_DECLIP_WEIGHTS).
   *
   * @param image - a picture, which is resized and cropped as the checkpoint's configuration says (short
   * side to the model's size and centre crop, as CLIP does, if it has none), or a normalised float tensor
   * [B, 3, H, W] of any size
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG, ERR_DECLIP_IMAGE, ERR_DECLIP_IO, ERR_DECLIP_ABORTED,
   * ERR_DECLIP_DISPOSED
   */
  async encodeImage(image: ImageInput, options: EncodeImageOptions = {}): Promise<Tensor> {
    return this.#withImage(image, options, async (use, call) => {
      const { normalize = this.#normalizes, positions } = call
      checkFields(call, { ...ENCODE_FIELDS, positions: DENSE_FIELDS.positions })
      this.#checkOptions({ positions })
      return use('own', this.info.imageSize, input =>
        this.#tensor(call, native =>
          this.native.encodeImage({ ...native, image: input, normalize, positions }),
        ),
      )
    })
  }

  /**
   * Embeds the patches of pictures: float32 [B, D, h, w], class token dropped. Of a vision foundation
   * model they are what its authors' code gives: the last block after the final norm, without class and
   * register tokens (DINO, DINOv2, DINOv3), or the neck's map (SAM); not normalised unless `normalize` says so.
   *
   * @param image - a picture (squashed to the model's square, as DeCLIP does, or in its own shape for SigLIP 2 NaFlex,
   * and normalised with the model's own statistics), or a normalised float tensor [B, 3, H, W] of any size, for
   * DINOv2 and DINOv3 in multiples of the patch
   * @param options - dense mode and its settings, which a vision foundation model has none of
   * @throws {@link DeclipError} as {@link Model.encodeImage}
   */
  async encodeDense(image: ImageInput, options: EncodeDenseOptions = {}): Promise<Tensor> {
    return this.#withImage(image, options, async (use, call) => {
      const ready = namesProxy(call) ? await this.withProxy(call) : call
      const { normalize = this.#normalizes } = ready
      const dense = this.#dense(ready)
      return use(this.#wholeFit, this.info.imageSize, input =>
        this.#tensor(call, native =>
          this.native.encodeDense({ ...native, ...dense, image: input, normalize }),
        ),
      )
    })
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
    return this.#withImage(image, options, async (use, call) => {
      const size = this.#regionSize(call)
      const reading = boxRows(boxes)
      reading.catch(() => {}) // waited for below
      const { normalize = this.#normalizes, imageIndex } = call
      const made = await this.mapOptions(call)
      const rows = await reading
      return use('pad', size, async (input, scale) => {
        using map = await RegionMap.encode(this.engine, input, made, call)
        return new Tensor(await map.boxes(rows, scale, { normalize, imageIndex }, call))
      })
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
    return this.#withImage(image, options, async (use, call) => {
      if (!(masks instanceof Tensor)) throw invalid('masks', 'a Tensor [K, H, W]', masks)
      const size = this.#regionSize(call)
      const { normalize = this.#normalizes, imageIndex } = call
      const made = await this.mapOptions(call)
      const padded = !(image instanceof Tensor)
      return use('pad', size, async input => {
        using map = await RegionMap.encode(this.engine, input, made, call)
        return new Tensor(await map.masks(masks.native, padded, { normalize, imageIndex }, call))
      })
    })
  }

  /**
   * Says what a picture, or each of its regions, shows. Boxes and masks of one call share one pass through the vision
   * tower; there may be any number of them.
   *
   * @param image - a picture; or a normalised float tensor [1, 3, H, W], whose regions cannot be cropped
   * @param classes - as for {@link segment}: words, a class file or a vocabulary
   * @returns regions in the order of `boxes` and then of `masks`; the whole picture as the only one without either
   * @throws {@link DeclipError} as {@link Model.encodeImage}; ERR_DECLIP_INVALID_ARG names the box or mask that is
   * outside the picture or empty
   *
   * @example
   * ```ts
   * const { regions } = await model.classify('photo.jpg', ['cat', 'dog'], { boxes: [[10, 20, 200, 180]] })
   * regions[0].ranked[0] // { class: 'cat', index: 0, score: 0.27, probability: 0.93 }
   * ```
   */
  async classify(
    image: ImageInput,
    classes: ClassList | Vocabulary,
    options: ClassifyOptions = {},
  ): Promise<Classification> {
    return admit(options, call => classify(this, image, classes, call))
  }

  /**
   * Text features of classes, to be used for any number of pictures.
   *
   * @param classes - one entry per class, 'name' or 'name, synonym, ...'; or the path of such a file
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG, ERR_DECLIP_WEIGHTS, ERR_DECLIP_IO, ERR_DECLIP_ABORTED
   */
  async vocabulary(classes: ClassList, options: VocabularyOptions = {}): Promise<Vocabulary> {
    return admit(options, async call => {
      const { text } = call
      if (text === undefined) {
        this.checkTextSpace()
        return Vocabulary.build(this.textModel, classes, {
          ...call,
          templates: this.#prompts(call),
        })
      }
      checkTalking(this.info.family, {})
      const { templates = METHODS.talk2dino.preset.templates } = call
      const words = await this.wordsFor('talk2dino', text, call)
      return Vocabulary.build(words, classes, { ...call, templates })
    })
  }

  /**
   * Encodes a picture once; the view answers any number of vocabularies without another pass
   * through the vision tower.
   *
   * @param image - any {@link ImageInput}
   * @param options - method, pipeline and masks as for {@link segment}; the view keeps the regions for `refine: 'vote'`
   * @throws {@link DeclipError} as {@link segment}
   */
  async encode(image: ImageInput, options: EncodeOptions = {}): Promise<View> {
    return admit(options, async call => {
      this.checkTextSpace(call.method)
      const opened = image instanceof Tensor ? undefined : openImage(image, call)
      try {
        const { masks } = call
        const held = masks === undefined ? call : { ...call, masks: holdProvider(masks) }
        const ready = await until(this.withProxy(held), call.signal)
        const { method, pipeline, warning } = resolveMethod({ model: this.facts, options: ready })
        warnOnce(warning)
        const placed = await placeRegions(opened ?? (image as Tensor), pipeline, ready)
        const native = await callNative(this.#addon, call, job =>
          this.native.encode({ ...job, picture: placed.ready, pipeline: placed.pipeline }),
        ).finally(() => placed.dispose())
        return new View(native, this, { ...ready, method }, opened?.again ?? noPicture)
      } finally {
        opened?.close()
      }
    })
  }

  /**
   * Masks of whatever is in a picture, without words: SAM is asked about every point of a grid, and sure, stable masks
   * that do not double each other are kept. Surest first; with crops those of the smallest crops before. They may
   * overlap. Of a SAM with its prompt encoder and mask decoder alone.
   *
   * @param image - any {@link ImageInput} but a Tensor
   * @param options - see {@link MaskGeneratorOptions}; progress tells of points. The more points, the slower: 32 a side
   * are 1024 passes through the decoder
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG, ERR_DECLIP_WEIGHTS (no mask decoder), ERR_DECLIP_IMAGE,
   * ERR_DECLIP_IO, ERR_DECLIP_ABORTED, ERR_DECLIP_BUSY, ERR_DECLIP_DISPOSED
   *
   * @example
   * ```ts
   * using sam = await loadModel('sam_vit_b_01ec64.pth')
   * const masks = await sam.generateMasks('photo.jpg', { pointsPerSide: 16 })
   * masks[0] // { rle: { size: [480, 640], counts: '...' }, area: 5120, bbox: [...], predictedIou: 0.99, ... }
   * ```
   */
  async generateMasks(
    image: ImageInput,
    options: CallOptions & PictureOptions & MaskGeneratorOptions = {},
  ): Promise<GeneratedMask[]> {
    return (await this.masksAndSize(image, options)).masks
  }

  /** {@link Model.generateMasks} with the picture's size, which no mask may tell. @internal */
  masksAndSize(
    image: ImageInput,
    options: CallOptions & PictureOptions & MaskGeneratorOptions,
  ): Promise<GeneratedMasks> {
    return admit(options, async call => {
      if (image instanceof Tensor) {
        throw invalid('image', 'a picture: masks are made in its own size', image)
      }
      const settings = generatorSettings(call)
      const picture = openImage(image, call)
      try {
        const { pixels } = await picture.decode()
        return await generateFrom(this.engine, pixels, settings, call)
      } finally {
        picture.dispose()
      }
    })
  }

  /**
   * Encodes a picture once for SAM's mask decoder; the view makes masks of any number of points and boxes.
   *
   * @param image - any {@link ImageInput} but a Tensor
   * @throws {@link DeclipError} as {@link Model.encodeImage}; ERR_DECLIP_WEIGHTS that names what to load where the
   * model has no mask decoder ({@link ModelInfo.maskDecoder})
   *
   * @example
   * ```ts
   * using view = await sam.encodeForMasks('photo.jpg')
   * using cup = await view.masksAt({ points: [[320, 240]] })
   * cup.scores[0] // predicted overlap
   * ```
   */
  async encodeForMasks(
    image: ImageInput,
    options: CallOptions & PictureOptions = {},
  ): Promise<MaskView> {
    return this.#withPicture(image, options, (picture, call) =>
      encodeForMasks(this.engine, picture, call),
    )
  }

  /**
   * Masks of points, boxes and earlier masks on a picture, by SAM's prompt encoder and mask decoder. For several calls
   * on one picture, {@link Model.encodeForMasks} encodes it once.
   *
   * @param image - any {@link ImageInput} but a Tensor
   * @param options - the prompts, in pixels of the picture
   * @throws {@link DeclipError} as {@link Model.encodeForMasks} and {@link MaskView.masksAt}
   *
   * @example
   * ```ts
   * using sam = await loadModel('sam_vit_b_01ec64.pth')
   * using cup = await sam.masksAt('photo.jpg', { boxes: [[100, 80, 300, 260]] })
   * cup.masks[0] // { size: [480, 640], counts: '...' }
   * ```
   */
  async masksAt(
    image: ImageInput,
    options: MaskPromptOptions & PictureOptions = {},
  ): Promise<PromptedMasks> {
    return this.#withPicture(image, options, async (picture, call) => {
      using view = await encodeForMasks(this.engine, picture, call)
      return view.answer(call)
    })
  }

  /**
   * Encodes a picture once for a detector's heads: tower, pyramid and region proposals. The view is asked for any
   * words.
   *
   * @param image - any {@link ImageInput} but a Tensor
   * @throws {@link DeclipError} as {@link Model.encodeImage}; ERR_DECLIP_WEIGHTS that names what to load where the
   * model has no detector's heads ({@link ModelInfo.detector})
   *
   * @example
   * ```ts
   * using view = await detector.encodeForDetection('photo.jpg')
   * using found = await view.detect(['cat, kitten', 'dog'])
   * ```
   */
  async encodeForDetection(
    image: ImageInput,
    options: EncodeForDetectionOptions = {},
  ): Promise<DetectorView> {
    return admit(options, async call => {
      refuseOthers(call, VIEW_ENCODING)
      if (image instanceof Tensor) throw noTensor(image)
      const picture = openImage(image, call)
      try {
        return await encodeForDetection(this, picture, call)
      } finally {
        picture.close()
      }
    })
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
    const { imageSize, patchSize, family, denseMode, denseModes, layers, catSeg } = this.info
    return { imageSize, patchSize, family, denseMode, denseModes, layers, catSeg }
  }

  /** What jobs of this model run on. @internal */
  get engine(): Engine {
    return { addon: this.#addon, native: this.native }
  }

  /** How the map is made that regions are pooled from. @internal */
  async mapOptions(
    options: CallOptions & DenseOptions & { normalizeBeforePooling?: boolean | undefined },
  ): Promise<MapOptions> {
    const ready = namesProxy(options) ? await this.withProxy(options) : options
    const { normalizeBeforePooling } = ready
    return { dense: this.#dense(ready), normalizeBeforePooling }
  }

  /** What the text side needs. @internal */
  get textModel(): TextModel {
    return {
      ...(TALKING_FAMILIES.includes(this.info.family) && { space: 'talk2dino' as const }),
      addon: this.#addon,
      native: this.native,
      tokenizer: this.#tokenizer as TextTokenizer, // asked only where there is a text tower
    }
  }

  /**
   * The text side of a call: this model's own, or with method 'talk2dino' another one's through a projection.
   *
   * @throws DeclipError ERR_DECLIP_INVALID_ARG, and as loadModel()
   * @internal
   */
  async wordsFor(
    method: MethodName,
    text: TextOptions | undefined,
    call: Call = {},
  ): Promise<TextModel> {
    if (!talks(method)) return this.textModel
    const { text: loaded } = await until(this.withText({ ...call, text }), call.signal)
    return projectedText(this.#addon, this.textModel, loaded, call)
  }

  /** A vision foundation model has no space for texts, unless the method brings one. @internal */
  checkTextSpace(method?: string): void {
    const { family, path, textSpace } = this.info
    if (textSpace || talks(method)) return
    throw new DeclipError(
      'ERR_DECLIP_WEIGHTS',
      `${path} is a vision foundation model (${family}) without a text tower: its features cannot be compared with words. Load a CLIP checkpoint for that, and give it this one as proxy: { model } with method 'proxyclip'.`,
    )
  }

  /** The options with the model of `text.model` loaded where that is a source. @internal */
  async withText<T extends CallOptions & { text?: TextOptions | undefined }>(
    options: T,
  ): Promise<T> {
    const source = options.text?.model
    if (typeof source !== 'string') return options
    const { device, dtype } = this.info
    const model = await this.#loadProxy(source, {
      device: device as Device,
      dtype,
      onProgress: options.onProgress,
    })
    return { ...options, text: { ...options.text, model } }
  }

  /** The options with the model of `proxy.model` loaded where that is a source. @internal */
  async withProxy<
    T extends CallOptions & {
      proxy?: ProxyOptions | undefined
      bank?: BankSource | undefined
    },
  >(options: T): Promise<T> {
    const source = options.proxy?.model
    if (typeof source !== 'string') {
      await this.#checkBank(options, source)
      return options
    }
    const { device, dtype } = this.info
    const model = await this.#loadProxy(source, {
      device: device as Device,
      dtype,
      onProgress: options.onProgress,
    })
    await this.#checkBank(options, model)
    return { ...options, proxy: { ...options.proxy, model } }
  }

  /** What a bank is asked with must be what it was built with. */
  async #checkBank(
    { bank }: { bank?: BankSource | undefined },
    proxy: FoundationModel | undefined,
  ): Promise<void> {
    await bank?.check?.(this, (proxy as Model | undefined) ?? this)
  }

  /** How a whole picture becomes the input of dense features: squashed, unless the model takes any shape. */
  get #wholeFit(): 'own' | 'squash' {
    return this.info.preprocess.resize === 'patches' ? 'own' : 'squash'
  }

  /** Whether features are scaled to length 1 unless the caller says so. */
  get #normalizes(): boolean {
    return this.info.textSpace
  }

  /** Refuses what only CLIP's towers understand. */
  #checkOptions(options: DenseOptions): void {
    if (this.info.textSpace) return
    const name = DENSE_OPTIONS.find(option => options[option] !== undefined)
    if (name === undefined) return
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `${name} does not go with a vision foundation model (${this.info.family}), whose features are made in one way only; leave it out.`,
    )
  }

  /** Prompts of words: of a CAT-Seg those that its head learned with. */
  #prompts({ templates }: VocabularyOptions): VocabularyOptions['templates'] {
    return templates ?? (this.info.catSeg ? [this.info.catSeg.prompt] : undefined)
  }

  /** Checks them; where pictures are fitted. */
  #regionSize(options: EncodeRegionOptions): number {
    const { imageSize, patchSize } = this.info
    checkFields(options, { ...REGION_FIELDS, size: regionSize(patchSize) })
    return options.size ?? imageSize
  }

  #dense(options: DenseOptions): NativeDense {
    this.#checkOptions(options)
    checkFields(options, ENCODE_FIELDS)
    checkDense(options)
    const mode = modeOf(options) ?? this.info.denseMode ?? 'vanilla'
    checkMode(this.facts, mode)
    if (options.proxy?.sees === 'picture') {
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        "proxy.sees 'picture' is of a pipeline, which has the whole picture (segment(), model.encode()); leave it out here.",
      )
    }
    return resolveDense({ ...options, mode })
  }

  /**
   * Ids of the texts as they are now: at once, so that the call is queued before its caller goes on, or when the
   * tokenizer has read its files.
   */
  #tokens(
    texts: string | readonly string[],
    options: { truncate?: boolean | undefined },
    { signal }: Call,
  ): Tensor | Promise<Tensor> {
    const reading = this.#tokenizer?.ready?.()
    if (reading === undefined) return this.tokenize(texts, options)
    const now = Array.isArray(texts) ? [...texts] : texts
    return until(reading, signal).then(() => this.tokenize(now, options))
  }

  async #tensor(
    options: Call,
    run: Parameters<typeof callNative<NativeTensor>>[2],
  ): Promise<Tensor> {
    return new Tensor(await callNative(this.#addon, options, run))
  }

  /**
   * Lets a call in, takes its picture over and hands `work` a function that makes the model's input of it: told how
   * the picture is fitted and what is to be done, which is told how much smaller the input is than the picture.
   */
  #withImage<O extends CallOptions & PictureOptions>(
    image: ImageInput,
    options: O,
    work: (use: UseImage, call: O & Call) => Promise<Tensor>,
  ): Promise<Tensor> {
    return admit(options, async call => {
      if (image instanceof Tensor) return work((_fit, _size, use) => use(image.native, 1), call)
      const picture = openImage(image, call)
      const use: UseImage = async (fit, size, run) => {
        const { input, scale } = await this.#toInput(picture, fit, size, call)
        try {
          return await run(input, scale)
        } finally {
          input.dispose()
        }
      }
      try {
        return await work(use, call)
      } finally {
        picture.dispose()
      }
    })
  }

  /** Lets a call in that takes no tensor, and takes its picture over. */
  #withPicture<O extends CallOptions & PictureOptions, T>(
    image: ImageInput,
    options: O,
    work: (picture: Picture, call: O & Call) => Promise<T>,
  ): Promise<T> {
    return admit(options, async call => {
      if (image instanceof Tensor) {
        throw invalid('image', 'a picture (path, bytes or pixels), not a Tensor', 'a Tensor')
      }
      const picture = openImage(image, call)
      try {
        return await work(picture, call)
      } finally {
        picture.dispose()
      }
    })
  }

  /** The model's input; the picture's pixels are given back. */
  async #toInput(
    picture: Picture,
    fit: InputFit,
    size: number,
    call: Call,
  ): Promise<{ input: NativeTensor; scale: number }> {
    const decoded = await picture.decode()
    const input = await toInput(this.engine, decoded, { fit, size }, call).finally(() =>
      picture.dispose(),
    )
    return { input, scale: size / Math.max(decoded.width, decoded.height) }
  }
}

type UseImage = (
  fit: InputFit,
  size: number,
  run: (input: NativeTensor, scale: number) => Promise<Tensor>,
) => Promise<Tensor>

/** What {@link DenseOptions} has, for models that know none of it. */
const DENSE_OPTIONS = [
  ...Object.keys(DENSE_FIELDS),
  'denseMode',
  'proxy',
  'corrclip',
  'regions',
  'scclip',
] as (keyof DenseOptions)[]

/** True where a model has to be loaded before the call; only then may a tensor wait. */
function namesProxy({ proxy }: { proxy?: ProxyOptions | undefined }): boolean {
  return typeof proxy?.model === 'string'
}
