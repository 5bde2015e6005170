/**
 * What the decoder does not look at in a TIFF file: how its numbers are stored and what they mean
 * (TIFF 6.0; BigTIFF). Only the first directory is read.
 */

/** How the samples of a TIFF become 8-bit RGB. @internal */
export type TiffSamples =
  /** As the decoder gives them. */
  | { readonly kind: 'decoded' }
  /** 32-bit floats, 0 to 1. */
  | { readonly kind: 'floats'; readonly grey: boolean }
  /** Y, Cb, Cr of 8 bits, which the decoder hands out as they are. */
  | {
      readonly kind: 'ycbcr'
      /** Shares of red, green and blue in Y. */
      readonly luma: readonly number[]
      /** Codes of black and white for Y, and of none and most for Cb and Cr. */
      readonly range: readonly number[]
    }

const TAG = {
  subfile: 254,
  bits: 258,
  compression: 259,
  photometric: 262,
  make: 271,
  channels: 277,
  subDirectories: 330,
  sampleFormat: 339,
  luma: 529,
  subsampling: 530,
  range: 532,
  dngVersion: 50706,
} as const

const WANTED: ReadonlySet<number> = new Set(Object.values(TAG))

/** PhotometricInterpretation. */
const [BLACK_IS_ZERO, RGB, YCBCR] = [1, 2, 6]

/** Compression: the decoder converts JPEG's colours by itself. */
const JPEG = 7

const REFUSED_COMPRESSIONS: Readonly<Record<number, string>> = {
  34712: 'JPEG 2000',
  34887: 'LERC',
  34925: 'LZMA',
  50000: 'Zstandard',
  50002: 'JPEG XL',
}

const REFUSED_COLORS: Readonly<Record<number, string>> = {
  4: 'a transparency mask',
  8: 'CIELAB colours',
  9: 'ICC LAB colours',
  10: 'ITU LAB colours',
  32803: 'the mosaic of a camera sensor',
  32844: 'LogL values',
  32845: 'LogLuv colours',
  34892: 'the raw values of a camera sensor',
}

/** SampleFormat. */
const [UNSIGNED, FLOAT] = [1, 3]

const REFUSED_SAMPLES: Readonly<Record<number, string>> = {
  1: 'whole numbers',
  2: 'signed whole numbers',
  3: 'floats',
  5: 'complex whole numbers',
  6: 'complex floats',
}

/**
 * How to decode a TIFF, or why it is refused: what would come out in wrong colours is not decoded.
 *
 * @throws Error with the reason
 * @internal
 */
export function tiffSamples(bytes: Uint8Array): TiffSamples {
  const tags = readTags(bytes)
  const first = (tag: number, otherwise: number) => tags.get(tag)?.[0] ?? otherwise
  // The first picture of a raw file is a thumbnail; the raw one lies in a directory below it.
  const isThumbnail = (first(TAG.subfile, 0) & 1) === 1 && tags.has(TAG.subDirectories)
  if (tags.has(TAG.dngVersion) || (isThumbnail && tags.has(TAG.make))) {
    throw new Error('it is a camera raw file; develop it to a TIFF or JPEG first')
  }
  const photometric = first(TAG.photometric, BLACK_IS_ZERO)
  const colors = REFUSED_COLORS[photometric]
  if (colors) throw new Error(`it is a TIFF of ${colors}; convert it to RGB first`)
  const compression = first(TAG.compression, 1)
  const packed = REFUSED_COMPRESSIONS[compression]
  if (packed) throw new Error(`it is a TIFF compressed with ${packed}; save it with LZW or Deflate`)
  const bits = Math.max(...(tags.get(TAG.bits) ?? [1]))
  const format = first(TAG.sampleFormat, UNSIGNED)
  if (format === FLOAT && bits === 32 && [BLACK_IS_ZERO, RGB].includes(photometric)) {
    return { kind: 'floats', grey: photometric === BLACK_IS_ZERO }
  }
  const samples = REFUSED_SAMPLES[format]
  const isGrey = first(TAG.channels, 1) === 1
  const isRead = format === UNSIGNED && (isGrey ? [1, 2, 4, 8, 16] : [8, 16]).includes(bits)
  if (samples && !isRead) {
    throw new Error(`it is a TIFF of ${bits}-bit ${samples}; convert it to 8 or 16 bits first`)
  }
  if (photometric !== YCBCR || compression === JPEG) return { kind: 'decoded' }
  // Samples that share their colour are converted by the decoder, those of 1 x 1 are not.
  if ((tags.get(TAG.subsampling) ?? [2, 2]).some(factor => factor > 1)) return { kind: 'decoded' }
  if (bits !== 8)
    throw new Error(`it is a TIFF of ${bits}-bit YCbCr colours; convert it to RGB first`)
  return {
    kind: 'ycbcr',
    luma: tags.get(TAG.luma) ?? [0.299, 0.587, 0.114],
    range: tags.get(TAG.range) ?? [0, 255, 128, 255, 128, 255],
  }
}

/** Bytes of a value, by its type. */
const SIZES: Readonly<Record<number, number>> = {
  1: 1,
  3: 2,
  4: 4,
  5: 8,
  7: 1,
  13: 4,
  16: 8,
  18: 8,
}

const RATIONAL = 5

/** Values of a tag that are looked at; those above have one per channel or fewer. */
const MOST_VALUES = 16

/** The tags of {@link TAG} in the first directory; of a file that is cut, those before the cut. */
function readTags(bytes: Uint8Array): Map<number, number[]> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const tags = new Map<number, number[]>()
  try {
    const little = view.getUint8(0) === 0x49
    const big = view.getUint16(2, little) === 43
    const long = (at: number) =>
      big ? Number(view.getBigUint64(at, little)) : view.getUint32(at, little)
    const value = (at: number, type: number) => {
      const size = SIZES[type] ?? 1
      if (size === 1) return view.getUint8(at)
      if (size === 2) return view.getUint16(at, little)
      const whole = view.getUint32(at, little)
      return type === RATIONAL ? whole / view.getUint32(at + 4, little) : whole
    }
    const [head, entry, room] = big ? [8, 20, 8] : [2, 12, 4]
    const start = long(big ? 8 : 4)
    const entries = big ? long(start) : view.getUint16(start, little)
    for (let at = start + head; at < start + head + entries * entry; at += entry) {
      const tag = view.getUint16(at, little)
      if (!WANTED.has(tag)) continue
      const type = view.getUint16(at + 2, little)
      const size = SIZES[type] ?? 1
      const count = long(at + 4)
      const inside = at + entry - room
      const from = count * size > room ? long(inside) : inside
      const length = Math.min(count, MOST_VALUES)
      tags.set(
        tag,
        Array.from({ length }, (_, i) => value(from + i * size, type)),
      )
    }
  } catch (error) {
    // A file that is cut is refused by the decoder, with its own reason.
    if (!(error instanceof RangeError)) throw error
  }
  return tags
}
