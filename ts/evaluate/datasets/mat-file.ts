/**
 * Label matrices in MATLAB's files, as PASCAL Context publishes them: level 5 ("MAT-File Format", MathWorks), in which
 * one variable, `LabelMap`, is a real matrix of whole numbers. Nothing else is read.
 */
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { inflate } from 'node:zlib'
import { eachLine } from '../../base/event-loop.js'
import { ioError } from '../../base/files.js'
import { aborted, DeclipError } from '../../errors.js'
import type { LabelMap } from '../../image/label-map.js'

const VARIABLE = 'LabelMap'
const HEADER_BYTES = 128
/** Of a matrix after decompression; a label map of 8 bytes a pixel and 16 megapixels. */
const MOST_BYTES = 128 * 2 ** 20

/** Data types. */
const MATRIX = 14
const COMPRESSED = 15

/** Array classes that hold real numbers: double, single and whole numbers of 8 to 32 bits. */
const NUMBERS: ReadonlySet<number> = new Set([6, 7, 8, 9, 10, 11, 12, 13])
const COMPLEX = 0x08

/** Bytes of a number and how it is read, by data type. */
const TYPES: Readonly<
  Record<
    number,
    readonly [bytes: number, read: (view: DataView, at: number, little: boolean) => number]
  >
> = {
  1: [1, (view, at) => view.getInt8(at)],
  2: [1, (view, at) => view.getUint8(at)],
  3: [2, (view, at, little) => view.getInt16(at, little)],
  4: [2, (view, at, little) => view.getUint16(at, little)],
  5: [4, (view, at, little) => view.getInt32(at, little)],
  6: [4, (view, at, little) => view.getUint32(at, little)],
  7: [4, (view, at, little) => view.getFloat32(at, little)],
  9: [8, (view, at, little) => view.getFloat64(at, little)],
}

/** A piece of the file: its type, and where its data begin and end. */
interface Element {
  readonly type: number
  readonly start: number
  readonly end: number
  /** Where the next one begins. */
  readonly next: number
}

/**
 * The matrix `LabelMap` of a MAT file, row by row.
 *
 * @param path - file
 * @throws DeclipError ERR_DECLIP_IO, ERR_DECLIP_ABORTED, or ERR_DECLIP_IMAGE naming the file that has no such matrix
 */
export async function readLabelMat(path: string, signal?: AbortSignal): Promise<LabelMap> {
  let bytes: Buffer
  try {
    bytes = await readFile(path, { signal })
  } catch (error) {
    throw signal?.aborted ? aborted(signal) : ioError('read', path, error)
  }
  try {
    return await decodeLabelMat(bytes)
  } catch (error) {
    if (error instanceof DeclipError) throw error
    const reason = error instanceof RangeError ? 'it is cut or damaged; copy it again' : undefined
    const text = reason ?? (error as Error).message
    throw new DeclipError('ERR_DECLIP_IMAGE', `Cannot read labels of ${path}: ${text}.`, {
      cause: error,
    })
  }
}

async function decodeLabelMat(bytes: Buffer): Promise<LabelMap> {
  const mark = bytes.toString('latin1', 126, HEADER_BYTES)
  if (bytes.length < HEADER_BYTES || (mark !== 'IM' && mark !== 'MI')) {
    const isHdf =
      bytes.toString('latin1', 1, 4) === 'HDF' || bytes.includes('MATLAB 7.3', 0, 'latin1')
    const save = "; save it in MATLAB with save(file, 'LabelMap', '-v7')"
    throw new Error(
      `it is ${isHdf ? 'a MAT file of version 7.3' : 'no MAT file of level 5'}${save}`,
    )
  }
  const little = mark === 'IM'
  const whole = viewOf(bytes)
  for (let at = HEADER_BYTES; at < bytes.length; ) {
    const element = elementAt(whole, at, little, true)
    if (element.type === COMPRESSED) {
      const packed = bytes.subarray(element.start, element.end)
      const inner = await unpack(packed)
      const view = viewOf(inner)
      const found = await labelMatrix(view, elementAt(view, 0, little, false), little)
      if (found) return found
    } else {
      const found = await labelMatrix(whole, element, little)
      if (found) return found
    }
    at = element.next
  }
  throw new Error(`it has no variable ${VARIABLE}`)
}

async function unpack(packed: Uint8Array): Promise<Buffer> {
  try {
    return await promisify(inflate)(packed, { maxOutputLength: MOST_BYTES })
  } catch (cause) {
    throw new Error('its compressed data are damaged; copy it again', { cause })
  }
}

/** The element at a place. Compressed ones are not padded, all others to 8 bytes. */
function elementAt(view: DataView, at: number, little: boolean, outer: boolean): Element {
  const first = view.getUint32(at, little)
  const small = first >>> 16
  if (small !== 0) return { type: first & 0xffff, start: at + 4, end: at + 4 + small, next: at + 8 }
  const start = at + 8
  const end = start + view.getUint32(at + 4, little)
  if (end > view.byteLength) throw new RangeError('an element ends behind the file')
  const isPadded = !(outer && first === COMPRESSED)
  return { type: first, start, end, next: isPadded ? Math.ceil(end / 8) * 8 : end }
}

/** The matrix of an element, if it is the one that is looked for. */
async function labelMatrix(
  view: DataView,
  { type, start }: Element,
  little: boolean,
): Promise<LabelMap | undefined> {
  if (type !== MATRIX) return undefined
  const flags = elementAt(view, start, little, false)
  const dimensions = elementAt(view, flags.next, little, false)
  const name = elementAt(view, dimensions.next, little, false)
  let text = ''
  for (let i = name.start; i < name.end; i++) text += String.fromCharCode(view.getUint8(i))
  if (text !== VARIABLE) return undefined
  const kind = view.getUint8(flags.start + (little ? 0 : 3))
  const isComplex = (view.getUint8(flags.start + (little ? 1 : 2)) & COMPLEX) !== 0
  const sizes: number[] = []
  for (let i = dimensions.start; i < dimensions.end; i += 4) sizes.push(view.getInt32(i, little))
  const [height = 0, width = 0] = sizes
  if (!NUMBERS.has(kind) || isComplex || sizes.length !== 2 || height < 1 || width < 1) {
    throw new Error(`${VARIABLE} must be a matrix of real numbers`)
  }
  const values = elementAt(view, name.next, little, false)
  const [size, read] = TYPES[values.type] ?? [0]
  if (!read || (values.end - values.start) / size !== height * width) {
    throw new Error(`${VARIABLE} has not ${height} x ${width} numbers`)
  }
  const data = new Uint16Array(height * width)
  let isWhole = true
  // The file has column after column.
  await eachLine(height, width, y => {
    for (let x = 0; x < width; x++) {
      const value = read(view, values.start + size * (x * height + y), little)
      data[y * width + x] = value
      isWhole &&= data[y * width + x] === value
    }
  })
  if (!isWhole) throw new Error(`${VARIABLE} must hold whole numbers of 0 to 65535`)
  return { width, height, data }
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength)
}
