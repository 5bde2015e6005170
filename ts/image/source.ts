import { stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { until } from '../base/abort.js'
import type { Call } from '../base/call.js'
import { checkFields, field, flag } from '../base/field.js'
import type { NativePixels } from '../engine/addon-types.js'
import { loadedAddon } from '../engine/load-addon.js'
import { PIXELS, settings } from '../engine/settings.js'
import { counters } from '../engine/stats.js'
import type { Tensor } from '../engine/tensor.js'
import { aborted, DeclipError } from '../errors.js'
import {
  type DecodedImage,
  expand,
  type ImageInput,
  type OpenedPicture,
  type PictureOptions,
  type Pixels,
} from './decode.js'
import { type Slot, takeSlot } from './decode-slots.js'
import { type Encoded, holdPicture, type RawPixels, type Taking } from './held.js'

/** A picture in the form that the native part takes. @internal */
export interface NativeImage {
  readonly pixels: NativePixels
  /** In pixels. */
  readonly width: number
  /** In pixels. */
  readonly height: number
}

/** A picture on its way into a call. @internal */
export interface Picture {
  /** Of a file. */
  readonly path?: string | undefined
  /**
   * Decodes it when its turn comes, at the first call. The native part reads a decoder's own buffer where it lies,
   * and turns grey and alpha into RGB.
   */
  decode(): Promise<NativeImage>
  /** Milliseconds that decoding took; 0 before. */
  readonly decodeMs: number
  /**
   * To be called when no native call needs the pixels any more: their memory is given back, and others may be
   * decoded. May be called again.
   */
  close(): void
  /** As `close()`, where `again()` is not wanted. */
  dispose(): void
  /**
   * The pixels once more, in memory of their own. Of encoded bytes the copy is kept, of pixels and of
   * objects that encode themselves the decoded picture; files are read again.
   *
   * @throws DeclipError ERR_DECLIP_IMAGE for a file that was changed since
   */
  again(): Promise<DecodedImage>
}

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
  options: PictureOptions & { signal?: AbortSignal | undefined } = {},
): Promise<DecodedImage> {
  const { signal } = options
  if (signal?.aborted) throw aborted(signal)
  const held = holdPicture(input, checked(options))
  if ('raw' in held) return copyRaw(held.raw)
  const opened = await until(held.open(signal), signal)
  const { data, channels, width, height } = await until(opened.decode(), signal)
  return { data: expand(data, channels), width, height }
}

/**
 * Takes over a picture; bytes and pixels are copied before it returns. Raw pixels go into the native part's pooled
 * memory, because fresh memory costs several times what the copy does.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG, ERR_DECLIP_ABORTED, or ERR_DECLIP_IMAGE for too many raw pixels
 * @internal
 */
export function openImage(
  input: Exclude<ImageInput, Tensor>,
  options: Call & PictureOptions = {},
): Picture {
  if (options.signal?.aborted) throw aborted(options.signal)
  const held = holdPicture(input, checked(options))
  if ('raw' in held) return openRaw(held.raw)
  return new Decoding(held, options, againOf(input, held, options), pathOf(input))
}

/** Of what came as a file, as a path. */
function pathOf(input: Exclude<ImageInput, Tensor>): string | undefined {
  if (typeof input !== 'string' && !(input instanceof URL)) return undefined
  return /^file:/i.test(String(input)) ? fileURLToPath(input) : String(input)
}

/** How the pixels of a picture are had again; undefined where the decoded ones have to be kept for it. */
function againOf(
  input: Exclude<ImageInput, Tensor>,
  { encoded }: Encoded,
  { maxPixels }: PictureOptions,
): Picture['again'] | undefined {
  if (encoded) return () => loadImage(encoded, { maxPixels })
  if (input instanceof Blob) return () => loadImage(input, { maxPixels })
  if (typeof input !== 'string' && !(input instanceof URL)) return undefined
  const seen = stampOf(input)
  return async () => {
    if ((await seen) === (await stampOf(input))) return loadImage(input, { maxPixels })
    throw new DeclipError(
      'ERR_DECLIP_IMAGE',
      `The picture '${input}' was changed after it was segmented, so it cannot be drawn on; pass the picture as it was: overlay: { image }.`,
    )
  }
}

const PICTURE_FIELDS = {
  maxPixels: field(PIXELS, 'Pixels of a picture'),
  transfer: field(flag, 'Takes bytes and pixels over instead of copying them'),
}

function checked(options: PictureOptions): Taking {
  checkFields(options, PICTURE_FIELDS)
  const { maxPixels = settings().maxPixels, transfer = false } = options
  return { maxPixels, transfer }
}

/** Changes when a file is written or replaced; undefined where there is none. */
async function stampOf(input: string | URL): Promise<string | undefined> {
  try {
    const { size, mtimeNs, ino } = await stat(pathOf(input) as string, { bigint: true })
    return `${size} ${mtimeNs} ${ino}`
  } catch {
    return undefined
  }
}

/** Raw pixels for the native part, copied at once unless they are ours. */
function openRaw({ data, width, height, channels, own: isOwn }: RawPixels): Picture {
  const addon = loadedAddon()
  if (isOwn || !addon) {
    return kept({ pixels: isOwn ? data : new Uint8Array(data), width, height }, { width, height })
  }
  // Native code cannot read shared memory.
  const own = data.buffer instanceof SharedArrayBuffer ? data.slice() : data
  const pixels = addon.pooledTensor(own, [height, width, channels], 'uint8')
  return kept({ pixels }, { width, height }, () => pixels.dispose())
}

function kept(
  pixels: NativePixels,
  size: { width: number; height: number },
  dispose = () => {},
): Picture {
  const image = { pixels, ...size }
  return {
    decodeMs: 0,
    decode: async () => image,
    close: () => {},
    dispose,
    again: () => copyOut(image),
  }
}

/** Smaller buffers may be parts of a pool, and can wait for the garbage collector. */
const SMALLEST_GIVEN_BACK = 1 << 20 // bytes

function giveBack({ buffer, byteLength }: Uint8Array): void {
  if (byteLength < SMALLEST_GIVEN_BACK || byteLength !== buffer.byteLength) return
  loadedAddon()?.detach(buffer as ArrayBuffer)
}

/** An encoded picture that waits for its turn, is decoded, or is there. */
class Decoding implements Picture {
  readonly again: Picture['again']
  decodeMs = 0
  readonly #held: Encoded
  readonly #call: Call
  #decoded: Promise<NativeImage> | undefined
  /** Pixels to give back: those that `again()` makes anew. */
  #bytes: Uint8Array | undefined
  readonly #remade: boolean
  #slot: Slot | undefined
  #busy = false
  #closed = false

  constructor(
    held: Encoded,
    call: Call,
    again: Picture['again'] | undefined,
    readonly path: string | undefined,
  ) {
    this.#held = held
    this.#call = call
    this.#remade = again !== undefined
    this.again = again ?? (async () => copyOut(await this.decode()))
  }

  decode(): Promise<NativeImage> {
    if (!this.#decoded) {
      this.#decoded = this.#decode()
      this.#decoded.catch(() => {}) // whoever waits for it sees the rejection
    }
    return this.#decoded
  }

  close(): void {
    this.#closed = true
    if (!this.#busy) this.#slot?.release()
    if (this.#bytes) giveBack(this.#bytes)
    this.#bytes = undefined
  }

  dispose(): void {
    this.close()
  }

  async #decode(): Promise<NativeImage> {
    const { signal } = this.#call
    this.#slot = await takeSlot(this.#call)
    this.#goOn()
    const opened = await until(this.#held.open(signal), signal)
    await this.#slot.reserve(opened.bytes, signal)
    this.#goOn()
    const { data: pixels, width, height } = await until(this.#run(opened), signal)
    if (this.#remade) this.#bytes = pixels
    return { pixels: { pixels, width, height }, width, height }
  }

  /** Stops what nobody waits for any more. */
  #goOn(): void {
    if (!this.#closed) return
    this.#slot?.release()
    throw new DeclipError('ERR_DECLIP_ABORTED', 'The picture is not needed any more.')
  }

  /** A decoder cannot be interrupted: it holds its memory until it ends, whoever still waits for it. */
  async #run(opened: OpenedPicture): Promise<Pixels> {
    const start = performance.now()
    this.#busy = true
    counters.decoding += 1
    try {
      return await opened.decode()
    } finally {
      this.decodeMs = performance.now() - start
      counters.decoding -= 1
      this.#busy = false
      if (this.#closed) this.#slot?.release()
    }
  }
}

function copyRaw({ data, width, height, channels }: RawPixels): DecodedImage {
  return { data: expand(new Uint8Array(data), channels), width, height }
}

/** The pixels of a picture for the native part as RGB in memory of their own. @internal */
export async function copyOut({ pixels, width, height }: NativeImage): Promise<DecodedImage> {
  const given = pixels.pixels
  const data =
    given instanceof Uint8Array ? new Uint8Array(given) : new Uint8Array(await given.data())
  return { data: expand(data, data.length / (width * height)), width, height }
}
