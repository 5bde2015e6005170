import { readFileSync } from 'node:fs'
import zlib from 'node:zlib'
import { packagePath } from '../base/package-files.js'
import { DeclipError } from '../errors.js'
import { BytePairEncoder, type MergeTable } from './byte-pairs.js'
import { isPrintable } from './symbols.js'

/** Pairs that CLIP's own vocabulary has learned. */
const MERGES = 48894

/** Checksum of the file that holds them. */
const CRC32 = 0x744f635d

/** Symbols of CLIP's vocabulary; the special tokens follow them. */
export const CLIP_SYMBOLS = 512 + MERGES

/** The file in assets/: both ids of every pair, uint16, little-endian; written by scripts/make/clip-merges.mjs. */
export const CLIP_MERGES_FILE = 'clip-merges.bin'

/**
 * CLIP's own vocabulary. Its ids are those of the bytes, printable ones first, of the bytes that end
 * a word in the same order, and of the joined pairs as they were learned.
 *
 * @throws DeclipError ERR_DECLIP_IO if the package's file is missing or damaged
 */
export function clipMerges(): MergeTable {
  const bytes = new Int32Array(512)
  let id = 0
  for (const printable of [true, false]) {
    for (let byte = 0; byte < 256; byte++) {
      if (isPrintable(byte) !== printable) continue
      bytes[byte] = id
      bytes[256 + byte] = 256 + id++
    }
  }
  return {
    bytes,
    pairs: readPairs(),
    joined: Int32Array.from({ length: MERGES }, (_, i) => 512 + i),
  }
}

let encoder: BytePairEncoder | undefined

/**
 * The encoder of CLIP's own vocabulary, made on first use.
 *
 * @throws DeclipError as {@link clipMerges}
 */
export function clipEncoder(): BytePairEncoder {
  encoder ??= new BytePairEncoder(clipMerges())
  return encoder
}

function readPairs(): Uint16Array {
  const path = packagePath('assets', CLIP_MERGES_FILE)
  try {
    const file = readFileSync(path)
    if (zlib.crc32(file) !== CRC32) throw new Error('its checksum is wrong')
    return new Uint16Array(file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength))
  } catch (cause) {
    throw new DeclipError(
      'ERR_DECLIP_IO',
      `Expected the tokenizer's merges in ${path}, but the file cannot be read ` +
        `(${(cause as Error).message}). Install declip-native again; a bundler must keep it external.`,
      { cause },
    )
  }
}
