import { readFile } from 'node:fs/promises'
import { types } from 'node:util'
import type { Sharp, SharpConstructor, SharpOptions } from 'sharp'
import { onAbort } from '../base/abort.js'
import { ioError, toPath } from '../base/files.js'
import type { NativePixels } from '../engine/addon-types.js'
import { loadedAddon } from '../engine/load-addon.js'
import type { Tensor } from '../engine/tensor.js'
import { aborted, DeclipError, describe, invalid } from '../errors.js'
import { foreignFormat, pictureFormat, READ_FORMATS } from './format.js'
import { type TiffSamples, tiffSamples } from './tiff.js'
import { floatsToBytes, ycbcrToRgb } from './tiff-colors.js'

/** Pixels as they are: 8 bits per channel, row by row, channels interleaved; also an `ImageData`. */
export interface RawImage {
  /** height x width x channels bytes. */
  readonly data: Uint8Array | Uint8ClampedArray
  /** In pixels. */
  readonly width: number
  /** In pixels. */
  readonly height: number
  /** 1 grey, 3 RGB, 4 RGBA (alpha is dropped). Default: what the length of `data` tells. */
  readonly channels?: 1 | 3 | 4 | undefined
}

/** An object that encodes itself, such as a sharp instance or a canvas. */
export interface ImageEncoder {
  toBuffer(): Uint8Array | Promise<Uint8Array>
}

/**
 * A picture: path, file URL, the bytes of an encoded file (JPEG, PNG, WebP, AVIF, TIFF, GIF), raw
 * pixels, a sharp instance, or a normalised float tensor [B, 3, H, W]. An SVG drawing has no pixels
 * and is refused; nothing is downloaded.
 */
export type ImageInput =
  | string
  | URL
  | Uint8Array
  | ArrayBuffer
  | SharedArrayBuffer
  | Blob
  | RawImage
  | ImageEncoder
  | Tensor

/** RGB pixels: height x width x 3 bytes, row by row. */
export interface DecodedImage {
  readonly data: Uint8Array
  /** In pixels. */
  readonly width: number
  /** In pixels. */
  readonly height: number
}

/** Pixels as a decoder gave them: 1, 3 or 4 interleaved channels. */
interface Pixels extends DecodedImage {
  readonly channels: number
}

/** A picture in the form that the native part takes. @internal */
export interface NativeImage {
  readonly pixels: NativePixels
  /** In pixels. */
  readonly width: number
  /** In pixels. */
  readonly height: number
  /** To be called once no native call needs it any more. */
  dispose(): void
}

const ACCEPTED =
  'a path, a file URL, the bytes of an encoded picture, a Blob, raw pixels { data, width, height, channels }, ' +
  'ImageData, a sharp instance or a Tensor'

/**
 * Decodes a picture to 8-bit RGB as OpenCV's colour decode does: EXIF orientation applied, alpha
 * dropped (not blended), grey repeated, the high byte of 16 bits, the first frame of an animation.
 * The colour profile of an RGB picture is ignored; CMYK is converted by its profile.
 *
 * @param input - anything of {@link ImageInput} but a Tensor; bytes and pixels are copied at once
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG, ERR_DECLIP_IO, ERR_DECLIP_IMAGE or
 * ERR_DECLIP_ABORTED
 * @internal
 */
export async function loadImage(
  input: Exclude<ImageInput, Tensor>,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<DecodedImage> {
  const { data, channels, width, height } = await loadPixels(input, options)
  return { data: expand(data, channels), width, height }
}

/**
 * As {@link loadImage}, for the native part: it reads a decoder's own buffer where it lies, and turns
 * grey and alpha into RGB off this thread. Raw pixels are copied into its pooled memory, because
 * fresh memory costs several times what the copy does.
 *
 * @internal
 */
export async function loadNative(
  input: Exclude<ImageInput, Tensor>,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<NativeImage> {
  const addon = loadedAddon()
  if (addon && typeof input === 'object' && !isEncoder(input) && isRaw(input)) {
    if (options.signal?.aborted) throw aborted(options.signal)
    const { data, width, height, channels } = checkRaw(input)
    // Native code cannot read shared memory.
    const own = data.buffer instanceof SharedArrayBuffer ? data.slice() : data
    const pixels = addon.pooledTensor(own, [height, width, channels], 'uint8')
    return { pixels: { pixels }, width, height, dispose: () => pixels.dispose() }
  }
  const { data: pixels, width, height } = await loadPixels(input, options)
  return { pixels: { pixels, width, height }, width, height, dispose: () => {} }
}

/** The pixels of a picture for the native part as RGB in memory of their own. @internal */
export async function copyOut({ pixels, width, height }: NativeImage): Promise<DecodedImage> {
  const given = pixels.pixels
  const data =
    given instanceof Uint8Array ? new Uint8Array(given) : new Uint8Array(await given.data())
  return { data: expand(data, data.length / (width * height)), width, height }
}

async function loadPixels(
  input: Exclude<ImageInput, Tensor>,
  { signal }: { signal?: AbortSignal | undefined },
): Promise<Pixels> {
  if (signal?.aborted) throw aborted(signal)
  if (typeof input === 'string' || input instanceof URL) return loadFile(input, signal)
  if (types.isAnyArrayBuffer(input) || types.isUint8Array(input)) {
    return decode(copyBytes(input), 'the encoded picture', signal)
  }
  if (input instanceof Blob) {
    const name = input instanceof File && input.name ? input.name : 'the Blob'
    return decode(new Uint8Array(await until(input.arrayBuffer(), signal)), name, signal)
  }
  if (isEncoder(input)) return loadEncoder(input, signal)
  if (isRaw(input)) {
    const raw = checkRaw(input)
    return { ...raw, data: new Uint8Array(raw.data) }
  }
  throw invalid('image', ACCEPTED, input)
}

async function loadFile(input: string | URL, signal?: AbortSignal): Promise<Pixels> {
  if (isAddress(input)) throw refuseDownload(input)
  const path = toPath('image', /^file:/i.test(String(input)) ? parseUrl(input) : input)
  let bytes: Uint8Array
  try {
    bytes = await readFile(path, { signal })
  } catch (error) {
    throw signal?.aborted ? aborted(signal) : ioError('read', path, error)
  }
  return decode(bytes, path, signal)
}

/** Whether a text names something that is not on this machine's disks. @internal */
export function isAddress(input: string | URL): boolean {
  return /^(https?|data|blob|ftp|s3|gs):/i.test(String(input))
}

/** @internal */
export function refuseDownload(address: string | URL): DeclipError {
  return new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `image must be a local file, received ${describe(String(address))}: nothing is downloaded here. ` +
      'Fetch it first and pass the bytes: new Uint8Array(await (await fetch(url)).arrayBuffer()), or ' +
      'on a command line: curl -fsSL <address> | declip segment - ...',
  )
}

function parseUrl(input: string | URL): URL {
  try {
    return new URL(input)
  } catch {
    throw invalid('image', 'a path or a file URL', input)
  }
}

/**
 * A copy that JavaScript cannot change, detach or share with another thread while the decoder's own
 * thread reads it.
 */
function copyBytes(input: ArrayBufferLike | Uint8Array): Uint8Array {
  if (input.byteLength === 0) return new Uint8Array() // also a detached buffer
  return new Uint8Array(types.isUint8Array(input) ? input : new Uint8Array(input))
}

/** The module sharp, which loads its native part only here. @internal */
export async function loadSharp(
  load: () => Promise<{ default: SharpConstructor }> = () => import('sharp'),
): Promise<SharpConstructor> {
  try {
    return (await load()).default
  } catch (error) {
    const reason = error instanceof Error ? error.message.trim().split('\n')[0] : String(error)
    throw new DeclipError(
      'ERR_DECLIP_IMAGE',
      `Encoded pictures and overlays need the package sharp, which could not be loaded (${reason}). ` +
        'Install it for this platform (npm install --include=optional sharp), or decode the picture ' +
        'yourself and pass raw pixels: { data, width, height, channels }.',
      { cause: error },
    )
  }
}

const DECODER: SharpOptions = { failOn: 'error', autoOrient: true, ignoreIcc: true }

async function decode(
  bytes: Uint8Array,
  name: string,
  signal: AbortSignal | undefined,
): Promise<Pixels> {
  if (bytes.length === 0) {
    throw new DeclipError(
      'ERR_DECLIP_IMAGE',
      `Cannot decode ${name}: it is empty. Expected the bytes of a picture (${READ_FORMATS} are read); ` +
        'a buffer may have been transferred to another thread.',
    )
  }
  const format = pictureFormat(bytes)
  if (!format) {
    throw decodeError(name, `${foreignFormat(bytes)}. ${READ_FORMATS} are read`)
  }
  const sharp = await loadSharp()
  try {
    const picture = sharp(bytes, DECODER)
    return await (format === 'tiff'
      ? renderTiff(picture, tiffSamples(bytes), signal)
      : render(picture, signal))
  } catch (error) {
    if (error instanceof DeclipError) throw error
    throw decodeError(name, (await pixelLimit(sharp, bytes, error)) ?? reasonOf(error), error)
  }
}

/** The pixels of a sharp pipeline. */
async function render(pipeline: Sharp, signal: AbortSignal | undefined): Promise<Pixels> {
  const pixels = pipeline.removeAlpha().toColourspace('srgb').raw({ depth: 'uchar' })
  const { data, info } = await until(pixels.toBuffer({ resolveWithObject: true }), signal)
  const { width, height, channels } = info
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return { data: bytes, width, height, channels }
}

async function renderTiff(
  picture: Sharp,
  samples: TiffSamples,
  signal: AbortSignal | undefined,
): Promise<Pixels> {
  if (samples.kind === 'decoded') return render(picture, signal)
  if (samples.kind === 'ycbcr') {
    const { data, width, height } = await render(picture, signal)
    return { data: await ycbcrToRgb(data, width, height, samples), width, height, channels: 3 }
  }
  // Left in its own space: floats count as linear light, and would get a gamma on the way to sRGB.
  const space = samples.grey ? 'b-w' : 'scrgb'
  const pixels = picture.removeAlpha().pipelineColourspace(space).toColourspace(space)
  const floats = pixels.raw({ depth: 'float' }).toBuffer({ resolveWithObject: true })
  const { data, info } = await until(floats, signal)
  const { width, height } = info
  const values = new Float32Array(data.buffer, data.byteOffset, data.length / 4)
  return { data: await floatsToBytes(values, width, height), width, height, channels: 3 }
}

function decodeError(name: string, reason: string, cause?: unknown): DeclipError {
  return new DeclipError('ERR_DECLIP_IMAGE', `Cannot decode ${name}: ${reason}.`, { cause })
}

/** The decoder's first line that says something; libheif's reader reports every failed seek. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  const lines = message.split('\n').filter(line => !line.startsWith('source: bad seek'))
  return (lines[0] ?? message).replace('Input buffer', 'it').replace(/[\s:.]+$/, '')
}

/** The reason of a picture that is too large, with its size. */
async function pixelLimit(
  sharp: SharpConstructor,
  bytes: Uint8Array,
  error: unknown,
): Promise<string | undefined> {
  if (!(error instanceof Error && error.message.includes('exceeds pixel limit'))) return undefined
  const { width, height } = await sharp(bytes, { limitInputPixels: false }).metadata()
  return (
    `it has ${width} x ${height} pixels, more than the limit of 268 million; make it smaller, or ` +
    'decode it yourself and pass raw pixels'
  )
}

async function loadEncoder(input: ImageEncoder, signal: AbortSignal | undefined): Promise<Pixels> {
  const name = `the picture of ${describe(input)}`
  try {
    // A sharp instance would encode with loss, so its pixels are asked for.
    if (isSharp(input)) return await render(input.clone().autoOrient(), signal)
    const bytes = await until(Promise.resolve(input.toBuffer()), signal)
    if (!types.isUint8Array(bytes)) throw invalid('image.toBuffer()', 'bytes', bytes)
    return await decode(copyBytes(bytes), name, signal)
  } catch (error) {
    throw error instanceof DeclipError ? error : decodeError(name, reasonOf(error), error)
  }
}

function isEncoder(input: object): input is ImageEncoder {
  return typeof (input as Partial<ImageEncoder> | null)?.toBuffer === 'function'
}

function isSharp(input: object): input is Sharp {
  const { clone, raw, autoOrient } = input as Partial<Sharp>
  return [clone, raw, autoOrient].every(member => typeof member === 'function')
}

function isRaw(input: object): input is RawImage {
  return typeof input === 'object' && input !== null && 'data' in input && 'width' in input
}

function checkRaw(image: RawImage): RawImage & { readonly channels: number } {
  const { data, width, height } = image
  for (const [name, value] of Object.entries({ width, height })) {
    if (!Number.isInteger(value) || value < 1) {
      throw invalid(`image.${name}`, 'a positive whole number of pixels', value)
    }
  }
  if (!types.isUint8Array(data) && !types.isUint8ClampedArray(data)) {
    throw invalid(
      'image.data',
      'a Uint8Array or Uint8ClampedArray (for floats pass a Tensor)',
      data,
    )
  }
  const channels = image.channels ?? data.length / (width * height)
  if (![1, 3, 4].includes(channels) || data.length !== width * height * channels) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `image.data must hold height x width x channels = ${height} x ${width} x ` +
        `${image.channels ?? '(1, 3 or 4)'} bytes with 1, 3 or 4 channels, received ${data.length}` +
        `${data.length === 0 ? ' (was its buffer transferred to another thread?)' : ''}.`,
    )
  }
  return { data, width, height, channels: channels as 1 | 3 | 4 }
}

/** Grey repeated, alpha dropped; RGB as it is. */
function expand(data: Uint8Array, channels: number): Uint8Array {
  if (channels === 3) return data
  const pixels = data.length / channels
  const rgb = new Uint8Array(pixels * 3)
  const [green, blue] = channels === 4 ? [1, 2] : [0, 0]
  for (let from = 0, to = 0; to < rgb.length; from += channels, to += 3) {
    rgb[to] = data[from] as number
    rgb[to + 1] = data[from + green] as number
    rgb[to + 2] = data[from + blue] as number
  }
  return rgb
}

/** The promise, or a rejection as soon as the signal fires: decoders cannot be interrupted. */
async function until<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  let forget = () => {}
  const fired = new Promise<never>((_, reject) => {
    const stop = () => reject(aborted(signal))
    if (signal.aborted) stop()
    else forget = onAbort(signal, stop)
  })
  try {
    return await Promise.race([promise, fired])
  } finally {
    forget()
  }
}
