import type { Sharp, SharpConstructor, SharpOptions } from 'sharp'
import type { Tensor } from '../engine/tensor.js'
import { DeclipError } from '../errors.js'
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

/** What calls that take a picture accept. */
export interface PictureOptions {
  /**
   * A picture of more pixels is refused with ERR_DECLIP_IMAGE by its header, before it is decoded: a whole number, 1
   * to 536870912. Default: what {@link configure} says, at first 62,000,000.
   */
  maxPixels?: number | undefined
  /**
   * Takes encoded bytes and raw pixels over instead of copying them, where they fill an ArrayBuffer that can be
   * transferred: the caller's array is empty then, as postMessage() leaves it. Default: false.
   */
  transfer?: boolean | undefined
}

/** Pixels as a decoder gave them: 1, 3 or 4 interleaved channels. @internal */
export interface Pixels extends DecodedImage {
  readonly channels: number
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

/** A picture whose header was read. @internal */
export interface OpenedPicture {
  /** What its pixels take, in bytes. */
  readonly bytes: number
  /** Cannot be interrupted. */
  decode(): Promise<Pixels>
}

/**
 * Reads the header of an encoded picture.
 *
 * @param name - for messages
 * @param maxPixels - a picture of more is refused here
 * @throws DeclipError ERR_DECLIP_IMAGE
 * @internal
 */
export async function openEncoded(
  bytes: Uint8Array,
  name: string,
  maxPixels: number,
): Promise<OpenedPicture> {
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
  const named = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      if (!isTooLarge(error)) throw toDecodeError(name, error)
      const { width, height } = await sharp(bytes, { limitInputPixels: false }).metadata()
      throw tooLarge(name, { width, height }, maxPixels, error)
    }
  }
  return named(async () => {
    const picture = sharp(bytes, { ...DECODER, limitInputPixels: maxPixels })
    const samples = format === 'tiff' ? tiffSamples(bytes) : undefined
    const { width, height } = await picture.metadata()
    return {
      bytes: 3 * width * height * (samples?.kind === 'floats' ? 5 : 1),
      decode: () => named(() => (samples ? renderTiff(picture, samples) : render(picture))),
    }
  })
}

/**
 * The pixels of the caller's own sharp pipeline, which decodes under its own limit: what comes out of it is
 * looked at.
 *
 * @throws DeclipError ERR_DECLIP_IMAGE
 * @internal
 */
export async function openSharp(
  picture: Sharp,
  name: string,
  maxPixels: number,
): Promise<OpenedPicture> {
  const named = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      throw toDecodeError(name, error)
    }
  }
  const { width, height } = await named(() => picture.metadata())
  return {
    bytes: 3 * width * height,
    decode: () =>
      named(async () => {
        const pixels = await render(picture)
        checkPixels(name, pixels, maxPixels)
        return pixels
      }),
  }
}

/** @throws DeclipError ERR_DECLIP_IMAGE for a picture of too many pixels @internal */
export function checkPixels(name: string, size: Size, maxPixels: number): void {
  if (size.width * size.height > maxPixels) throw tooLarge(name, size, maxPixels)
}

type Size = Pick<DecodedImage, 'width' | 'height'>

function tooLarge(
  name: string,
  { width, height }: Size,
  limit: number,
  cause?: unknown,
): DeclipError {
  return decodeError(
    name,
    `it has ${width} x ${height} = ${(width * height).toLocaleString('en')} pixels, and the limit is ` +
      `${limit.toLocaleString('en')}; make it smaller, or allow more with maxPixels, an option of the call and ` +
      'of configure(), or with DECLIP_MAX_PIXELS',
    cause,
  )
}

function isTooLarge(error: unknown): boolean {
  return error instanceof Error && error.message.includes('exceeds pixel limit')
}

/** The pixels of a sharp pipeline. */
async function render(pipeline: Sharp): Promise<Pixels> {
  const pixels = pipeline.removeAlpha().toColourspace('srgb').raw({ depth: 'uchar' })
  const { data, info } = await pixels.toBuffer({ resolveWithObject: true })
  const { width, height, channels } = info
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return { data: bytes, width, height, channels }
}

async function renderTiff(picture: Sharp, samples: TiffSamples): Promise<Pixels> {
  if (samples.kind === 'decoded') return render(picture)
  if (samples.kind === 'ycbcr') {
    const { data, width, height } = await render(picture)
    return { data: await ycbcrToRgb(data, width, height, samples), width, height, channels: 3 }
  }
  // Left in its own space: floats count as linear light, and would get a gamma on the way to sRGB.
  const space = samples.grey ? 'b-w' : 'scrgb'
  const pixels = picture.removeAlpha().pipelineColourspace(space).toColourspace(space)
  const { data, info } = await pixels.raw({ depth: 'float' }).toBuffer({ resolveWithObject: true })
  const { width, height } = info
  const values = new Float32Array(data.buffer, data.byteOffset, data.length / 4)
  return { data: await floatsToBytes(values, width, height), width, height, channels: 3 }
}

/** What a decoder threw as an error that names the picture; one of ours as it is. @internal */
export function toDecodeError(name: string, error: unknown): DeclipError {
  return error instanceof DeclipError ? error : decodeError(name, reasonOf(error), error)
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

/** Grey repeated, alpha dropped; RGB as it is. @internal */
export function expand(data: Uint8Array, channels: number): Uint8Array {
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
