/**
 * Files that are tracked compressed. In `name.planesN.br` numbers have N bytes each: the first of all
 * numbers, then the second of all and so on, which compresses better; `name.br` is as it is.
 */
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib'

/** The name that a packed file has unpacked. */
export function unpackedName(packed) {
  return packed.replace(/(\.planes\d)?\.br$/, '')
}

/** The bytes as they are tracked under the name `packed`. */
export function pack(bytes, packed) {
  const params = {
    [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  }
  return brotliCompressSync(toPlanes(bytes, planesOf(packed)), { params })
}

/** What {@link pack} made them of. @throws where they are damaged */
export function unpack(bytes, packed) {
  return fromPlanes(brotliDecompressSync(bytes), planesOf(packed))
}

/** Writes a file whole or not at all. */
export function writeWhole(path, bytes) {
  const temporary = `${path}.${process.pid}.part`
  mkdirSync(dirname(path), { recursive: true })
  try {
    writeFileSync(temporary, bytes)
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  }
}

function planesOf(packed) {
  return Number(/\.planes(\d)\.br$/.exec(packed)?.[1] ?? 1)
}

/** Byte j of every number, for all j in turn; bytes that make up no whole number stay at the end. */
function toPlanes(bytes, size) {
  const count = Math.floor(bytes.length / size)
  const out = Buffer.from(bytes)
  for (let i = 0; i < count; i++)
    for (let j = 0; j < size; j++) out[j * count + i] = bytes[i * size + j]
  return out
}

function fromPlanes(bytes, size) {
  const count = Math.floor(bytes.length / size)
  const out = Buffer.from(bytes)
  for (let i = 0; i < count; i++)
    for (let j = 0; j < size; j++) out[i * size + j] = bytes[j * count + i]
  return out
}
