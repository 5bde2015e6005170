import { mkdtempSync, rmSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { until } from '../base/abort.js'
import { ahead, iteratorOf } from '../base/ahead.js'
import { type Call, type CallOptions, callOf } from '../base/call.js'
import { ioError, toPath } from '../base/files.js'
import { withLock } from '../base/lock.js'
import { nativePath } from '../base/native-path.js'
import type { NativeBankRows, NativeTensor } from '../engine/addon-types.js'
import { admit } from '../engine/admission.js'
import { callNative } from '../engine/call-native.js'
import { picturesInFlight } from '../engine/in-flight.js'
import { loadAddon, prepareAddon } from '../engine/load-addon.js'
import { Tensor } from '../engine/tensor.js'
import { aborted, DeclipError, invalid, toDeclipError } from '../errors.js'
import { sourceOrDefault } from '../hub/default-model.js'
import type { ImageInput, PictureOptions } from '../image/decode.js'
import { PICTURE_ENDING } from '../image/format.js'
import { openImage } from '../image/source.js'
import { holdProvider, type MaskProvider } from '../masks/provider.js'
import { METHOD_NAMES } from '../methods/list.js'
import type { PipelineOptions } from '../methods/options.js'
import { type ResolvedMethod, resolveMethod } from '../methods/resolve.js'
import { modelNamed } from '../model/load.js'
import { Model } from '../model/model.js'
import { placeRegions } from '../model/picture-regions.js'
import { type About, describeModel, isSame, KEYS } from './about.js'
import { type Bank, openBank } from './bank.js'

/** A picture and what it is called in the bank. */
export interface NamedPicture {
  /** Unique in the bank. */
  readonly name: string
  readonly image: ImageInput
}

/** What {@link buildBank} takes as pictures. */
export type BankImages =
  | string
  | URL
  | Iterable<string | URL | NamedPicture>
  | AsyncIterable<string | URL | NamedPicture>

/** Options of {@link buildBank}. */
export interface BuildBankOptions
  extends CallOptions,
    PictureOptions,
    Omit<PipelineOptions, 'bank' | 'bankNeighbours' | 'bankShare'> {
  /** The CLIP model that will segment: a loaded one, or what {@link loadModel} takes. */
  model?: Model | string | undefined
  /** Regions of every picture, or where they come from: see {@link MaskProvider}. No classes are needed. */
  masks: MaskProvider
  /**
   * The vision foundation model that makes the keys, and with which pictures will be segmented as `proxy.model`.
   * Default: `proxy.model`; without that, which is ours, the CLIP model's own dense features.
   */
  keys?: Model | string | undefined
  /** Further CLIP models whose values are kept; see `bankWords`. */
  valuesOf?: Model | readonly Model[] | undefined
  /** The bank's file: pictures that it lacks are added. Default: a temporary one, which dispose() removes. */
  out?: string | URL | undefined
  /** Told of a picture that failed, which is then left out; without it the first failure ends the call. */
  onError?: ((error: DeclipError, name: string) => void) | undefined
}

/** How CorrCLIP's authors make values, beside what method 'corrclip' says. */
const PUBLISHED = { shortSide: 448, longSide: 2048, window: 336, stride: 112, padTo: 56 } as const

/** What is not yet in the file is written after so many ms or regions. */
const EVERY = 5000
const MOST_REGIONS = 8192

/**
 * Makes a bank of unlabelled pictures: for every region of every picture a key by which a foundation model finds it
 * again, and a value, what the CLIP model sees there. Words then score regions of a new picture together with those
 * that look like them: `segment(picture, words, { bank })`.
 *
 * With `out` a bank grows: pictures whose names it has are passed over, ids of regions never change, and what was
 * written stays where the process is killed. One process at a time.
 *
 * @param images - a folder, which is searched with those below it; or paths, or `{ name, image }`. Names of files are
 * those without folder and ending; the first of a name counts. Folders and lists of paths are taken in order of name.
 * @throws {@link DeclipError} as {@link segment}; ERR_DECLIP_INVALID_ARG for a file that was built in another way or
 * is being built by another process
 *
 * @example
 * ```ts
 * using bank = await buildBank('photos', { model, proxy: { model: dino }, masks: 'masks', out: 'photos.bank' })
 * console.log(bank.size)
 * ```
 */
export async function buildBank(images: BankImages, options: BuildBankOptions): Promise<Bank> {
  return admit(options, call => build(images, call), { counts: false })
}

/** What makes rows. */
interface Maker {
  readonly model: Model
  readonly method: ResolvedMethod
}

async function build(images: BankImages, call: Call & BuildBankOptions): Promise<Bank> {
  if (call.masks === undefined) {
    throw invalid('masks', 'where the regions of every picture come from', call.masks)
  }
  const masks = holdProvider(call.masks)
  await prepareAddon()
  const loaded = await makersOf(call)
  const about = await aboutOf(loaded)
  const temporary = call.out === undefined
  const folder = temporary ? mkdtempSync(join(tmpdir(), 'declip-bank-')) : undefined
  const release = folder ? () => rmSync(folder, { recursive: true, force: true }) : undefined
  const file = folder ? join(folder, 'bank') : toPath('out', call.out as string | URL)
  const busy = () => {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `${file} is being built by another process (${file}.lock says which); wait until it has ended, or build another file and use both.`,
    )
  }
  try {
    return await withLock(`${file}.lock`, { signal: call.signal, onWait: busy }, () =>
      grow(file, images, { ...call, masks }, loaded, about, release),
    )
  } catch (error) {
    release?.()
    throw (error as NodeJS.ErrnoException).syscall ? ioError('write', file, error) : error
  }
}

/** Adds what is missing to a bank's file and opens it. */
async function grow(
  file: string,
  images: BankImages,
  call: Call & BuildBankOptions,
  { makers, keyModel }: Loaded,
  about: About,
  release: (() => void) | undefined,
): Promise<Bank> {
  const writer = new Writer(file, about, call)
  await writer.start()
  const { pictures, total } = await picturesOf(images, writer.names)
  const stop = new AbortController()
  const signal = call.signal ? AbortSignal.any([call.signal, stop.signal]) : stop.signal
  const results = ahead(
    pictures,
    picture =>
      admit(
        { ...callOf(call), signal, onProgress: undefined },
        one => rowsOf(picture, makers, keyModel, { ...call, ...one, masks: call.masks }),
        { refusable: false },
      ),
    { limit: picturesInFlight(), signal: call.signal, abandon: disposeRows },
  )
  let done = 0
  try {
    for await (const { item, result } of results) {
      done += 1
      if (result.status === 'fulfilled') await writer.add(item.name, result.value)
      else if (call.signal?.aborted) throw aborted(call.signal)
      else if (call.onError) call.onError(toDeclipError(result.reason), item.name)
      else throw result.reason
      call.onProgress?.({ step: 'bank', done, total })
    }
  } finally {
    stop.abort()
    // What was made is kept whatever ended the loop.
    await writer.end()
  }
  return openBank(file, call, release)
}

/** Rows of one picture; the caller disposes of them. */
interface Rows {
  readonly keys: NativeTensor
  /** Of every encoder. */
  readonly values: readonly NativeTensor[]
}

function disposeRows({ keys, values }: Rows): void {
  keys.dispose()
  for (const tensor of values) tensor.dispose()
}

async function rowsOf(
  { image }: NamedPicture,
  makers: readonly Maker[],
  keyModel: Model,
  call: Call & BuildBankOptions,
): Promise<Rows> {
  const addon = loadAddon()
  const [first] = makers as readonly [Maker, ...Maker[]]
  const opened = image instanceof Tensor ? image : openImage(image, call)
  try {
    const placed = await placeRegions(opened, first.method.pipeline, { ...call, whole: true })
    const { regions } = placed.pipeline
    const values: NativeTensor[] = []
    let keys: NativeTensor | null = null
    try {
      for (const { model, method } of makers) {
        const rows = await callNative(addon, { ...call, onProgress: undefined }, job =>
          model.native.pictureRows({
            ...job,
            picture: placed.ready,
            pipeline: { ...method.pipeline, regions },
            keyModel: keys === null ? keyModel.native : undefined,
          }),
        )
        values.push(rows.values)
        keys ??= rows.keys
      }
      return { keys: keys as unknown as NativeTensor, values }
    } catch (error) {
      for (const tensor of [...values, ...(keys ? [keys as NativeTensor] : [])]) tensor.dispose()
      throw error
    } finally {
      placed.dispose()
    }
  } finally {
    if (!(opened instanceof Tensor)) opened.close()
  }
}

/** Rows on their way into the file, in the order of pictures. */
class Writer {
  /** Of the pictures that are there already. */
  readonly names = new Set<string>()
  #isThere = false
  #waiting: { name: string; rows: Rows }[] = []
  #regions = 0
  #since = performance.now()

  constructor(
    readonly file: string,
    readonly about: About,
    readonly call: Call,
  ) {}

  /** @throws DeclipError for a file that was built in another way */
  async start(): Promise<void> {
    const there = await stat(this.file).catch(() => undefined)
    if (!there) return
    using bank = await openBank(this.file, this.call)
    this.#isThere = true
    const own = [this.about.keys, ...this.about.values]
    const found = [bank.about.keys, ...bank.about.values]
    const other = own.findIndex((part, i) => !found[i] || !isSame(part, found[i]))
    if (other >= 0 || own.length !== found.length) {
      const what = other === 0 ? 'keys' : 'values'
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `${this.file} holds ${what} that were made in another way (${JSON.stringify(found[Math.max(other, 0)])}) than those that would be added (${JSON.stringify(own[Math.max(other, 0)])}). Build with the same models and options, or into another file.`,
      )
    }
    for (const { name } of await bank.pictures()) this.names.add(name)
    // Paths of models may have changed; the file's words for them stay.
    Object.assign(this, { about: bank.about })
  }

  async add(name: string, rows: Rows): Promise<void> {
    const regions = rows.keys.shape[0] as number
    if (regions === 0) return disposeRows(rows)
    this.#waiting.push({ name, rows })
    this.#regions += regions
    if (this.#regions >= MOST_REGIONS || performance.now() - this.#since >= EVERY) {
      await this.#write()
    }
  }

  /** Writes the rest, and a bank without regions where there is none. */
  async end(): Promise<void> {
    await this.#write()
    if (this.#isThere) return
    const addon = loadAddon()
    const widths = [this.about.keys.width, ...this.about.values.map(({ width }) => width)]
    const empty = widths.map(width => addon.tensor(new Float32Array(0), [0, width], 'float32'))
    const [keys, ...values] = empty as [NativeTensor, ...NativeTensor[]]
    await this.#send({ names: [], counts: [], keys: [keys], values: values.map(v => [v]) })
    for (const tensor of empty) tensor.dispose()
  }

  async #write(): Promise<void> {
    const waiting = this.#waiting
    this.#waiting = []
    this.#regions = 0
    if (waiting.length > 0) {
      try {
        await this.#send({
          names: waiting.map(({ name }) => name),
          counts: waiting.map(({ rows }) => rows.keys.shape[0] as number),
          keys: waiting.map(({ rows }) => rows.keys),
          values: this.about.values.map((_, i) =>
            waiting.map(({ rows }) => rows.values[i] as NativeTensor),
          ),
        })
      } finally {
        for (const { rows } of waiting) disposeRows(rows)
      }
    }
    this.#since = performance.now()
  }

  async #send(rows: NativeBankRows): Promise<void> {
    const addon = loadAddon()
    const about = JSON.stringify(this.about)
    const path = nativePath(this.file)
    // Not stopped by the caller's signal: what was made is kept.
    await callNative(addon, {}, job => addon.addToBank({ ...job, ...rows, path, about }))
    this.#isThere = true
  }
}

interface Loaded {
  readonly makers: readonly Maker[]
  readonly keyModel: Model
}

async function makersOf(call: Call & BuildBankOptions): Promise<Loaded> {
  const { valuesOf = [], ...given } = call
  const model = await until(modelOf(call.model, call, 'model'), call.signal)
  model.checkTextSpace()
  const ready = await until(model.withProxy(given), call.signal)
  const proxy = ready.proxy?.model as Model | undefined
  const models = [model, ...(Array.isArray(valuesOf) ? valuesOf : [valuesOf as Model])]
  const makers = models.map((one, i) => {
    if (!(one instanceof Model)) throw invalid('valuesOf', 'loaded models', one)
    if (i > 0) one.checkTextSpace()
    return { model: one, method: resolveMethod({ model: one.facts, options: optionsFor(ready) }) }
  })
  const keys = call.keys === undefined ? (proxy ?? model) : await modelOf(call.keys, call, 'keys')
  return { makers, keyModel: keys }
}

/** CorrCLIP's own way where there is a foundation model to make its attention. */
function optionsFor(ready: BuildBankOptions & Call): PipelineOptions {
  const { masks: _, ...options } = ready
  const own: string | undefined = options.method ?? options.mode ?? options.denseMode
  const isPublished = (METHOD_NAMES as readonly string[]).includes('corrclip')
  if (own === undefined && ready.proxy !== undefined && isPublished) {
    return corrclipOptions(options)
  }
  return own === 'corrclip' ? corrclipOptions(options) : options
}

function corrclipOptions(options: PipelineOptions): PipelineOptions {
  const { corrclip, proxy, ...rest } = options as PipelineOptions & {
    corrclip?: object
  }
  return {
    ...PUBLISHED,
    ...Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)),
    method: 'corrclip',
    corrclip: { ...corrclip, merge: false },
    ...(proxy && { proxy: { part: 'query-key', ...proxy } }),
  } as object as PipelineOptions
}

async function modelOf(
  given: Model | string | undefined,
  { onProgress }: Call,
  name: string,
): Promise<Model> {
  if (given instanceof Model) return given
  if (given !== undefined && typeof given !== 'string') {
    throw invalid(name, 'a Model or what loadModel() takes', given)
  }
  return modelNamed(await sourceOrDefault(given), { onProgress })
}

async function aboutOf({ makers, keyModel }: Loaded): Promise<About> {
  const values = makers.map(async ({ model, method }) => {
    const { dense, ...pipeline } = method.pipeline
    const { proxyModel, proxyFeatures: _, ...mode } = dense
    const proxy = proxyModel && (await printOfProxy(proxyModel.info))
    return {
      width: model.info.embedDim,
      model: await describeModel(model),
      how: JSON.parse(JSON.stringify({ ...pipeline, dense: { ...mode, proxy } })),
    }
  })
  return {
    keys: { width: keyModel.info.embedDim, model: await describeModel(keyModel), how: KEYS },
    values: await Promise.all(values),
  }
}

async function printOfProxy(info: Model['native']['info']): Promise<string | null> {
  return (await describeModel({ info })).fingerprint
}

/** Pictures that are not there yet, and how many; 0 where that is not known. */
async function picturesOf(
  images: BankImages,
  known: Set<string>,
): Promise<{ pictures: Iterator<NamedPicture> | AsyncIterator<NamedPicture>; total: number }> {
  if (typeof images === 'string' || images instanceof URL) {
    const pictures = sorted(await inFolder(toPath('images', images)), known)
    return { pictures: pictures.values(), total: pictures.length }
  }
  if (Array.isArray(images)) {
    const isFiles = images.every(one => typeof one === 'string' || one instanceof URL)
    const named = images.map(nameOf)
    const pictures = isFiles ? sorted(named, known) : [...unknownOf(named, known)]
    return { pictures: pictures.values(), total: pictures.length }
  }
  const iterator = iteratorOf<string | URL | NamedPicture>('images', images)
  return { pictures: asTheyCome(iterator, known), total: 0 }
}

function nameOf(given: string | URL | NamedPicture): NamedPicture {
  if (typeof given === 'string' || given instanceof URL) {
    const path =
      given instanceof URL && given.protocol === 'file:' ? fileURLToPath(given) : `${given}`
    return { name: basename(path, extname(path)), image: given }
  }
  if (typeof given?.name === 'string' && given.name !== '' && given.image !== undefined)
    return given
  throw invalid('images', 'paths, or { name, image } of pictures that are no files', given)
}

function sorted(pictures: readonly NamedPicture[], known: Set<string>): NamedPicture[] {
  const order = pictures.map((picture, i) => ({ picture, i }))
  order.sort(({ picture: a, i }, { picture: b, i: j }) =>
    a.name < b.name ? -1 : a.name > b.name ? 1 : i - j,
  )
  return [
    ...unknownOf(
      order.map(({ picture }) => picture),
      known,
    ),
  ]
}

/** The first picture of each name that the bank lacks. */
function* unknownOf(
  pictures: Iterable<NamedPicture>,
  known: Set<string>,
): Generator<NamedPicture, void, undefined> {
  for (const picture of pictures) {
    if (known.has(picture.name)) continue
    known.add(picture.name)
    yield picture
  }
}

async function* asTheyCome(
  iterator: Iterator<string | URL | NamedPicture> | AsyncIterator<string | URL | NamedPicture>,
  known: Set<string>,
): AsyncGenerator<NamedPicture, void, undefined> {
  try {
    for (;;) {
      const { done, value } = await iterator.next()
      if (done) return
      yield* unknownOf([nameOf(value)], known)
    }
  } finally {
    await iterator.return?.()
  }
}

async function inFolder(folder: string): Promise<NamedPicture[]> {
  let entries: Awaited<ReturnType<typeof listed>>
  try {
    entries = await listed(folder)
  } catch (error) {
    throw ioError('read', folder, error)
  }
  const found = entries
    .filter(entry => !entry.isDirectory() && PICTURE_ENDING.test(entry.name))
    .map(({ parentPath, name }) => join(parentPath, name))
    .sort()
  if (found.length > 0) return found.map(nameOf)
  throw new DeclipError(
    'ERR_DECLIP_IO',
    `There are no pictures in ${folder}; a bank is made of the JPEG, PNG, WebP, TIFF, AVIF and GIF files in a folder and those below it.`,
  )
}

function listed(folder: string) {
  return readdir(folder, { recursive: true, withFileTypes: true })
}
