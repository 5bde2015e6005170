import { DeclipError } from '../errors.js'

/** A matrix of numbers as a file holds it, row by row. @internal */
export interface Matrix {
  readonly values: Float32Array
  readonly rows: number
  readonly columns: number
}

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59] // \x93NUMPY

/** Element types of embeddings, by NumPy's names, with their bytes. */
const SIZES = { '<f2': 2, '<f4': 4, '<f8': 8 } as const

/** @internal */
export function isNpy(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, i) => bytes[i] === byte)
}

/** What stands before an array's elements. @internal */
export interface NpyHeader {
  /** The type of the elements by NumPy's name, or 'a structure'. */
  readonly descr: string
  /** Undefined where the header does not say. */
  readonly isFortran: boolean | undefined
  /** Empty also where the header does not say. */
  readonly shape: readonly number[]
  /** As it is written. */
  readonly text: string
  /** Bytes before the first element. */
  readonly end: number
}

/**
 * The header of an array as `numpy.save()` writes it (numpy.lib.format, versions 1 to 3).
 *
 * @param bytes - at least the header
 * @param path - named in errors
 * @throws DeclipError ERR_DECLIP_INVALID_ARG
 * @internal
 */
export function npyHeader(bytes: Uint8Array, path: string): NpyHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const wide = bytes[6] !== 1
  const start = wide ? 12 : 10
  if (!isNpy(bytes) || bytes.length < start || ![1, 2, 3].includes(bytes[6] as number)) {
    throw refused(path, 'it must begin with a header of version 1 to 3')
  }
  const end = start + (wide ? view.getUint32(8, true) : view.getUint16(8, true))
  if (end > bytes.length) throw refused(path, 'it ends within its header')
  const text = new TextDecoder('utf-8').decode(bytes.subarray(start, end))
  const order = /'fortran_order':\s*(True|False)\b/.exec(text)?.[1]
  const shape = /'shape':\s*\(([\d,\sL]*)\)/.exec(text)?.[1]
  return {
    descr: /'descr':\s*'([^']*)'/.exec(text)?.[1] ?? 'a structure',
    isFortran: order === undefined ? undefined : order === 'True',
    shape: (shape ?? '').match(/\d+/g)?.map(Number) ?? [],
    text: text.trim(),
    end,
  }
}

/**
 * Reads a matrix of floats as `numpy.save()` writes it (numpy.lib.format, versions 1 to 3): '<f2', '<f4' or '<f8', in
 * C or Fortran order.
 *
 * @param path - named in errors
 * @throws DeclipError ERR_DECLIP_INVALID_ARG for anything else
 * @internal
 */
export function readNpy(bytes: Uint8Array, path: string): Matrix {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const { descr, isFortran, shape, text, end } = npyHeader(bytes, path)
  if (!isType(descr)) {
    const types = Object.keys(SIZES).join(', ')
    throw refused(path, `its elements must be ${types}, found '${descr}'; save array.astype('<f4')`)
  }
  const [rows = 0, columns = 0, ...more] = shape
  if (isFortran === undefined || rows < 1 || columns < 1 || more.length > 0) {
    throw refused(
      path,
      `its shape must be [classes, features], found the header ${text.slice(0, 200)}`,
    )
  }
  const size = SIZES[descr]
  const expected = rows * columns * size
  if (bytes.length - end !== expected) {
    const found = bytes.length - end
    throw refused(path, `[${rows}, ${columns}] must take ${expected} bytes, found ${found}`)
  }
  const read = {
    '<f2': (at: number) => half(view.getUint16(at, true)),
    '<f4': (at: number) => view.getFloat32(at, true),
    '<f8': (at: number) => view.getFloat64(at, true),
  }[descr]
  const values = new Float32Array(rows * columns)
  for (let i = 0; i < values.length; i++) {
    const place = isFortran ? (i % rows) * columns + Math.floor(i / rows) : i
    values[place] = read(end + i * size)
  }
  return { values, rows, columns }
}

function isType(descr: string): descr is keyof typeof SIZES {
  return Object.hasOwn(SIZES, descr)
}

/** The number that 16 bits stand for (IEEE 754 binary16). */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 0x1f
  const fraction = bits & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

function refused(path: string, problem: string): DeclipError {
  return new DeclipError('ERR_DECLIP_INVALID_ARG', `${path} is no usable NumPy array: ${problem}.`)
}
