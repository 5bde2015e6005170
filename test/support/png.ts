/** PNG files of given samples, made chunk by chunk (PNG specification, 5 and 11). */
import { crc32, deflateSync } from 'node:zlib'

export interface PngOptions {
  /** Bits of a sample. Default: 8. */
  depth?: number
  /** 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha. Default: 3. */
  color?: number
  /** Chunks between header and data. Default: the palette that colour type 3 needs. */
  before?: readonly Buffer[]
  interlace?: 0 | 1
  /** Filter of the line y. Default: none, 0. */
  filter?: (y: number) => number
}

const CHANNELS: Record<number, number> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }

export function pngChunk(type: string, data: Uint8Array): Buffer {
  const bytes = Buffer.alloc(12 + data.length)
  bytes.writeUInt32BE(data.length, 0)
  bytes.write(type, 4, 'latin1')
  bytes.set(data, 8)
  bytes.writeUInt32BE(crc32(bytes.subarray(4, 8 + data.length)), 8 + data.length)
  return bytes
}

/** A palette in which no colour is its index. */
export const palette = (colors = 256): Buffer =>
  pngChunk(
    'PLTE',
    Uint8Array.from({ length: 3 * colors }, (_, i) => (i * 37 + 101) % 256),
  )

/** @param samples - row by row, channels in turn */
export function png(
  width: number,
  height: number,
  samples: ArrayLike<number>,
  options: PngOptions = {},
): Buffer {
  const { depth = 8, color = 3, interlace = 0, filter = () => 0 } = options
  const before = options.before ?? (color === 3 ? [palette(2 ** depth)] : [])
  const channels = CHANNELS[color] as number
  const pass = (x0: number, y0: number, dx: number, dy: number) =>
    lines(width, height, samples, { channels, depth, filter, x0, y0, dx, dy })
  const data = interlace
    ? ADAM7.map(([x0, y0, dx, dy]) => pass(x0, y0, dx, dy))
    : [pass(0, 0, 1, 1)]
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([depth, color, 0, 0, interlace], 8)
  return Buffer.concat([
    Buffer.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    pngChunk('IHDR', header),
    ...before,
    pngChunk('IDAT', deflateSync(Buffer.concat(data))),
    pngChunk('IEND', Buffer.alloc(0)),
  ])
}

const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const

interface Pass {
  channels: number
  depth: number
  filter: (y: number) => number
  x0: number
  y0: number
  dx: number
  dy: number
}

function lines(width: number, height: number, samples: ArrayLike<number>, pass: Pass): Buffer {
  const { channels, depth, filter, x0, y0, dx, dy } = pass
  const all: Buffer[] = []
  const back = Math.max(1, (channels * depth) >> 3)
  const columns = Math.ceil((width - x0) / dx)
  if (columns <= 0) return Buffer.alloc(0)
  let above = Buffer.alloc(Math.ceil((columns * channels * depth) / 8))
  for (let y = y0; y < height; y += dy) {
    const line = Buffer.alloc(above.length)
    let bit = 0
    for (let x = x0; x < width; x += dx) {
      for (let c = 0; c < channels; c++, bit += depth) {
        const value = samples[(y * width + x) * channels + c] as number
        if (depth === 16) line.writeUInt16BE(value, bit >> 3)
        else line[bit >> 3] = (line[bit >> 3] as number) | (value << (8 - depth - (bit & 7)))
      }
    }
    const kind = filter(y)
    const filtered = Buffer.from(line)
    for (let i = 0; i < line.length; i++) {
      const left = line[i - back] ?? 0
      const up = above[i] ?? 0
      const corner = i >= back ? (above[i - back] ?? 0) : 0
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][kind] as number
      filtered[i] = (line[i] as number) - guess
    }
    all.push(Buffer.of(kind), filtered)
    above = line
  }
  return Buffer.concat(all)
}

function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner
  const [a, b, c] = [left, up, corner].map(value => Math.abs(guess - value)) as [
    number,
    number,
    number,
  ]
  return a <= b && a <= c ? left : b <= c ? up : corner
}
