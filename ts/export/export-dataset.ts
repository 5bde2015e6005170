import { resolve } from 'node:path'
import { ahead, iteratorOf, type Outcome } from '../base/ahead.js'
import { checkCall } from '../base/call.js'
import { checkFields } from '../base/field.js'
import { toPath } from '../base/files.js'
import { fingerprintOf } from '../base/fingerprint.js'
import { inShard, parseShard, type Shard } from '../base/shard.js'
import { againstBackground } from '../detect/background.js'
import { aborted, DeclipError, invalid, isOfEveryPicture } from '../errors.js'
import type { ImageInput } from '../image/decode.js'
import { describeProvider } from '../masks/provider.js'
import type { ResolvedMethod } from '../methods/resolve.js'
import type { Model } from '../model/model.js'
import type { SegmentationOf } from '../result/segmentation.js'
import { type Prepared, prepare } from '../segment/segment.js'
import { segmentMany } from '../segment/segment-many.js'
import type { ClassList } from '../words/options.js'
import { toVocabulary } from '../words/to-vocabulary.js'
import type { Vocabulary } from '../words/vocabulary.js'
import { type Exported, Exporter } from './exporter.js'
import type { ExportClass } from './format.js'
import { FORMATS } from './formats.js'
import { classLines } from './masks.js'
import { checkName, fileNames } from './names.js'
import { EXPORT_FIELDS, type ExportOptions, type ExportResult, type NamedImage } from './options.js'
import type { ExportSettings } from './settings.js'

/** Pictures whose files are written at a time. */
const WRITES = 4

/** Share of the pictures for validation, as is usual. */
const VALIDATION = 0.2

/** Addresses of files that Label Studio serves itself. */
const PREFIX = '/data/local-files/?d='

/**
 * Annotates pictures by words and writes a data set that annotation tools and trainers open: COCO, YOLO, index
 * PNGs, GeoJSON or Label Studio. Any number of pictures in bounded memory. What was done stays done when the
 * call ends early, whatever ended it: with `skipExisting` the same call goes on with the rest.
 *
 * Sizes and masks are those of the upright picture, as its EXIF orientation says; pictures are put into the data
 * set as they are.
 *
 * @param images - paths (called by their last part) or pictures with names, in a list or anything (async) iterable
 * @param classes - as for {@link segment}. Where none of them is the background, common words are put in front
 * as a class of their own; `background: false` leaves it out
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG, ERR_DECLIP_IO, and as {@link segmentMany}
 *
 * @example
 * ```ts
 * await exportDataset(['a.jpg', 'b.jpg'], ['dog', 'cup'], { to: 'coco', out: 'pets' })
 * ```
 */
export async function exportDataset(
  images: Iterable<string | NamedImage> | AsyncIterable<string | NamedImage>,
  classes: ClassList | Vocabulary,
  options: ExportOptions,
): Promise<ExportResult> {
  checkCall(options)
  const { onError, onPicture, onProgress } = options
  const given = Array.isArray(images) ? images.map(named) : undefined
  const iterator = iteratorOf('images', images)
  let [done, failed] = [0, 0]
  const result = await runExport(given ?? eachNamed(iterator), classes, options, async outcomes => {
    for await (const { item, result } of outcomes) {
      if (result.status === 'fulfilled') {
        done += 1
        onPicture?.({ name: item.name, annotations: result.value.annotations })
      } else if (onError && !isOfEveryPicture(result.reason)) {
        failed += 1
        onError(result.reason, item.name)
      } else throw result.reason
      onProgress?.({ step: 'pictures', done: done + failed, total: given?.length ?? 0 })
    }
  })
  return { ...result, done, failed }
}

/**
 * The same with the outcomes of the pictures for `take` to go through, which says what becomes of those that
 * failed. What ends the export is thrown by the iteration. The data set is finished when `take` has been given the
 * last one.
 *
 * @internal
 */
export async function runExport(
  images: readonly PlacedImage[] | AsyncIterable<PlacedImage>,
  classes: ClassList | Vocabulary,
  options: ExportOptions,
  take: (outcomes: AsyncIterable<Outcome<NamedImage, Exported>>) => Promise<void>,
): Promise<Pick<ExportResult, 'pictures' | 'skipped' | 'files'>> {
  const { shard, skipExisting = false, overwrite = false, signal, onProgress: _, ...rest } = options
  const out = resolve(checkOptions(options))
  const part = partOf(shard)
  const ready = await prepare({ ...rest, signal })
  const against = await againstBackground(classes, options)
  const { background } = against
  const words = await ready.model.wordsFor(ready.method.method, ready.options.text, ready.options)
  const vocabulary = await toVocabulary(words, against.classes, ready.method, {
    ...ready.options,
    background,
  })
  const owned = vocabulary !== classes
  try {
    const settings = await settingsOf(options, ready, vocabulary)
    if (settings.to === 'masks') classLines(settings)
    const exporter = { out, settings, shard: part, skipExisting, overwrite, signal }
    return await Exporter.run(exporter, async exporter => {
      const stage = new Stage(exporter, settings, images, part)
      await take(stage.outcomes(ready, vocabulary, signal))
      return { pictures: exporter.count, skipped: stage.skipped, files: stage.files }
    })
  } finally {
    if (owned) vocabulary.dispose()
  }
}

/** A picture, and what it is called in the data set where that was found out already. @internal */
export interface PlacedImage extends NamedImage {
  readonly file?: string | undefined
}

/** The way of pictures into one data set. */
class Stage {
  skipped = 0
  files: string[] = []
  readonly #exporter: Exporter
  readonly #images: readonly PlacedImage[] | AsyncIterable<PlacedImage>
  readonly #part: Shard | undefined
  readonly #files: ReadonlyMap<string, string>

  constructor(
    exporter: Exporter,
    settings: ExportSettings,
    images: readonly PlacedImage[] | AsyncIterable<PlacedImage>,
    part: Shard | undefined,
  ) {
    this.#exporter = exporter
    this.#images = images
    this.#part = part
    const names = Array.isArray(images) ? images.map(({ name }) => name) : []
    this.#files = fileNames(names, FORMATS[settings.to].usesStems)
  }

  async *outcomes(
    { model, options }: Prepared,
    vocabulary: Vocabulary,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Outcome<NamedImage, Exported>, void, undefined> {
    const segmented = this.#segmented(vocabulary, { ...options, model, signal })
    /** What cannot be written ends the export, whichever picture it was of. */
    let last: unknown
    const work = async ({ item, result }: Segmented): Promise<Exported> => {
      if (result instanceof DeclipError) throw result
      using segmentation = result
      const file = item.file ?? this.#files.get(item.name) ?? item.name
      const picture = { name: item.name, file, image: item.image }
      return await this.#exporter.add(picture, segmentation, signal).catch(error => {
        if ((error as DeclipError).code === 'ERR_DECLIP_IO') last = error
        throw error
      })
    }
    const abandon = () => {}
    for await (const { item, index, result } of ahead(segmented, work, {
      limit: WRITES,
      signal,
      abandon,
    })) {
      if (result.status === 'rejected' && result.reason === last) throw result.reason
      yield { item: item.item, index, result }
    }
    if (signal?.aborted) throw aborted(signal)
    // Of a part there is nothing to tell before it meets the others.
    if (!this.#part) this.files = await this.#exporter.finish(signal)
  }

  /** Labels of the pictures that are not there yet, in their order. */
  async *#segmented(
    vocabulary: Vocabulary,
    options: Prepared['options'],
  ): AsyncGenerator<Segmented, void, undefined> {
    const failed: Segmented[] = []
    const begun = new Map<number, PlacedImage>()
    let count = 0
    const inputs = async function* (this: Stage): AsyncGenerator<ImageInput> {
      for await (const item of this.#images) {
        if (this.#part && !inShard(item.name, this.#part)) continue
        if (this.#exporter.has(item.name)) {
          this.skipped += 1
          continue
        }
        begun.set(count++, item)
        yield item.image
      }
    }
    const take = (index: number) => {
      const item = begun.get(index) as PlacedImage
      begun.delete(index)
      return item
    }
    const onError = (error: DeclipError, _: ImageInput, index: number) => {
      failed.push({ item: take(index), result: error })
    }
    for await (const result of segmentMany(inputs.call(this), vocabulary, {
      ...options,
      logits: false,
      probabilities: false,
      onError,
    })) {
      yield* failed.splice(0)
      yield { item: take(result.index), result }
    }
    yield* failed
  }
}

/** A picture and its labels, or why there are none. */
interface Segmented {
  readonly item: PlacedImage
  readonly result: SegmentationOf<ImageInput> | DeclipError
}

function checkOptions(options: ExportOptions): string {
  checkCall(options)
  checkFields(options, EXPORT_FIELDS)
  if (options.to === undefined) throw invalid('to', EXPORT_FIELDS.to.range, options.to)
  const { to, pictures } = options
  if (pictures === 'none' && to === 'yolo') {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      "Ultralytics finds labels by the place of their pictures, so pictures must be 'copy', 'link' or 'symlink' for yolo.",
    )
  }
  if (options.overwrite && options.shard !== undefined) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      'overwrite would remove what other parts have written; remove the folder before the parts begin.',
    )
  }
  return toPath('out', options.out)
}

function partOf(shard: string | undefined): Shard | undefined {
  if (shard === undefined) return undefined
  const part = typeof shard === 'string' ? parseShard(shard) : undefined
  if (!part) throw invalid('shard', "'i/n' with i from 1 to n, such as '2/4'", shard)
  return part
}

async function settingsOf(
  options: ExportOptions,
  { model, method }: Prepared,
  vocabulary: Vocabulary,
): Promise<ExportSettings> {
  const { to, semantic = false, minArea = null, validation = VALIDATION } = options
  const { pictures = FORMATS[to].pictures, prefix = PREFIX } = options
  return {
    to,
    semantic,
    minArea,
    pictures,
    validation,
    prefix,
    hasPictures: pictures !== 'none',
    madeBy: `declip-native (${method.method})`,
    classes: classesOf(vocabulary),
    background: vocabulary.background,
    made: {
      ...(await madeWith(model, method, vocabulary)),
      ...(options.masks !== undefined && { masks: describeProvider(options.masks) }),
    },
  }
}

function classesOf({ classes, words, wordClass }: Vocabulary): ExportClass[] {
  return classes.map((name, label) => ({
    name,
    words: words.filter((_, q) => wordClass[q] === label),
  }))
}

/** Everything that a label depends on, but the picture. */
async function madeWith(
  model: Model,
  method: ResolvedMethod,
  { background, templates }: Vocabulary,
): Promise<Record<string, unknown>> {
  const { path, family, imageSize, patchSize, width, layers, dtype, denseMode } = model.info
  return {
    model: {
      fingerprint: await fingerprintOf(path),
      family,
      imageSize,
      patchSize,
      width,
      layers,
      dtype,
      denseMode,
    },
    method: method.method,
    dataset: method.dataset,
    pipeline: method.pipeline,
    postprocess: method.postprocess(background),
    templates,
    definitionWeight: method.definitionWeight,
  }
}

function named(image: string | NamedImage, index: number): NamedImage {
  if (typeof image === 'string') return { image, name: checkName(lastPart(image)) }
  if (typeof image === 'object' && image !== null && 'image' in image) {
    return { image: image.image, name: checkName(image.name) }
  }
  throw invalid(`images[${index}]`, 'a path or { image, name }', image)
}

function lastPart(path: string): string {
  return path.split(/[/\\]/).at(-1) ?? path
}

async function* eachNamed(
  images: Iterator<string | NamedImage> | AsyncIterator<string | NamedImage>,
): AsyncGenerator<NamedImage, void, undefined> {
  for (let index = 0; ; index++) {
    const { value, done } = await images.next()
    if (done) return
    yield named(value, index)
  }
}
