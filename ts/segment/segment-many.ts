import { ahead, iteratorOf } from '../base/ahead.js'
import { checkCall } from '../base/call.js'
import { admit, refuseIfBusy } from '../engine/admission.js'
import { picturesInFlight } from '../engine/in-flight.js'
import { Tensor } from '../engine/tensor.js'
import { aborted, type DeclipError } from '../errors.js'
import type { ImageInput } from '../image/decode.js'
import type { SegmentationOf } from '../result/segmentation.js'
import type { ClassList } from '../words/options.js'
import { toVocabulary } from '../words/to-vocabulary.js'
import type { Vocabulary } from '../words/vocabulary.js'
import type { SegmentOptions } from './options.js'
import { openPicture, prepare, segmentPicture } from './segment.js'

/** Options of {@link segmentMany}. */
export interface SegmentManyOptions<Image extends ImageInput = ImageInput> extends SegmentOptions {
  /**
   * Told of a picture that failed, which is then left out; without it the first failure ends the
   * iteration. An abort always does.
   */
  onError?: ((error: DeclipError, image: Image, index: number) => void) | undefined
}

/**
 * Segments many pictures and gives the results in their order. Each says which picture it is of: `image`
 * is what was passed, `index` its place. The next ones are decoded and small ones computed side by
 * side meanwhile, while memory stays bounded: two pictures more are in flight than there are threads.
 *
 * @param images - a list, or anything (async) iterable
 * @param classes - as for {@link segment}; encoded once
 * @throws {@link DeclipError} as {@link segment}
 *
 * @example
 * ```ts
 * for await (const seg of segmentMany(paths, ['cat', 'dog', 'background'])) {
 *   console.log(seg.image, seg.areas)
 *   seg.dispose()
 * }
 * ```
 */
export async function* segmentMany<Image extends ImageInput>(
  images: Iterable<Image> | AsyncIterable<Image>,
  classes: ClassList | Vocabulary,
  options: SegmentManyOptions<Image> = {},
): AsyncGenerator<SegmentationOf<Image>, void, undefined> {
  checkCall(options)
  refuseIfBusy()
  const iterator = iteratorOf('images', images)
  const prepared = await prepare(options)
  const { model, method, options: ready } = prepared
  const { onError } = ready
  const words = await model.wordsFor(method.method, ready.text, ready)
  const vocabulary = await toVocabulary(words, classes, method, ready)

  // Leaving the loop early stops what is in flight.
  const stop = new AbortController()
  const signal = ready.signal ? AbortSignal.any([ready.signal, stop.signal]) : stop.signal
  // Parts of what was let in, so they are not refused themselves.
  const segmentOne = (image: Image, index: number) =>
    admit(
      { ...ready, signal },
      async options => {
        const start = performance.now()
        const picture = openPicture(image, options)
        try {
          const settings = { ...prepared, options }
          return await segmentPicture(picture, vocabulary, settings, start, { image, index })
        } finally {
          if (!(picture instanceof Tensor)) picture.close()
        }
      },
      { refusable: false },
    )
  const results = ahead(iterator, segmentOne, {
    limit: picturesInFlight(),
    signal: ready.signal,
    abandon: unused => unused.dispose(),
  })
  try {
    for await (const { item, index, result } of results) {
      if (result.status === 'fulfilled') yield result.value as SegmentationOf<Image>
      else if (ready.signal?.aborted) throw aborted(ready.signal)
      else if (onError) onError(result.reason as DeclipError, item, index)
      else throw result.reason
    }
  } finally {
    stop.abort()
    if (vocabulary !== classes) vocabulary.dispose()
  }
}
