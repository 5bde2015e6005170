import { zip } from './zip.js'

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
  const files = Object.entries(arrays).map(([name, data]) => [`${name}.npy`, data] as const)
  return zip(Object.fromEntries(files), { compressed, crc })
}
