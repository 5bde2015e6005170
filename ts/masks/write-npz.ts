/** NumPy's archives, written: what pipelines in Python read region maps from. */
import { promisify } from 'node:util'
import zlib from 'node:zlib'

const deflate = promisify(zlib.deflateRaw)

/** Of a zip's local header, directory entry and end record (APPNOTE 4.3.7, 4.3.12, 4.3.16). */
const LOCAL = 0x04034b50
const ENTRY = 0x02014b50
const END = 0x06054b50
const VERSION = 20
const DEFLATED = 8
/** 1980-01-01, so that equal arrays make equal files. */
const DATE = 0x21

/**
 * An `.npz` file with one array of whole numbers, int32 [height, width], as `numpy.savez_compressed(name=...)` writes
 * it.
 *
 * @param values - row by row
 * @internal
 */
export async function encodeNpz(
  name: string,
  values: Int32Array,
  [height, width]: readonly [height: number, width: number],
): Promise<Uint8Array> {
  const array = npyOf(values, [height, width])
  const packed = await deflate(array)
  const file = Buffer.from(`${name}.npy`, 'latin1')
  const common = Buffer.alloc(26)
  common.writeUInt16LE(VERSION, 0)
  common.writeUInt16LE(DEFLATED, 4)
  common.writeUInt16LE(DATE, 8)
  common.writeUInt32LE(zlib.crc32(array), 10)
  common.writeUInt32LE(packed.length, 14)
  common.writeUInt32LE(array.length, 18)
  common.writeUInt16LE(file.length, 22)
  const local = Buffer.concat([word(LOCAL), common, file])
  const entry = Buffer.concat([word(ENTRY), half(VERSION), common, Buffer.alloc(14), file])
  const end = Buffer.alloc(18)
  end.writeUInt16LE(1, 4)
  end.writeUInt16LE(1, 6)
  end.writeUInt32LE(entry.length, 8)
  end.writeUInt32LE(local.length + packed.length, 12)
  return Buffer.concat([local, packed, entry, word(END), end])
}

/** Version 1.0: magic, length of the header, the header up to a multiple of 64 bytes, the values. */
function npyOf(values: Int32Array, [height, width]: readonly [number, number]): Buffer {
  const text = `{'descr': '<i4', 'fortran_order': False, 'shape': (${height}, ${width}), }`
  const start = 10
  const length = Math.ceil((start + text.length + 1) / 64) * 64 - start
  const head = Buffer.from(`\x93NUMPY\x01\x00\x00\x00${text.padEnd(length - 1)}\n`, 'latin1')
  head.writeUInt16LE(length, 8)
  return Buffer.concat([head, new Uint8Array(values.buffer, values.byteOffset, values.byteLength)])
}

function word(value: number): Buffer {
  const out = Buffer.alloc(4)
  out.writeUInt32LE(value)
  return out
}

function half(value: number): Buffer {
  const out = Buffer.alloc(2)
  out.writeUInt16LE(value)
  return out
}
