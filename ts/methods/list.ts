import { type DatasetName, unknown } from './benchmarks.js'
import { catSeg } from './cat-seg.js'
import { clearclip } from './clearclip.js'
import { clipself } from './clipself.js'
import { corrclip } from './corrclip.js'
import { declip } from './declip.js'
import { itaclip } from './itaclip.js'
import { maskclip } from './maskclip.js'
import type { DatasetWords, Method } from './method.js'
import { naclip } from './naclip.js'
import { proxyclip } from './proxyclip.js'
import { scclip } from './scclip.js'
import { sclip } from './sclip.js'
import { talk2dino } from './talk2dino.js'
import { vanilla } from './vanilla.js'

/**
 * The presets of every method. A method is one file: its values, words, published figures and source.
 *
 * @example
 * ```ts
 * METHODS.itaclip.datasets.voc21?.published[0]?.mIoU // 67.9
 * ```
 */
export const METHODS = {
  declip,
  clipself,
  itaclip,
  sclip,
  clearclip,
  naclip,
  scclip,
  maskclip,
  proxyclip,
  corrclip,
  talk2dino,
  'cat-seg': catSeg,
  vanilla,
} satisfies Readonly<Record<string, Method>>

/** A method's name. */
export type MethodName = keyof typeof METHODS

/** Preset names; their values are data in {@link METHODS}. */
export const METHOD_NAMES: readonly MethodName[] = Object.freeze(
  Object.keys(METHODS) as MethodName[],
)

/**
 * The words that a method queries a benchmark with, ready for {@link Model.vocabulary}.
 *
 * @param method - A preset's name.
 * @param dataset - A benchmark's name.
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG for a pair that does not exist; lists what does.
 *
 * @example
 * ```ts
 * const { classes, background } = datasets('itaclip', 'voc21')
 * const vocabulary = await model.vocabulary(classes, { background })
 * ```
 */
export function datasets(method: MethodName, dataset: DatasetName): DatasetWords {
  if (!METHOD_NAMES.includes(method)) throw unknown('method', method, METHOD_NAMES)
  const words = Object.hasOwn(METHODS[method].words, dataset)
    ? METHODS[method].words[dataset]
    : undefined
  if (!words)
    throw unknown(`dataset of method '${method}'`, dataset, Object.keys(METHODS[method].words))
  return words
}
