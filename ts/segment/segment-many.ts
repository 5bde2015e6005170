import { checkCall } from '../base/call.js'
import { aborted, type DeclipError, invalid } from '../errors.js'
import type { ImageInput } from '../image/decode.js'
import type { Segmentation } from '../result/segmentation.js'
import type { ClassList } from '../words/options.js'
import { toVocabulary } from '../words/to-vocabulary.js'
import type { Vocabulary } from '../words/vocabulary.js'
import type { SegmentOptions } from './options.js'
import { openPicture, prepare, segmentPicture } from './segment.js'

/** Pictures that are decoded or queued ahead of the one that {@link segmentMany} waits for. */
const AHEAD = 2

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
  const prepared = await prepare(options)
  const { model, method, options: ready } = prepared
  const { onError } = ready
  const vocabulary = await toVocabulary(model.textModel, classes, method, ready)

  // Leaving the loop early stops what is in flight.
  const stop = new AbortController()
  const signal = ready.signal ? AbortSignal.any([ready.signal, stop.signal]) : stop.signal
  const settings = { ...prepared, options: { ...ready, signal } }
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
        const start = performance.now()
        const picture = openPicture(next.value, { signal })
        const result = segmentPicture(picture, vocabulary, settings, start)
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
    if (vocabulary !== classes) vocabulary.dispose()
    if (more) await iterator.return?.()
  }
}

function iteratorOf<T>(images: Iterable<T> | AsyncIterable<T>): AsyncIterator<T> | Iterator<T> {
  if (typeof images === 'object' && images !== null && !ArrayBuffer.isView(images)) {
    if (Symbol.asyncIterator in images) return images[Symbol.asyncIterator]()
    if (Symbol.iterator in images) return images[Symbol.iterator]()
  }
  throw invalid('images', 'a list of pictures or anything iterable', images)
}
