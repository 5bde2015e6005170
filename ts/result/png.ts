import { promisify } from 'node:util'
import zlib from 'node:zlib'
import type { LabelMap } from './label-map.js'
import type { Rgb } from './palette.js'

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)
const GREY = 0
const INDEXED = 3

const deflate = promisify<Uint8Array, Buffer>(zlib.deflate)

/**
 * A PNG whose palette indices are the labels, or for 16-bit labels grey values. Image libraries
 * choose and order palettes by themselves, so the container is written here; zlib compresses on
 * libuv's threads. Chunks as in the PNG specification, section 11.
 *
 * @param palette - colours of 8-bit labels, in label order
 * @internal
 */
export async function encodeLabelPng(
  labels: LabelMap,
  palette: readonly Rgb[],
): Promise<Uint8Array> {
  const { data, width, height } = labels
  const { BYTES_PER_ELEMENT: depth } = data
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  const stride = width * depth
  const lines = Buffer.alloc((1 + stride) * height) // every row after its filter byte, 0 for none
  for (let y = 0; y < height; y++) {
    const row = lines.subarray(1 + y * (1 + stride), (y + 1) * (1 + stride))
    bytes.copy(row, 0, y * stride)
    if (depth === 2) row.swap16() // PNG is big-endian
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8 * depth, depth === 1 ? INDEXED : GREY], 8)
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    ...(depth === 1 ? [chunk('PLTE', Uint8Array.from(palette.flat()))] : []),
    chunk('IDAT', await deflate(lines)),
    chunk('IEND', new Uint8Array()),
  ])
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
