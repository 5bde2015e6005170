import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setImmediate } from 'node:timers/promises'
import zlib from 'node:zlib'
import type { NativeTensor } from '../engine/addon-types.js'
import type { Rgb } from './palette.js'

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)
const GREY = 0
const INDEXED = 3

/** Bytes that are copied out of the native part and given to the compressor at a time. */
const BAND_BYTES = 1 << 18

/**
 * A PNG whose palette indices are the labels, or for 16-bit labels grey values. Image libraries
 * choose and order palettes by themselves, so the container is written here; zlib compresses on
 * libuv's threads. Chunks as in the PNG specification, section 11.
 *
 * @param labels - uint8 or uint16 [H, W]
 * @param palette - colours of 8-bit labels, in label order
 * @internal
 */
export async function encodeLabelPng(
  labels: NativeTensor,
  palette: readonly Rgb[],
): Promise<Uint8Array> {
  const [height, width] = labels.shape as [number, number]
  const depth = labels.dtype === 'uint8' ? 1 : 2
  const lines = Readable.from(linesOf(labels, width * depth, height, depth === 2))
  const deflate = zlib.createDeflate({ chunkSize: BAND_BYTES })
  lines.on('error', error => deflate.destroy(error))
  const data = await buffer(lines.pipe(deflate))
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8 * depth, depth === 1 ? INDEXED : GREY], 8)
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    ...(depth === 1 ? [chunk('PLTE', Uint8Array.from(palette.flat()))] : []),
    chunk('IDAT', data),
    chunk('IEND', new Uint8Array()),
  ])
}

/** Bands of rows, every row after its filter byte, 0 for none. */
async function* linesOf(
  labels: NativeTensor,
  stride: number,
  height: number,
  swaps: boolean,
): AsyncGenerator<Buffer, void, undefined> {
  const rows = Math.max(1, Math.floor(BAND_BYTES / stride))
  for (let start = 0; start < height; start += rows) {
    const count = Math.min(rows, height - start)
    const band = labels.slice(0, start, start + count)
    const bytes = Buffer.from(await band.data())
    band.dispose()
    if (swaps) bytes.swap16() // PNG is big-endian
    const lines = Buffer.allocUnsafe((1 + stride) * count)
    for (let y = 0; y < count; y++) {
      lines[y * (1 + stride)] = 0
      bytes.copy(lines, y * (1 + stride) + 1, y * stride, (y + 1) * stride)
    }
    yield lines
    await setImmediate()
  }
}

/** Length, type, data and the checksum of type and data. */
function chunk(type: string, data: Uint8Array): Buffer {
  const bytes = Buffer.alloc(12 + data.length)
  bytes.writeUInt32BE(data.length, 0)
  bytes.write(type, 4, 'latin1')
  bytes.set(data, 8)
  bytes.writeUInt32BE(zlib.crc32(bytes.subarray(4, 8 + data.length)), 8 + data.length)
  return bytes
}
