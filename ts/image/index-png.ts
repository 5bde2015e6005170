/**
 * Pictures whose samples are numbers and no colours: labels and segment ids. Image libraries turn palettes into
 * colours, so a palette's PNG is given to the decoder as a grey one: same samples, another word in its header.
 */
import { readFile } from 'node:fs/promises'
import zlib from 'node:zlib'
import { until } from '../base/abort.js'
import { eachLine } from '../base/event-loop.js'
import { ioError } from '../base/files.js'
import { settings } from '../engine/settings.js'
import { aborted, DeclipError } from '../errors.js'
import { loadSharp } from './decode.js'
import { foreignFormat, pictureFormat } from './format.js'
import type { LabelMap } from './label-map.js'
import { tiffSamples } from './tiff.js'

/** Three bytes for every pixel. @internal */
export interface RgbPicture {
  readonly width: number
  readonly height: number
  /** Row by row, red, green and blue in turn. */
  readonly data: Uint8Array
}

/** A PNG's header (PNG specification, 11.2.1). */
interface Header {
  readonly width: number
  readonly height: number
  /** Bits of a sample. */
  readonly depth: number
  readonly color: number
}

/** Colour types. */
const GREY = 0
const RGB = 2
const INDEXED = 3
const RGBA = 6

const KINDS: Readonly<Record<number, string>> = {
  0: 'a grey',
  2: 'an RGB',
  3: 'a palette',
  4: 'a grey and alpha',
  6: 'an RGB and alpha',
}

const SIGNATURE_BYTES = 8
/** Length, type and checksum of a chunk. */
const FRAME_BYTES = 12
const IHDR_BYTES = 13

interface Reading {
  readonly signal?: AbortSignal | undefined
}

/**
 * The indices of a palette PNG, the samples of a grey one of 1 to 16 bits, or of a grey TIFF of 8 or 16, without any
 * conversion: neither palette nor profile nor gamma has a say. Decoded on sharp's threads.
 *
 * @param path - file
 * @throws DeclipError ERR_DECLIP_IO, ERR_DECLIP_ABORTED, or ERR_DECLIP_IMAGE for a damaged file and for colours
 * @internal
 */
export async function readIndexPicture(path: string, reading: Reading = {}): Promise<LabelMap> {
  return decodeIndexPicture(await readBytes(path, reading), path, reading)
}

/**
 * As {@link readIndexPicture}, of a file's bytes, which must not change meanwhile.
 *
 * @param name - for messages
 * @internal
 */
export async function decodeIndexPicture(
  bytes: Uint8Array,
  name: string,
  { signal }: Reading = {},
): Promise<LabelMap> {
  const format = pictureFormat(bytes)
  if (format === 'tiff') return decodeGreyTiff(bytes, name, signal)
  const { header, parts } = takeApart(bytes, name)
  if (header.color !== GREY && header.color !== INDEXED) {
    throw unreadable(
      name,
      `it is ${kindOf(header)} PNG; expected one number for every pixel, a palette or grey PNG. Make labels of its colours first`,
    )
  }
  const grey = withGreyHeader(parts)
  const decoded = await decode(grey, name, header.depth === 16 ? 'grey16' : 'b-w', signal)
  if (header.depth === 16) return decoded
  const data = decoded.data as Uint8Array
  // The decoder spreads samples of fewer bits over 0..255.
  const step = 255 / (2 ** header.depth - 1)
  if (step > 1) {
    await eachLine(header.height, header.width, y => {
      const end = (y + 1) * header.width
      for (let i = y * header.width; i < end; i++) data[i] = (data[i] as number) / step
    })
  }
  return decoded
}

/**
 * The bytes of an 8-bit RGB PNG as they are, alpha left out. Decoded on sharp's threads.
 *
 * @throws DeclipError ERR_DECLIP_IO, ERR_DECLIP_ABORTED, or ERR_DECLIP_IMAGE for a damaged file and for other samples
 * @internal
 */
export async function readRgbPicture(path: string, reading: Reading = {}): Promise<RgbPicture> {
  const { header, parts } = takeApart(await readBytes(path, reading), path)
  if ((header.color !== RGB && header.color !== RGBA) || header.depth !== 8) {
    throw unreadable(
      path,
      `it is ${kindOf(header)} PNG of ${header.depth} bits; expected an RGB PNG of 8 bits, whose colours are segment ids`,
    )
  }
  const decoded = await decode(Buffer.concat(parts), path, 'srgb', reading.signal)
  return decoded as RgbPicture
}

async function readBytes(path: string, { signal }: Reading): Promise<Buffer> {
  try {
    return await readFile(path, { signal })
  } catch (error) {
    throw signal?.aborted ? aborted(signal) : ioError('read', path, error)
  }
}

/**
 * The header of a PNG, and its signature and the chunks that samples are made of: header, data and end. Palettes,
 * transparency, profiles and gamma are left out.
 */
function takeApart(bytes: Uint8Array, name: string): { header: Header; parts: Buffer[] } {
  if (bytes.length === 0) throw unreadable(name, 'it is empty')
  const format = pictureFormat(bytes)
  if (format !== 'png') {
    const is = format ? `it is a ${format.toUpperCase()} picture` : foreignFormat(bytes)
    throw unreadable(name, `${is}. Labels are read from PNG files`)
  }
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const parts = [all.subarray(0, SIGNATURE_BYTES)]
  let header: Header | undefined
  for (let at = SIGNATURE_BYTES; ; ) {
    if (at + FRAME_BYTES > all.length) throw cut(name, all)
    const length = all.readUInt32BE(at)
    const end = at + FRAME_BYTES + length
    if (end > all.length) throw cut(name, all)
    const type = all.toString('latin1', at + 4, at + 8)
    const data = at + 8
    if (!header) {
      if (type !== 'IHDR' || length !== IHDR_BYTES) throw unreadable(name, 'it has no PNG header')
      header = {
        width: all.readUInt32BE(data),
        height: all.readUInt32BE(data + 4),
        depth: all[data + 8] as number,
        color: all[data + 9] as number,
      }
      if (zlib.crc32(all.subarray(at + 4, end - 4)) !== all.readUInt32BE(end - 4)) {
        throw unreadable(name, 'its header is damaged (its checksum does not fit); copy it again')
      }
    }
    if (['IHDR', 'IDAT', 'IEND'].includes(type)) parts.push(all.subarray(at, end))
    if (type === 'IEND') return { header, parts }
    at = end
  }
}

/** The same PNG with its indices declared to be grey values. */
function withGreyHeader([signature, header, ...rest]: Buffer[]): Buffer {
  const own = Buffer.from(header as Buffer)
  own[8 + 9] = GREY
  own.writeUInt32BE(zlib.crc32(own.subarray(4, 8 + IHDR_BYTES)), 8 + IHDR_BYTES)
  return Buffer.concat([signature as Buffer, own, ...rest])
}

async function decodeGreyTiff(
  bytes: Uint8Array,
  name: string,
  signal: AbortSignal | undefined,
): Promise<LabelMap> {
  const sharp = await loadSharp()
  try {
    tiffSamples(bytes)
    const { channels, depth, isPalette } = await sharp(bytes).metadata()
    if (channels !== 1 || isPalette || (depth !== 'uchar' && depth !== 'ushort')) {
      throw new Error(
        `it is a TIFF of ${channels} channels of ${depth}; expected one number of 8 or 16 bits for every pixel`,
      )
    }
    return await decode(bytes, name, depth === 'ushort' ? 'grey16' : 'b-w', signal)
  } catch (error) {
    throw error instanceof DeclipError ? error : unreadable(name, reasonOf(error), error)
  }
}

async function decode(
  bytes: Uint8Array,
  name: string,
  space: 'b-w' | 'grey16' | 'srgb',
  signal: AbortSignal | undefined,
): Promise<LabelMap> {
  const sharp = await loadSharp()
  if (signal?.aborted) throw aborted(signal)
  const options = {
    failOn: 'error',
    ignoreIcc: true,
    limitInputPixels: settings().maxPixels,
  } as const
  const picture = sharp(bytes, options)
  if (space === 'srgb') picture.removeAlpha()
  const pipeline = picture
    .toColourspace(space)
    .raw({ depth: space === 'grey16' ? 'ushort' : 'uchar' })
  const work = pipeline.toBuffer({ resolveWithObject: true }).catch(error => {
    throw unreadable(name, reasonOf(error), error)
  })
  const { data, info } = await until(work, signal)
  const { width, height, channels } = info
  const expected = space === 'srgb' ? 3 : 1
  if (channels !== expected) {
    throw unreadable(name, `${expected} channels were expected, ${channels} were decoded`)
  }
  const values =
    space === 'grey16'
      ? new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2)
      : new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  return { width, height, data: values }
}

function kindOf({ color }: Header): string {
  return KINDS[color] ?? `an unknown (colour type ${color})`
}

function cut(name: string, bytes: Buffer): DeclipError {
  return unreadable(name, `it ends after ${bytes.length} bytes, before its end; copy it again`)
}

function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  if (message.includes('exceeds pixel limit')) {
    return 'it has more pixels than configure({ maxPixels }) allows'
  }
  return (message.split('\n')[0] ?? message).replace('Input buffer', 'it').replace(/[\s:.]+$/, '')
}

function unreadable(name: string, reason: string, cause?: unknown): DeclipError {
  return new DeclipError('ERR_DECLIP_IMAGE', `Cannot read labels of ${name}: ${reason}.`, { cause })
}
