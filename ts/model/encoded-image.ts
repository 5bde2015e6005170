import type { Call, CallOptions } from '../base/call.js'
import { checkFields, field, finite, kind, whole } from '../base/field.js'
import type { NativeCall, NativeTensor, NativeView } from '../engine/addon-types.js'
import { admit } from '../engine/admission.js'
import { callNative } from '../engine/call-native.js'
import { loadAddon } from '../engine/load-addon.js'
import { Tensor } from '../engine/tensor.js'
import { invalid } from '../errors.js'
import type { PipelineOptions, PostprocessOptions, TextOptions } from '../methods/options.js'
import { defaultMethod } from '../methods/preset.js'
import { resolveMethod } from '../methods/resolve.js'
import type { Segmentation, SegmentationParts } from '../result/segmentation.js'
import type { ClassList, VocabularyOptions } from '../words/options.js'
import type { Vocabulary } from '../words/vocabulary.js'
import { encodeTexts } from '../words/word-features.js'
import { type Asked, ask, type EncodedBy } from './ask.js'

/** Options of {@link View.segment}: everything that does not change the encoded features. */
export interface ViewSegmentOptions
  extends CallOptions,
    PostprocessOptions,
    Omit<VocabularyOptions, keyof CallOptions> {}

const PEAK_FIELDS = {
  limit: field(whole(1, 10_000), 'Most peaks of one text', '10'),
  minScore: field(finite, 'Least cosine of a peak', 'none'),
  minDistance: field(
    kind<number>(
      'a number of pixels, 0 or more',
      value => Number.isFinite(value) && Number(value) >= 0,
    ),
    'Least distance of two peaks of one text',
    'two patches',
  ),
} as const

/** Options of {@link View.peaks}. */
export interface PeakOptions extends CallOptions, Pick<VocabularyOptions, 'templates'> {
  /** Most peaks of one text, 1 to 10000. Default 10. */
  limit?: number | undefined
  /** Least cosine. Default: none. */
  minScore?: number | undefined
  /** Least distance of two peaks of one text in pixels of the picture. Default: the side of two patches. */
  minDistance?: number | undefined
}

/** A place where a picture is more like a text than around it. */
export interface Peak {
  /** Place of the text among those that were asked for. */
  readonly text: number
  /** In pixels of the picture: 0 is its left side, `width` its right one. */
  readonly x: number
  /** In pixels of the picture: 0 is its top, `height` its bottom. */
  readonly y: number
  /** Cosine of the picture there and the text. */
  readonly score: number
}

/** What a view was encoded with. @internal */
export interface ViewOptions extends PipelineOptions {
  text?: TextOptions | undefined
}

/**
 * Milliseconds of work that need not wait for whole pictures: of high priority unless the caller says otherwise.
 *
 * @internal
 */
export function soon<O extends CallOptions>(options: O): O {
  const isOpen = typeof options === 'object' && options !== null && options.priority === undefined
  return isOpen ? { ...options, priority: 'high' } : options // what is no object is refused later
}

/**
 * A picture that went through the vision tower once. Made by {@link Model.encode}.
 *
 * @example
 * ```ts
 * using view = await model.encode('photo.jpg')
 * const pets = await view.segment(['cat', 'dog', 'background'])
 * const red = await view.similarity('a red car')
 * ```
 */
export class View {
  /** Width of the upright picture in pixels. */
  readonly width: number
  /** Height of the upright picture in pixels. */
  readonly height: number
  /** Windows that were encoded. */
  readonly windows: number
  /** Memory of the features in bytes. */
  readonly byteLength: number

  readonly #native: NativeView
  readonly #model: EncodedBy
  readonly #options: ViewOptions
  readonly #source: SegmentationParts['source']

  /** @internal */
  constructor(
    native: NativeView,
    model: EncodedBy,
    options: ViewOptions,
    source: SegmentationParts['source'],
  ) {
    this.width = native.width
    this.height = native.height
    this.windows = native.windows
    this.byteLength = native.byteLength
    this.#native = native
    this.#model = model
    this.#options = options
    this.#source = source
  }

  /**
   * Labels every pixel by another vocabulary; no pass through the vision tower, and so of high priority unless
   * `priority` says otherwise.
   *
   * @param classes - as for {@link segment}
   * @throws {@link DeclipError} as {@link segment}
   */
  async segment(
    classes: ClassList | Vocabulary,
    options: ViewSegmentOptions = {},
  ): Promise<Segmentation> {
    return admit(soon(options), async call => {
      const start = performance.now()
      const method = resolveMethod({
        model: this.#model.facts,
        options: { ...this.#options, ...call },
      })
      const asked: Asked = {
        model: this.#model,
        method,
        start,
        encoded: async () => ({ answer: query => this.#native.segment(query) }),
        source: this.#source,
      }
      return ask(asked, classes, { ...call, text: call.text ?? this.#options.text })
    })
  }

  /**
   * Cosine of every pixel with a text: float32 [H, W], or [K, H, W] for a list of K texts.
   *
   * @param texts - taken as they are unless `templates` says otherwise
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG, ERR_DECLIP_ABORTED, ERR_DECLIP_BUSY, ERR_DECLIP_DISPOSED
   */
  async similarity(
    texts: string | readonly string[],
    options: CallOptions & Pick<VocabularyOptions, 'templates'> = {},
  ): Promise<Tensor> {
    return admit(soon(options), call => this.#similarity(texts, call))
  }

  /**
   * Where the picture is most like texts: the highest places of {@link View.similarity}, of all texts together best
   * first. Two peaks of one text are `minDistance` apart or more; the lower one of nearer ones is left out.
   *
   * The map is looked at in the resolution in which windows are blended, that of the resized picture: a place is as
   * exact as a pixel of that.
   *
   * @param texts - taken as they are unless `templates` says otherwise
   * @example
   * ```ts
   * using view = await model.encode('photo.jpg')
   * for (const { x, y, score } of await view.peaks('a cup', { limit: 3 })) console.log(x, y, score)
   * ```
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG, ERR_DECLIP_ABORTED, ERR_DECLIP_BUSY, ERR_DECLIP_DISPOSED
   */
  async peaks(texts: string | readonly string[], options: PeakOptions = {}): Promise<Peak[]> {
    return admit(soon(options), async call => {
      checkFields(call, PEAK_FIELDS)
      const { limit = 10, minScore = -1, minDistance } = call
      const flat = await this.#asked(texts, call, (job, text) =>
        this.#native.peaks({ ...job, text, limit, minScore, minDistance }),
      )
      const peaks: Peak[] = []
      for (let i = 0; i < flat.length; i += 4) {
        const [text, x, y, score] = flat.subarray(i, i + 4) as unknown as [
          number,
          number,
          number,
          number,
        ]
        peaks.push({ text, x, y, score })
      }
      return peaks.sort((a, b) => b.score - a.score)
    })
  }

  async #similarity(
    texts: string | readonly string[],
    options: Call & Pick<VocabularyOptions, 'templates'>,
  ): Promise<Tensor> {
    const planes = await this.#asked(texts, options, (job, text) =>
      this.#native.similarity({ ...job, text }),
    )
    if (typeof texts !== 'string') return new Tensor(planes)
    const plane = planes.reshape([this.height, this.width])
    planes.dispose()
    return new Tensor(plane)
  }

  /** What the native part answers to texts' features [K, D]. */
  async #asked<T>(
    texts: string | readonly string[],
    options: Call & Pick<VocabularyOptions, 'templates'>,
    run: (job: NativeCall, text: NativeTensor) => Promise<T>,
  ): Promise<T> {
    const list = typeof texts === 'string' ? [texts] : texts
    if (!Array.isArray(list) || list.length === 0 || list.some(t => typeof t !== 'string')) {
      throw invalid('texts', 'a text or a list of texts', texts)
    }
    const addon = loadAddon()
    const named = list.map(text => ({ text, owner: `text '${text}'` }))
    const { text, method = defaultMethod(this.#model.facts) } = this.#options
    const rows = await encodeTexts(
      await this.#model.wordsFor(method, text, options),
      named,
      options.templates ?? 'none',
      options,
    )
    const width = rows[0]?.length ?? 0
    const flat = new Float32Array(rows.length * width)
    for (const [i, row] of rows.entries()) flat.set(row, i * width)
    const features = addon.tensor(flat, [rows.length, width], 'float32')
    try {
      return await callNative(addon, options, job => run(job, features))
    } finally {
      features.dispose()
    }
  }

  /** Gives the features back; later use fails with ERR_DECLIP_DISPOSED. May be called again. */
  dispose(): void {
    this.#native.dispose()
  }

  /** As {@link View.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose()
  }
}
