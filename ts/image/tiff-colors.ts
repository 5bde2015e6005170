import { eachLine } from '../base/event-loop.js'
import type { TiffSamples } from './tiff.js'

/** What floats may lie outside 0..1 by: half a step of 8 bits. */
const SLACK = 0.5 / 255

/**
 * Floats as 8-bit values, 1 as 255; grey repeated.
 *
 * @param samples - height x width x (1 or 3)
 * @throws Error where the values are no colours from 0 to 1
 * @internal
 */
export async function floatsToBytes(
  samples: Float32Array,
  width: number,
  height: number,
): Promise<Uint8Array> {
  const channels = samples.length / (width * height)
  const stride = channels * width
  const rgb = new Uint8Array(3 * width * height)
  let [least, most, numbers] = [0, 1, true]
  await eachLine(height, width, y => {
    for (let i = y * stride, to = 3 * y * width; i < (y + 1) * stride; i++) {
      const sample = samples[i] as number
      if (sample < least) least = sample
      else if (sample > most) most = sample
      else if (Number.isNaN(sample)) numbers = false
      const byte = Math.max(0, Math.min(255, Math.round(sample * 255)))
      for (let copies = channels === 1 ? 3 : 1; copies > 0; copies--) rgb[to++] = byte
    }
  })
  if (!numbers)
    throw new Error('it is a TIFF of floats that are not all numbers; convert it to 8 bits first')
  if (least >= -SLACK && most <= 1 + SLACK) return rgb
  const range = `${Number(least.toPrecision(4))} to ${Number(most.toPrecision(4))}`
  throw new Error(
    `it is a TIFF of floats from ${range}, and colours are 0 to 1; convert it to 8 bits first`,
  )
}

/**
 * Y, Cb, Cr as RGB, in place (TIFF 6.0, section 21).
 *
 * @param samples - height x width x 3
 * @internal
 */
export async function ycbcrToRgb(
  samples: Uint8Array,
  width: number,
  height: number,
  { luma, range }: Extract<TiffSamples, { kind: 'ycbcr' }>,
): Promise<Uint8Array> {
  const [red = 0, green = 1, blue = 0] = luma
  const [black = 0, white = 255, noBlue = 128, mostBlue = 255, noRed = 128, mostRed = 255] = range
  const [yScale, bScale, rScale] = [
    255 / (white - black),
    (127 / (mostBlue - noBlue)) * (2 - 2 * blue),
    (127 / (mostRed - noRed)) * (2 - 2 * red),
  ]
  // Stores round to the nearest and clamp.
  const rgb = new Uint8ClampedArray(samples.buffer, samples.byteOffset, samples.length)
  await eachLine(height, width, line => {
    for (let i = 3 * line * width; i < 3 * (line + 1) * width; i += 3) {
      const y = ((rgb[i] as number) - black) * yScale
      const b = y + ((rgb[i + 1] as number) - noBlue) * bScale
      const r = y + ((rgb[i + 2] as number) - noRed) * rScale
      rgb[i] = r
      rgb[i + 1] = (y - red * r - blue * b) / green
      rgb[i + 2] = b
    }
  })
  return samples
}
