import { crc32, deflateRawSync } from 'node:zlib'

interface ArrayOptions {
  /** NumPy's name of the type. */
  descr: string
  /** Whether the first index runs fastest. */
  fortran?: boolean
}

/** An array as numpy.save() writes it, version 1. Values come row by row. */
export function npy(
  values: readonly number[],
  shape: readonly number[],
  { descr, fortran = false }: ArrayOptions,
): Buffer {
  const order = fortran ? 'True' : 'False'
  const sides = shape.length === 1 ? `${shape[0]},` : shape.join(', ')
  const text = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${sides}), }`
  const length = Math.ceil((10 + text.length + 1) / 64) * 64 - 10
  const start = Buffer.from(`\x93NUMPY\x01\x00\0\0${text.padEnd(length - 1)}\n`, 'latin1')
  start.writeUInt16LE(length, 8)
  const size = Number(descr.slice(2))
  const body = Buffer.alloc(size * values.length)
  for (const [i, value] of values.entries()) {
    write(body, (fortran ? placeOf(i, shape) : i) * size, value, descr)
  }
  return Buffer.concat([start, body])
}

/** Where element i, counted row by row, stands in Fortran order. */
function placeOf(i: number, shape: readonly number[]): number {
  let rest = i
  const index = [...shape].reverse().map(side => {
    const at = rest % side
    rest = Math.floor(rest / side)
    return at
  })
  let [place, step] = [0, 1]
  for (const [d, at] of index.reverse().entries()) {
    place += at * step
    step *= shape[d] as number
  }
  return place
}

function write(body: Buffer, at: number, value: number, descr: string): void {
  const big = descr.startsWith('>')
  const kind = descr.slice(1)
  if (kind === 'f4') body.writeFloatLE(value, at)
  else if (kind === 'i8') {
    if (big) body.writeBigInt64BE(BigInt(value), at)
    else body.writeBigInt64LE(BigInt(value), at)
  } else if (kind === 'u8') body.writeBigUInt64LE(BigInt(value), at)
  else if (kind.startsWith('i')) {
    if (big) body.writeIntBE(value, at, Number(kind[1]))
    else body.writeIntLE(value, at, Number(kind[1]))
  } else body.writeUIntLE(value, at, Number(kind[1]))
}

interface ArchiveOptions {
  /** As numpy.savez_compressed(). */
  compressed?: boolean
  /** Instead of the true checksum. */
  crc?: number
}

/** Arrays as numpy.savez() writes them (PKWARE APPNOTE 4.3). */
export function npz(
  arrays: Readonly<Record<string, Buffer>>,
  { compressed = false, crc }: ArchiveOptions = {},
): Buffer {
  const bodies: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const [name, data] of Object.entries(arrays)) {
    const stored = compressed ? deflateRawSync(data) : data
    const path = Buffer.from(`${name}.npy`)
    const fields = Buffer.alloc(26)
    fields.writeUInt16LE(20, 0)
    fields.writeUInt16LE(compressed ? 8 : 0, 4)
    fields.writeUInt32LE(crc ?? crc32(data), 10)
    fields.writeUInt32LE(stored.length, 14)
    fields.writeUInt32LE(data.length, 18)
    fields.writeUInt16LE(path.length, 22)
    const body = Buffer.concat([Buffer.from('PK\x03\x04'), fields, path, stored])
    const tail = Buffer.alloc(14)
    tail.writeUInt32LE(offset, 10)
    directory.push(Buffer.from('PK\x01\x02\x14\0'), fields, tail, path)
    bodies.push(body)
    offset += body.length
  }
  const central = Buffer.concat(directory)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06')
  end.writeUInt16LE(bodies.length, 8)
  end.writeUInt16LE(bodies.length, 10)
  end.writeUInt32LE(central.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...bodies, central, end])
}
