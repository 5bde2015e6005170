/** What tests of whole calls share: pictures, fixtures and reading results. */
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { RawImage, Segmentation, Tensor } from '../../ts/index.js'

const TEST = join(dirname(fileURLToPath(import.meta.url)), '..')

/** A file of test/fixtures. */
export const fixture = (...path: string[]): string => join(TEST, 'fixtures', ...path)

/** A file of test/lifetime/scripts, which run on the built package. */
export const script = (name: string): string => join(TEST, 'lifetime', 'scripts', name)

/** The environment without the test runner's own loader, for child processes and workers. */
export function plainEnv(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS: _, ...env } = process.env
  return env
}

/** Numbers from 0 to 1 (Mulberry32). */
export function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A picture of coloured rectangles with some noise, so that neighbouring patches differ. */
export function picture(width: number, height: number, seed = 1): RawImage & { data: Uint8Array } {
  const next = random(seed)
  const data = new Uint8Array(width * height * 3).fill(128)
  for (let shape = 0; shape < 12; shape++) {
    const color = [next() * 256, next() * 256, next() * 256]
    const [left, top] = [Math.floor(next() * width), Math.floor(next() * height)]
    const right = Math.min(width, left + 1 + Math.floor((next() * width) / 2))
    const bottom = Math.min(height, top + 1 + Math.floor((next() * height) / 2))
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) data.set(color, 3 * (y * width + x))
    }
  }
  for (let i = 0; i < data.length; i++) {
    data[i] = Math.min(255, (data[i] as number) + Math.floor(next() * 8))
  }
  return { data, width, height }
}

/** A normalised picture [batch, 3, height, width], values about -2 to 2. */
export function normalised(batch: number, height: number, width: number, seed = 1): Float32Array {
  const next = random(seed)
  return Float32Array.from({ length: batch * 3 * height * width }, () => next() * 4 - 2)
}

export async function floats(tensor: Tensor): Promise<Float32Array> {
  return (await tensor.data()) as Float32Array
}

/** Labels as a plain array; disposes the segmentation. */
export async function labelsOf(seg: Segmentation): Promise<number[]> {
  const labels = Array.from((await seg.labels.data()) as Uint8Array)
  seg.dispose()
  return labels
}

/** Largest absolute difference; NaN where either has one, infinite where lengths differ. */
export function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY
  let worst = 0
  for (let i = 0; i < a.length; i++) {
    const distance = Math.abs((a[i] as number) - (b[i] as number))
    if (!(distance <= worst)) worst = distance
  }
  return worst
}

/** Share of equal elements, 0 to 1. */
export function agreement(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let same = 0
  for (let i = 0; i < a.length; i++) if (a[i] === b[i]) same += 1
  return a.length === b.length ? same / a.length : 0
}

export const pause = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))
