/** Where the regions of pictures come from: the one way from everything that `masks` may be to a map of regions. */
import { stat } from 'node:fs/promises'
import { basename, extname, join } from 'node:path'
import { types } from 'node:util'
import { until } from '../base/abort.js'
import type { Call } from '../base/call.js'
import { ioError, toPath } from '../base/files.js'
import type { NativeTensor } from '../engine/addon-types.js'
import { callNative } from '../engine/call-native.js'
import { loadAddon } from '../engine/load-addon.js'
import { Tensor } from '../engine/tensor.js'
import { aborted, DeclipError, describe, invalid } from '../errors.js'
import type { DecodedImage } from '../image/decode.js'
import { labelPicture } from './label-picture.js'
import { checkTensor, isPicture, type MaskInput, ownMasks } from './mask-input.js'
import { readNpz } from './npz.js'
import { type MaskShape, nameShapes, packShapes } from './pack-shapes.js'

/** A picture whose masks are asked for. */
export interface MaskPicture {
  /** Where the picture came as a file; undefined of bytes, pixels and tensors. */
  readonly path?: string | undefined
  /** Width of the upright picture in pixels; masks are in these pixels. */
  readonly width: number
  /** Height of the upright picture in pixels. */
  readonly height: number
  /** The upright picture as RGB, three bytes a pixel, in memory of its own. */
  pixels(): Promise<DecodedImage>
  /** Fires when the masks are not needed any more. */
  readonly signal?: AbortSignal | undefined
}

/** Masks and what happens where they overlap. */
export interface OrderedMasks<Masks = PlainMasks> {
  /** The masks. */
  readonly masks: Masks
  /**
   * In which order masks are painted over each other, so that the last one wins: 'area' from the smallest to the
   * largest, as CorrCLIP paints SAM's masks; 'list' as they come; 'score' from the lowest to the highest of `scores`.
   * They are numbered from 1 on in this order. Label pictures and maps have no overlaps. Default 'area'.
   */
  readonly order?: 'area' | 'list' | 'score' | undefined
  /** One finite number per mask, for `order: 'score'`. */
  readonly scores?: readonly number[] | undefined
}

/**
 * Masks of one picture: {@link MaskInput}; a map of regions, int32 [H, W] with 0 outside of regions; or an `.npz` file
 * by its path or bytes.
 */
export type PlainMasks = MaskInput | NpzMasks

/**
 * An `.npz` file as NumPy writes it: the array `instance_mask`, or its only one. Whole numbers [H, W], 0 outside of
 * regions, or booleans [K, H, W].
 */
export interface NpzMasks {
  /** Path or bytes. */
  readonly npz: string | URL | Uint8Array
}

/** Makes the masks of one picture; see {@link MaskProvider}. */
export type MaskFunction = (
  picture: MaskPicture,
) => PlainMasks | OrderedMasks | Promise<PlainMasks | OrderedMasks>

/** What makes masks of any picture, such as samMasks() gives. */
export interface MaskMaker {
  /** What it is, for a run's settings. */
  readonly kind: string
  /** What its masks depend on, as JSON. */
  readonly settings?: unknown
  /** The masks of one picture. @internal */
  masksOf(picture: MaskPicture, call: Call): Promise<PlainMasks | OrderedMasks>
}

/** One source of masks without a word on their order. */
type Source = PlainMasks | MaskFunction | MaskMaker

/**
 * Where the masks of pictures come from:
 *
 * - masks of one picture ({@link MaskInput}), a map of regions as an int32 Tensor [H, W], or `{ npz }`;
 * - the path of an `.npz` file or a label picture;
 * - the path of a folder that has `<name>.npz` or `<name>.png` for every picture `<name>.jpg`, whatever its ending;
 * - a function that is asked once for every picture, or what samMasks() gives;
 * - `{ masks, order, scores }` around any of these, see {@link OrderedMasks}.
 *
 * Masks are in pixels of the upright picture. In a map of regions and in a label picture every value but 0 is a region.
 */
export type MaskProvider = Source | OrderedMasks<Source>

const ACCEPTED =
  'a uint8 Tensor [K, H, W] or an int32 one [H, W], a list of run lengths or polygons, a label picture (path, bytes, { data, width, height }), an .npz file, the path of a folder with <name>.npz or <name>.png for every picture, a function, samMasks(...), or { masks, order } around one of these'

/** Masks of one picture as they were found. @internal */
export interface FoundMasks {
  readonly masks: MaskInput
  readonly order: NonNullable<OrderedMasks['order']>
  readonly scores: readonly number[] | undefined
  /** What was made on the way, to be called when the masks were used. */
  dispose(): void
}

/**
 * Takes over what the caller may change, and refuses what is no provider.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG
 * @internal
 */
export function holdProvider(provider: MaskProvider): MaskProvider {
  if (isOrdered(provider)) {
    const { masks, order, scores } = provider
    if (isOrdered(masks)) throw invalid('masks.masks', ACCEPTED, masks)
    if (order !== undefined && !['area', 'list', 'score'].includes(order)) {
      throw invalid('masks.order', "'area', 'list' or 'score'", order)
    }
    if (scores !== undefined && !Array.isArray(scores)) {
      throw invalid('masks.scores', 'a list with a number for every mask', scores)
    }
    return { masks: holdSource(masks), order, scores: scores && [...scores] }
  }
  return holdSource(provider)
}

function holdSource(source: Source): Source {
  if (isNpz(source)) {
    const { npz } = source
    if (types.isUint8Array(npz)) return { npz: new Uint8Array(npz) }
    return { npz: toPath('masks.npz', npz) }
  }
  if (typeof source === 'function' || isMaker(source)) return source
  const isKnown = source instanceof Tensor || Array.isArray(source) || isPicture(source)
  if (!isKnown) throw invalid('masks', ACCEPTED, source)
  return ownMasks(source)
}

/** Whether it is asked for every picture, and may want its pixels. @internal */
export function asksForPixels(provider: MaskProvider): boolean {
  const source = isOrdered(provider) ? provider.masks : provider
  return typeof source === 'function' || isMaker(source)
}

/** A provider in a run's settings. @internal */
export function describeProvider(provider: MaskProvider): unknown {
  if (isOrdered(provider)) {
    const { masks, order } = provider
    return { from: describeProvider(masks), order: order ?? 'area' }
  }
  if (typeof provider === 'string' || provider instanceof URL) return 'files'
  if (typeof provider === 'function') return 'a function'
  if (isMaker(provider)) return { kind: provider.kind, settings: provider.settings }
  return 'given masks'
}

/**
 * The masks of a picture, wherever they come from; what waits is stopped by `call.signal`.
 *
 * @throws DeclipError naming the picture: what the provider threw (ERR_DECLIP_INVALID_ARG for what has no code of its
 * own), ERR_DECLIP_INVALID_ARG, ERR_DECLIP_IO, ERR_DECLIP_IMAGE; ERR_DECLIP_ABORTED
 * @internal
 */
export async function findMasks(
  provider: MaskProvider,
  picture: MaskPicture,
  call: Call,
): Promise<FoundMasks> {
  return naming(picture, call, () => find(provider, picture, call))
}

/**
 * The region of every pixel of a picture: int32 [height, width], 0 where it is not segmented. The caller disposes of
 * it.
 *
 * @param provider - as {@link holdProvider} gave it
 * @throws DeclipError as {@link findMasks}
 * @internal
 */
export async function toRegionMap(
  provider: MaskProvider,
  picture: MaskPicture,
  call: Call,
): Promise<NativeTensor> {
  return naming(picture, call, async () => {
    const found = await find(provider, picture, call)
    try {
      return await paint(found, picture, { ...call, onProgress: undefined })
    } finally {
      found.dispose()
    }
  })
}

/** Errors say which picture they are about. */
async function naming<T>(
  { path, width, height }: MaskPicture,
  { signal }: Call,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (signal?.aborted) throw aborted(signal)
    const name = path === undefined ? `a picture of ${width} x ${height}` : `picture '${path}'`
    const { message } = error as Error
    const code = error instanceof DeclipError ? error.code : 'ERR_DECLIP_INVALID_ARG'
    throw new DeclipError(code, `Masks of ${name}: ${message}`, { cause: error })
  }
}

async function find(provider: MaskProvider, picture: MaskPicture, call: Call): Promise<FoundMasks> {
  const { masks: source, order, scores } = isOrdered(provider) ? provider : { masks: provider }
  const made = await make(source, picture, call)
  const inner: OrderedMasks = isOrdered(made) ? made : { masks: made as PlainMasks }
  const { masks, dispose } = await read(inner.masks, picture, call)
  return {
    masks,
    order: order ?? inner.order ?? 'area',
    scores: scores ?? inner.scores,
    dispose,
  }
}

/** Asks functions and makers. */
async function make(
  source: Source,
  picture: MaskPicture,
  call: Call,
): Promise<PlainMasks | OrderedMasks> {
  if (typeof source !== 'function' && !isMaker(source)) return source
  if (call.signal?.aborted) throw aborted(call.signal)
  const work = async () => {
    const asked = typeof source === 'function' ? source(picture) : source.masksOf(picture, call)
    return holdProvider(await asked)
  }
  let made: MaskProvider
  try {
    made = await until(work(), call.signal)
  } catch (error) {
    if (call.signal?.aborted || error instanceof DeclipError) throw error
    const name = typeof source === 'function' ? 'the function' : source.kind
    const message = error instanceof Error ? error.message : describe(error)
    throw new DeclipError('ERR_DECLIP_INVALID_ARG', `${name} that makes them failed: ${message}`, {
      cause: error,
    })
  }
  const inner = isOrdered(made) ? made.masks : made
  if (typeof inner === 'function' || isMaker(inner)) {
    throw invalid('what makes masks', 'to give masks and not another function', inner)
  }
  return made as PlainMasks | OrderedMasks
}

/** Reads `.npz` files, and finds a picture's file in a folder. */
async function read(
  masks: PlainMasks,
  picture: MaskPicture,
  call: Call,
): Promise<Pick<FoundMasks, 'masks' | 'dispose'>> {
  const kept = (input: MaskInput) => ({ masks: input, dispose: () => {} })
  if (isNpz(masks)) return fromNpz(masks.npz, picture, call)
  if (typeof masks !== 'string' && !(masks instanceof URL)) return kept(masks)
  const path = await fileOf(toPath('masks', masks), picture)
  return extname(path).toLowerCase() === '.npz' ? fromNpz(path, picture, call) : kept(path)
}

async function fromNpz(
  npz: NpzMasks['npz'],
  picture: MaskPicture,
  call: Call,
): Promise<Pick<FoundMasks, 'masks' | 'dispose'>> {
  const isBytes = types.isUint8Array(npz)
  const source = isBytes ? npz : toPath('masks.npz', npz)
  const native = await readNpz(source, isBytes ? 'the .npz file' : String(source), picture, call)
  return { masks: new Tensor(native), dispose: () => native.dispose() }
}

/** Endings of files with masks, the first one that there is. */
const ENDINGS = ['.npz', '.png'] as const

/** The file itself, or that of the picture in a folder. */
async function fileOf(path: string, picture: MaskPicture): Promise<string> {
  if (!(await found(path))?.isDirectory()) return path
  if (picture.path === undefined) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `the masks in the folder ${path} are found by the picture's file name, and this picture is no file; pass its path, or its masks`,
    )
  }
  const stem = basename(picture.path, extname(picture.path))
  for (const ending of ENDINGS) {
    const file = join(path, stem + ending)
    if ((await found(file))?.isFile()) return file
  }
  throw new DeclipError(
    'ERR_DECLIP_IO',
    `there is neither ${stem}.npz nor ${stem}.png in the folder ${path}; make it, or leave the picture out`,
  )
}

async function found(path: string) {
  try {
    return await stat(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw ioError('read', path, error)
  }
}

async function paint(
  { masks, order, scores }: FoundMasks,
  size: MaskPicture,
  call: Call,
): Promise<NativeTensor> {
  const addon = loadAddon()
  const { width, height } = size
  if (masks instanceof Tensor) {
    if (isRegionMap(masks)) return checkMap(masks, size)
    const own = checkTensor(masks, size)
    try {
      const keys = keysOf(own.shape[0] as number, order, scores)
      return await callNative(addon, call, job => addon.paintMasks({ ...job, masks: own, keys }))
    } finally {
      own.dispose()
    }
  }
  if (Array.isArray(masks)) {
    const keys = keysOf(masks.length, order, scores)
    const packed = await packShapes(nameShapes(masks as readonly MaskShape[], size), call.signal)
    return callNative(addon, call, job =>
      addon.paintShapes({ ...job, ...packed.native, width, height, keys }),
    ).catch(packed.rename)
  }
  const labels = await labelPicture(
    masks as Exclude<MaskInput, Tensor | readonly MaskShape[]>,
    call,
  )
  if (labels.width !== width || labels.height !== height) {
    throw wrongSize('label picture', size, labels)
  }
  const dtype = types.isUint8Array(labels.data) ? 'uint8' : 'uint16'
  const values = addon.pooledTensor(labels.data, [height, width], dtype)
  try {
    return await values.to({ dtype: 'int32' })
  } finally {
    values.dispose()
  }
}

/** What masks are painted by; undefined: their areas. */
function keysOf(
  count: number,
  order: FoundMasks['order'],
  scores: readonly number[] | undefined,
): Float64Array | undefined {
  if (order === 'area') return undefined
  if (order === 'list') return Float64Array.from({ length: count }, (_, i) => i)
  if (scores?.length !== count || !scores.every(Number.isFinite)) {
    throw invalid(
      'scores',
      `a finite number for each of the ${count} masks, for order 'score'`,
      scores,
    )
  }
  return Float64Array.from(scores)
}

/** Whether a tensor says of every pixel which region it is. @internal */
export function isRegionMap({ dtype, shape }: Tensor): boolean {
  return dtype === 'int32' && shape.length === 2
}

function checkMap(map: Tensor, size: MaskPicture): NativeTensor {
  const [height, width] = map.shape as readonly [number, number]
  if (height !== size.height || width !== size.width) {
    throw wrongSize('map of regions', size, { width, height })
  }
  return map.native.slice(0, 0, height)
}

function wrongSize(
  what: string,
  { width, height }: MaskPicture,
  found: { readonly width: number; readonly height: number },
): DeclipError {
  return new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `masks must be a ${what} of the upright picture's size, ${width} x ${height}, received ${found.width} x ${found.height}.`,
  )
}

function isNpz(value: unknown): value is NpzMasks {
  return typeof value === 'object' && value !== null && 'npz' in value
}

function isMaker(value: unknown): value is MaskMaker {
  return typeof (value as Partial<MaskMaker> | null)?.masksOf === 'function'
}

function isOrdered<T>(value: T | OrderedMasks<T>): value is OrderedMasks<T> {
  return typeof value === 'object' && value !== null && 'masks' in value && !isMaker(value)
}
