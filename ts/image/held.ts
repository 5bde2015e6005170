import { readFile } from 'node:fs/promises'
import { types } from 'node:util'
import type { Sharp } from 'sharp'
import { ioError, toPath } from '../base/files.js'
import type { Tensor } from '../engine/tensor.js'
import { aborted, DeclipError, describe, invalid } from '../errors.js'
import {
  checkPixels,
  type ImageEncoder,
  type ImageInput,
  type OpenedPicture,
  openEncoded,
  openSharp,
  type RawImage,
  toDecodeError,
} from './decode.js'

/** Pixels that were checked. @internal */
export interface RawPixels {
  readonly data: Uint8Array
  readonly width: number
  readonly height: number
  readonly channels: number
  /** Whether they were handed over; else they are still the caller's. */
  readonly own: boolean
}

/** How pictures are taken; see PictureOptions. @internal */
export interface Taking {
  readonly maxPixels: number
  readonly transfer: boolean
}

/** An encoded picture. @internal */
export interface Encoded {
  /** Reads its header; a file is read here. Refuses what has too many pixels. */
  open(signal: AbortSignal | undefined): Promise<OpenedPicture>
  /** Bytes in memory that it can be decoded from again. */
  readonly encoded?: Uint8Array
}

/** What of a picture is held until it is decoded. @internal */
export type Held = Encoded | { readonly raw: RawPixels }

const ACCEPTED =
  'a path, a file URL, the bytes of an encoded picture, a Blob, raw pixels { data, width, height, channels }, ' +
  'ImageData, a sharp instance or a Tensor'

/**
 * Takes what the caller may change, and nothing more: bytes are copied, what encodes itself is asked to, files are
 * read later. Raw pixels are the one kind that whoever calls this has to copy at once.
 *
 * @param options - `maxPixels`: larger pictures are refused, bytes as soon as their header is read
 * @throws DeclipError ERR_DECLIP_INVALID_ARG, or ERR_DECLIP_IMAGE for pixels that are too many
 * @internal
 */
export function holdPicture(
  input: Exclude<ImageInput, Tensor>,
  { maxPixels, transfer }: Taking,
): Held {
  if (typeof input === 'string' || input instanceof URL) return holdFile(input, maxPixels)
  if (types.isAnyArrayBuffer(input) || types.isUint8Array(input)) {
    const encoded = (transfer && takeOver(input)) || copyBytes(input)
    return { ...holdOpening(openEncoded(encoded, 'the encoded picture', maxPixels)), encoded }
  }
  if (input instanceof Blob) {
    const name = input instanceof File && input.name ? input.name : 'the Blob'
    return {
      open: async () => openEncoded(new Uint8Array(await input.arrayBuffer()), name, maxPixels),
    }
  }
  if (isEncoder(input)) return holdEncoder(input, maxPixels)
  if (!isRaw(input)) throw invalid('image', ACCEPTED, input)
  const raw = checkRaw(input)
  checkPixels('the picture', raw, maxPixels)
  const taken = transfer ? takeOver(raw.data) : undefined
  return { raw: taken ? { ...raw, data: taken, own: true } : raw }
}

function holdFile(input: string | URL, maxPixels: number): Encoded {
  if (isAddress(input)) throw refuseDownload(input)
  const path = toPath('image', /^file:/i.test(String(input)) ? parseUrl(input) : input)
  const read = async (signal: AbortSignal | undefined) => {
    try {
      return await readFile(path, { signal })
    } catch (error) {
      throw signal?.aborted ? aborted(signal) : ioError('read', path, error)
    }
  }
  return { open: async signal => openEncoded(await read(signal), path, maxPixels) }
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

/** The bytes in a buffer that nobody else has; undefined where other bytes share it or it cannot be transferred. */
function takeOver(input: ArrayBufferLike | Uint8Array): Uint8Array | undefined {
  const buffer = types.isUint8Array(input) ? input.buffer : input
  if (!types.isArrayBuffer(buffer) || input.byteLength === 0) return undefined
  if (input.byteLength !== buffer.byteLength) return undefined
  try {
    return new Uint8Array(structuredClone(buffer, { transfer: [buffer] }))
  } catch {
    return undefined // memory of WebAssembly, or marked as not to be transferred
  }
}

function holdEncoder(input: ImageEncoder, maxPixels: number): Encoded {
  const name = `the picture of ${describe(input)}`
  // A sharp instance would encode with loss, so its pixels are asked for.
  if (isSharp(input)) {
    const pipeline = input.clone().autoOrient()
    return { open: () => openSharp(pipeline, name, maxPixels) }
  }
  const encoding = (async () => {
    try {
      const bytes = await input.toBuffer()
      if (!types.isUint8Array(bytes)) throw invalid('image.toBuffer()', 'bytes', bytes)
      return copyBytes(bytes)
    } catch (error) {
      throw toDecodeError(name, error)
    }
  })()
  return holdOpening(encoding.then(bytes => openEncoded(bytes, name, maxPixels)))
}

function holdOpening(opening: Promise<OpenedPicture>): Encoded {
  opening.catch(() => {}) // whoever opens it sees the rejection
  return { open: () => opening }
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

function checkRaw(image: RawImage): RawPixels {
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
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.length)
  return { data: bytes, width, height, channels: channels as 1 | 3 | 4, own: false }
}
