/** MATLAB level 5 files of one matrix. */
import { deflateSync } from 'node:zlib'

export interface MatOptions {
  name?: string
  compress?: boolean
  big?: boolean
  /** Data type of the numbers as stored. Default: 4, uint16. */
  type?: 2 | 4 | 6 | 9
  /** Array class. Default: 11, uint16. */
  kind?: number
  /** Variables in front of the matrix. */
  before?: readonly Buffer[]
}

const BYTES = { 2: 1, 4: 2, 6: 4, 9: 8 } as const

function element(type: number, data: Buffer, big: boolean, padded = true): Buffer {
  const head = Buffer.alloc(8)
  if (big) {
    head.writeUInt32BE(type, 0)
    head.writeUInt32BE(data.length, 4)
  } else {
    head.writeUInt32LE(type, 0)
    head.writeUInt32LE(data.length, 4)
  }
  const rest = padded ? (8 - (data.length % 8)) % 8 : 0
  return Buffer.concat([head, data, Buffer.alloc(rest)])
}

/** Short data, in the tag itself. */
function small(type: number, data: Buffer, big: boolean): Buffer {
  const bytes = Buffer.alloc(8)
  if (big) {
    bytes.writeUInt16BE(data.length, 0)
    bytes.writeUInt16BE(type, 2)
  } else bytes.writeUInt32LE((data.length << 16) | type, 0)
  bytes.set(data, 4)
  return bytes
}

/** @param values - row by row */
export function matrix(
  width: number,
  height: number,
  values: ArrayLike<number>,
  { name = 'LabelMap', big = false, type = 4, kind = 11 }: MatOptions = {},
): Buffer {
  const int = (...numbers: number[]) => {
    const bytes = Buffer.alloc(4 * numbers.length)
    for (const [i, n] of numbers.entries()) {
      if (big) bytes.writeUInt32BE(n, 4 * i)
      else bytes.writeUInt32LE(n, 4 * i)
    }
    return bytes
  }
  const size = BYTES[type]
  const data = Buffer.alloc(size * width * height)
  const view = new DataView(data.buffer, data.byteOffset, data.length)
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) {
      const value = values[y * width + x] as number
      const at = size * (x * height + y)
      if (type === 2) view.setUint8(at, value)
      else if (type === 4) view.setUint16(at, value, !big)
      else if (type === 6) view.setUint32(at, value, !big)
      else view.setFloat64(at, value, !big)
    }
  }
  const text = Buffer.from(name, 'latin1')
  return element(
    14,
    Buffer.concat([
      element(6, int(kind, 0), big),
      element(5, int(height, width), big),
      text.length <= 4 ? small(1, text, big) : element(1, text, big),
      data.length <= 4 ? small(type, data, big) : element(type, data, big),
    ]),
    big,
  )
}

export function mat(
  width: number,
  height: number,
  values: ArrayLike<number>,
  options: MatOptions = {},
): Buffer {
  const { compress = true, big = false, before = [] } = options
  const head = Buffer.alloc(128, ' ')
  head.write('MATLAB 5.0 MAT-file, made for a test')
  head.fill(0, 116, 124)
  head.write(big ? '\x01\x00MI' : '\x00\x01IM', 124, 'latin1')
  const whole = [...before, matrix(width, height, values, options)]
  return Buffer.concat([
    head,
    ...whole.map(one => (compress ? element(15, deflateSync(one), big, false) : one)),
  ])
}
