/** Regions as NumPy's archives hold them: CorrCLIP's and others' `.npz` files. */
import type { Readable } from 'node:stream'
import zlib from 'node:zlib'
import { type Entry, fromBufferPromise, openPromise, type ZipFile } from 'yauzl'
import { onAbort } from '../base/abort.js'
import type { Call } from '../base/call.js'
import { eachLine } from '../base/event-loop.js'
import { ioError } from '../base/files.js'
import type { NativeTensor } from '../engine/addon-types.js'
import { loadAddon } from '../engine/load-addon.js'
import { aborted, DeclipError } from '../errors.js'
import { type NpyHeader, npyHeader } from '../words/npy.js'

/** The array's name in CorrCLIP's files. */
const ARRAY = 'instance_mask'
/** A header beyond is none of an array of numbers, in bytes. */
const LONGEST_HEADER = 1 << 16
/** Masks [K, H, W] of one file, in bytes. */
const MOST_MASK_BYTES = 2 ** 30
/** Names of arrays that a message lists. */
const NAMES_SHOWN = 5

/** In pixels. */
interface Size {
  readonly width: number
  readonly height: number
}

/**
 * The regions of a picture in an `.npz` file, as `numpy.savez()` and `savez_compressed()` write it: the array
 * `instance_mask`, or the only one of the file. Integers [H, W] of any type come as an int32 map, booleans [K, H, W] as
 * uint8 masks; the caller disposes of them. Only what the header promises is unpacked.
 *
 * @param source - path, or the file's bytes, which must not change meanwhile
 * @param name - for messages
 * @throws DeclipError ERR_DECLIP_IO, ERR_DECLIP_INVALID_ARG for a file that is damaged, holds something else or belongs
 * to a picture of another size, ERR_DECLIP_ABORTED
 * @internal
 */
export async function readNpz(
  source: string | Uint8Array,
  name: string,
  size: Size,
  { signal }: Call,
): Promise<NativeTensor> {
  if (signal?.aborted) throw aborted(signal)
  try {
    const zip = await openZip(source)
    try {
      const { entry, array } = await entryOf(zip, name)
      const stream = await zip.openReadStreamPromise(entry)
      const forget = onAbort(signal, () => stream.destroy())
      try {
        const found = await readArray(stream, { name: `${name}, ${array}`, size, crc: entry.crc32 })
        return await toTensor(found, size)
      } finally {
        forget()
        stream.destroy()
      }
    } finally {
      zip.close()
    }
  } catch (error) {
    if (signal?.aborted) throw aborted(signal)
    if (error instanceof DeclipError) throw error
    if (typeof (error as NodeJS.ErrnoException).syscall === 'string') {
      throw ioError('read', name, error)
    }
    const reason = error instanceof Error ? error.message : String(error)
    throw refused(name, `it is damaged or no zip archive (${reason}); write it again`, error)
  }
}

async function openZip(source: string | Uint8Array): Promise<ZipFile> {
  const options = { lazyEntries: true, autoClose: false } as const
  if (typeof source === 'string') return openPromise(source, options)
  const { buffer, byteOffset, byteLength } = source
  return fromBufferPromise(Buffer.from(buffer, byteOffset, byteLength), options)
}

async function entryOf(zip: ZipFile, name: string): Promise<{ entry: Entry; array: string }> {
  let only: Entry | undefined
  const names: string[] = []
  for await (const entry of zip.eachEntry()) {
    const array = entry.fileName.replace(/\.npy$/, '')
    if (array === ARRAY) return { entry, array }
    only = entry
    if (names.length <= NAMES_SHOWN) names.push(array)
  }
  const [array] = names
  if (only && array !== undefined && names.length === 1) return { entry: only, array }
  const shown = names.slice(0, NAMES_SHOWN).join(', ') + (names.length > NAMES_SHOWN ? ', ...' : '')
  throw refused(
    name,
    `it must hold one array, or one called ${ARRAY}, found ${shown || 'none'}; write it by numpy.savez_compressed(path, ${ARRAY}=regions)`,
  )
}

/** An array's elements as they are stored, from the beginning of the buffer. */
interface Elements extends NpyHeader {
  readonly bytes: Uint8Array
  readonly name: string
}

interface Expected {
  readonly name: string
  readonly size: Size
  readonly crc: number
}

/** Reads the header first, and what it promises if that is of the picture's size. */
async function readArray(
  stream: Readable,
  { name, size, crc: expectedCrc }: Expected,
): Promise<Elements> {
  let begin = Buffer.alloc(0)
  let found: Elements | undefined
  let filled = 0
  let crc = 0
  const take = (chunk: Uint8Array) => {
    const { bytes } = found as Elements
    if (filled + chunk.length > bytes.length) throw wrongLength(name, bytes.length)
    bytes.set(chunk, filled)
    filled += chunk.length
  }
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    crc = zlib.crc32(chunk, crc)
    if (found) {
      take(chunk)
      continue
    }
    begin = Buffer.concat([begin, chunk])
    if (begin.length < headerEnd(begin, name)) continue
    const header = npyHeader(begin, name)
    found = { ...header, name, bytes: new Uint8Array(bytesOf(header, name, size)) }
    take(begin.subarray(header.end))
  }
  if (!found) throw refused(name, 'it ends within its header')
  if (filled < found.bytes.length) throw wrongLength(name, found.bytes.length, filled)
  if (crc !== expectedCrc) {
    throw refused(
      name,
      'its checksum does not fit its elements: the file is damaged; write it again',
    )
  }
  return found
}

/** Where an array's elements begin, as far as its first bytes say. */
function headerEnd(begin: Buffer, name: string): number {
  if (begin.length < 12) return 12
  const end = begin[6] === 1 ? 10 + begin.readUInt16LE(8) : 12 + begin.readUInt32LE(8)
  if (end > LONGEST_HEADER) throw refused(name, 'it is no array of NumPy')
  return end
}

/** Bytes of the elements of an array that fits the picture. */
function bytesOf(header: NpyHeader, name: string, { width, height }: Size): number {
  const { descr, isFortran, shape } = header
  const bytes = isFortran === undefined ? undefined : TYPES.get(kindOf(descr))
  const [h, w] = shape.slice(-2)
  const isMap = shape.length === 2 && bytes !== undefined && descr !== BOOL
  const areMasks = shape.length === 3 && descr === BOOL
  if (!isMap && !areMasks) {
    throw refused(
      name,
      `it must be whole numbers [H, W], 0 outside of regions, or booleans [K, H, W], found ${descr} [${shape.join(', ')}]`,
    )
  }
  if (h !== height || w !== width) {
    throw refused(
      name,
      `its regions must be of the picture's height and width, [${height}, ${width}], found [${h}, ${w}]`,
    )
  }
  const total = shape.reduce((a, b) => a * b, bytes as number)
  if (total > MOST_MASK_BYTES) {
    throw refused(
      name,
      `its masks take ${total} bytes, more than ${MOST_MASK_BYTES}; write one map of whole numbers [H, W]`,
    )
  }
  return total
}

const BOOL = '|b1'

/** Bytes of the types of whole numbers, by NumPy's letter and width. */
const TYPES: ReadonlyMap<string, number> = new Map([
  ['b1', 1],
  ['i1', 1],
  ['i2', 2],
  ['i4', 4],
  ['i8', 8],
  ['u1', 1],
  ['u2', 2],
  ['u4', 4],
  ['u8', 8],
])

/** Without the order of bytes. */
function kindOf(descr: string): string {
  return descr.replace(/^[<>|=]/, '')
}

async function toTensor(found: Elements, { width, height }: Size): Promise<NativeTensor> {
  const addon = loadAddon()
  const { shape, isFortran, bytes, name } = found
  if (shape.length === 3) {
    const masks = isFortran ? await inRows(bytes, shape as [number, number, number]) : bytes
    return addon.pooledTensor(masks, shape, 'uint8')
  }
  const read = readerOf(found)
  const map = new Int32Array(width * height)
  await eachLine(height, width, y => {
    for (let x = 0; x < width; x++) {
      const value = read(isFortran ? x * height + y : y * width + x)
      if (value === undefined) {
        throw refused(name, 'its numbers must fit 32 bits with a sign, -2147483648 to 2147483647')
      }
      map[y * width + x] = value
    }
  })
  return addon.pooledTensor(map, [height, width], 'int32')
}

/** Masks whose first index runs fastest, row by row. */
async function inRows(
  bytes: Uint8Array,
  [count, height, width]: [number, number, number],
): Promise<Uint8Array> {
  const out = new Uint8Array(bytes.length)
  await eachLine(count * height, width, line => {
    const k = Math.floor(line / height)
    const y = line % height
    for (let x = 0; x < width; x++) {
      out[line * width + x] = bytes[k + count * (y + height * x)] as number
    }
  })
  return out
}

/** Reads an element; undefined for one beyond 32 bits. */
function readerOf({ bytes, descr }: Elements): (i: number) => number | undefined {
  const view = new DataView(bytes.buffer)
  const little = !descr.startsWith('>')
  const high = little ? 4 : 0
  const low = 4 - high
  switch (kindOf(descr)) {
    case 'i1':
      return i => view.getInt8(i)
    case 'i2':
      return i => view.getInt16(2 * i, little)
    case 'i4':
      return i => view.getInt32(4 * i, little)
    case 'u2':
      return i => view.getUint16(2 * i, little)
    case 'u4':
      return i => {
        const value = view.getInt32(4 * i, little)
        return value < 0 ? undefined : value
      }
    case 'i8':
      return i => {
        const value = view.getInt32(8 * i + low, little)
        return view.getInt32(8 * i + high, little) === value >> 31 ? value : undefined
      }
    case 'u8':
      return i => {
        const value = view.getInt32(8 * i + low, little)
        return value < 0 || view.getInt32(8 * i + high, little) !== 0 ? undefined : value
      }
    default:
      return i => bytes[i] as number
  }
}

function wrongLength(name: string, expected: number, found?: number): DeclipError {
  const got = found === undefined ? 'more' : String(found)
  return refused(name, `its elements must take ${expected} bytes, found ${got}`)
}

function refused(name: string, problem: string, cause?: unknown): DeclipError {
  return new DeclipError('ERR_DECLIP_INVALID_ARG', `${name} holds no regions: ${problem}.`, {
    cause,
  })
}
