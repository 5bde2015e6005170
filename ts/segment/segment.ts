import { checkCall } from '../base/call.js'
import { warnOnce } from '../base/warn.js'
import { callNative } from '../engine/call-native.js'
import { prepareAddon } from '../engine/load-addon.js'
import { Tensor } from '../engine/tensor.js'
import { aborted, type DeclipError, invalid } from '../errors.js'
import { sourceOrDefault } from '../hub/default-model.js'
import { type ImageInput, loadImage } from '../image/decode.js'
import { resolveMethod } from '../methods/resolve.js'
import { modelNamed } from '../model/load.js'
import { Model, sourceOf, toPixels } from '../model/model.js'
import { type Segmentation, toSegmentation } from '../result/segmentation.js'
import type { ClassList } from '../words/options.js'
import { toVocabulary } from '../words/to-vocabulary.js'
import type { Vocabulary } from '../words/vocabulary.js'
import type { SegmentOptions } from './options.js'

/** Pictures that are decoded or queued ahead of the one that {@link segmentMany} waits for. */
const AHEAD = 2

/**
 * Says for every pixel which of the classes it belongs to.
 *
 * @param image - a path, file URL, encoded bytes, Blob, raw pixels, ImageData, sharp instance, or a
 * normalised float tensor [1, 3, H, W] (which is not resized)
 * @param classes - one entry per class, 'name' or 'name, synonym, ...'; the path of a file with one
 * such line per class; or a {@link Vocabulary}
 * @param options - model, method and everything that overrides the method's preset
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG, ERR_DECLIP_IMAGE, ERR_DECLIP_IO, ERR_DECLIP_WEIGHTS,
 * ERR_DECLIP_OUT_OF_MEMORY, ERR_DECLIP_ABORTED, ERR_DECLIP_DISPOSED, and as {@link loadModel}
 *
 * @example
 * ```ts
 * const seg = await segment('photo.jpg', ['cat, feline', 'sofa', 'background'])
 * console.log(seg.classes, seg.areas)
 * ```
 */
export async function segment(
  image: ImageInput,
  classes: ClassList | Vocabulary,
  options: SegmentOptions = {},
): Promise<Segmentation> {
  const start = performance.now()
  checkCall(options)
  if (options.signal?.aborted) throw aborted(options.signal)
  // first, so that bytes and pixels are copied before the caller can change them
  const decoding = image instanceof Tensor ? undefined : timed(loadImage(image, options))
  decoding?.catch(() => {}) // reported below, after the model's own errors
  const addon = await prepareAddon()
  const model = await modelOf(options)
  model.checkTextSpace()
  const ready = await model.withProxy(options)
  const preset = resolveMethod({ model: model.facts, options: ready })
  warnOnce(preset.warning)
  const { value: vocabulary, ms: textMs } = await timed(
    toVocabulary(model.textModel, classes, preset, ready),
  )
  const { background } = vocabulary
  const { pipeline, post } = resolveMethod({ model: model.facts, options: ready, background })
  const decoded = await decoding
  const picture = decoded ? toPixels(decoded.value) : { tensor: (image as Tensor).native }
  const result = await callNative(
    addon,
    ready,
    call =>
      model.native.segment({
        ...call,
        picture,
        pipeline,
        post,
        text: vocabulary.features.native,
        wordClass: vocabulary.wordClass,
      }),
    ['encode', 'pixels'],
  )
  return toSegmentation(result, {
    classes: vocabulary.classes,
    background,
    timings: {
      decodeMs: decoded?.ms,
      textMs,
      encodeMs: result.encodeMs,
      pixelsMs: result.pixelsMs,
      totalMs: performance.now() - start,
    },
    source: () => sourceOf(image),
    addon,
  })
}

/** Options of {@link segmentMany}. */
export interface SegmentManyOptions extends SegmentOptions {
  /**
   * Told of a picture that failed, which is then left out; without it the first failure ends the
   * iteration. An abort always does.
   */
  onError?: ((error: DeclipError, image: ImageInput, index: number) => void) | undefined
}

/**
 * Segments pictures one after the other, in order, decoding the next ones meanwhile. Memory stays
 * bounded: at most two pictures are ahead of the one that is being consumed.
 *
 * @param images - a list, or anything (async) iterable
 * @param classes - as for {@link segment}; encoded once
 * @throws {@link DeclipError} as {@link segment}
 *
 * @example
 * ```ts
 * for await (const seg of segmentMany(paths, ['cat', 'dog', 'background'])) {
 *   console.log(seg.areas)
 *   seg.dispose()
 * }
 * ```
 */
export async function* segmentMany(
  images: Iterable<ImageInput> | AsyncIterable<ImageInput>,
  classes: ClassList | Vocabulary,
  options: SegmentManyOptions = {},
): AsyncGenerator<Segmentation, void, undefined> {
  checkCall(options)
  const iterator = iteratorOf(images)
  const model = await modelOf(options)
  model.checkTextSpace()
  const ready = await model.withProxy(options)
  const { onError, ...rest } = ready
  const preset = resolveMethod({ model: model.facts, options: ready })
  const vocabulary = await toVocabulary(model.textModel, classes, preset, ready)

  // Leaving the loop early stops what is in flight.
  const stop = new AbortController()
  const signal = ready.signal ? AbortSignal.any([ready.signal, stop.signal]) : stop.signal
  const settings = { ...rest, model, signal }
  const pending: { image: ImageInput; index: number; result: Promise<Segmentation> }[] = []
  let index = 0
  let more = true
  try {
    while (more || pending.length > 0) {
      while (more && pending.length <= AHEAD) {
        const next = await iterator.next()
        if (next.done) {
          more = false
          break
        }
        const result = segment(next.value, vocabulary, settings)
        result.catch(() => {}) // reported when its turn comes
        pending.push({ image: next.value, index: index++, result })
      }
      const first = pending.shift()
      if (!first) break
      let result: Segmentation
      try {
        result = await first.result
      } catch (error) {
        if (ready.signal?.aborted) throw aborted(ready.signal)
        if (!onError) throw error
        onError(error as DeclipError, first.image, first.index)
        continue
      }
      yield result
    }
  } finally {
    stop.abort()
    for (const { result } of pending) {
      result.then(
        unused => unused.dispose(),
        () => {},
      )
    }
    if (more) await iterator.return?.()
  }
}

async function modelOf(options: SegmentOptions): Promise<Model> {
  const { model, device, dtype, onProgress } = options
  if (model instanceof Model) return model
  if (model !== undefined && typeof model !== 'string') {
    throw invalid('model', 'a Model or what loadModel() takes', model)
  }
  return modelNamed(await sourceOrDefault(model), { device, dtype, onProgress })
}

function iteratorOf<T>(images: Iterable<T> | AsyncIterable<T>): AsyncIterator<T> | Iterator<T> {
  if (typeof images === 'object' && images !== null && !ArrayBuffer.isView(images)) {
    if (Symbol.asyncIterator in images) return images[Symbol.asyncIterator]()
    if (Symbol.iterator in images) return images[Symbol.iterator]()
  }
  throw invalid('images', 'a list of pictures or anything iterable', images)
}

async function timed<T>(promise: Promise<T>): Promise<{ value: T; ms: number }> {
  const start = performance.now()
  return { value: await promise, ms: performance.now() - start }
}
