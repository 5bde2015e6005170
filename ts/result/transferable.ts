import { types } from 'node:util'
import { eachLine } from '../base/event-loop.js'
import { DeclipError, describe, invalid } from '../errors.js'
import type { Rgb } from './palette.js'
import type { Timings } from './timings.js'

/** A {@link Segmentation} as plain data: for workers, child processes and windows that load nothing native. */
export interface SegmentationData {
  /** Index into `classes` of every pixel, row by row: width x height elements. */
  readonly labels: Uint8Array | Uint16Array
  /** In pixels. */
  readonly width: number
  /** In pixels. */
  readonly height: number
  readonly classes: readonly string[]
  /** Fraction of the pixels per class, 0 to 1. */
  readonly areas: readonly number[]
  /** Index of the background class, -1 for none. */
  readonly background: number
  /** The overlay's colors in class order; null where it keeps the picture. */
  readonly colors: readonly (Rgb | null)[]
  readonly timings: Timings
  /**
   * How sure each label is: 255 times the root of its probability; 0 where that is not known. What scores of objects
   * are made of.
   */
  readonly certainty?: Uint8Array | undefined
  /** [C, H, W], if the call asked for them. */
  readonly logits?: Float32Array | undefined
  /** [C, H, W], if the call asked for them. */
  readonly probabilities?: Float32Array | undefined
}

/** What {@link Segmentation.toTransferable} gives: both arguments of postMessage(). */
export interface TransferableSegmentation {
  readonly message: SegmentationData
  /** The arrays' memory, which is moved and not copied. */
  readonly transfer: ArrayBuffer[]
}

/** Checks what came in a message; resolves with the pixels per class. @internal */
export async function checkData(data: SegmentationData): Promise<number[]> {
  if (typeof data !== 'object' || data === null) {
    throw invalid('data', 'the message of toTransferable()', data)
  }
  const { labels, width, height, classes, background, timings } = data
  for (const [name, value] of Object.entries({ width, height })) {
    if (!(Number.isInteger(value) && value > 0)) throw invalid(`data.${name}`, '1 or more', value)
  }
  if (!Array.isArray(classes) || classes.length === 0 || classes.some(c => typeof c !== 'string')) {
    throw invalid('data.classes', 'a list of names', classes)
  }
  const isLabels = types.isUint8Array(labels) || types.isUint16Array(labels)
  checkArray('labels', labels, isLabels, width * height)
  if (!(Number.isInteger(background) && background >= -1 && background < classes.length)) {
    throw invalid('data.background', `-1 to ${classes.length - 1}`, background)
  }
  if (typeof timings !== 'object' || timings === null) {
    throw invalid('data.timings', 'an object', timings)
  }
  const { certainty } = data
  if (certainty !== undefined) {
    checkArray('certainty', certainty, types.isUint8Array(certainty), width * height)
  }
  for (const name of ['logits', 'probabilities'] as const) {
    const values = data[name]
    if (values === undefined) continue
    checkArray(name, values, types.isFloat32Array(values), classes.length * width * height)
  }
  return countPixels(data)
}

const KINDS: Readonly<Record<string, string>> = {
  labels: 'Uint8Array or Uint16Array',
  certainty: 'Uint8Array',
}

function checkArray(name: string, value: ArrayLike<number>, fits: boolean, length: number): void {
  if (fits && value.length === length) return
  const kind = KINDS[name] ?? 'Float32Array'
  const got = fits ? `one of ${value.length}` : describe(value)
  throw new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `data.${name} must be a ${kind} of ${length} elements, received ${got}.`,
  )
}

async function countPixels({
  labels,
  width,
  height,
  classes,
}: SegmentationData): Promise<number[]> {
  const counts = new Array<number>(classes.length).fill(0)
  await eachLine(height, width, y => {
    for (let i = y * width; i < (y + 1) * width; i++) {
      const label = labels[i] as number
      if (label >= counts.length) throw invalid('data.labels', `0 to ${counts.length - 1}`, label)
      counts[label] = (counts[label] as number) + 1
    }
  })
  return counts
}
