/** Regions that are named: their boxes, masks and crops against words. */
import type { Call } from '../../base/call.js'
import type { DenseMode } from '../../base/names.js'
import { callNative } from '../../engine/call-native.js'
import { loadAddon } from '../../engine/load-addon.js'
import type { Tensor } from '../../engine/tensor.js'
import { modeOf } from '../../methods/fields.js'
import { METHODS, type MethodName } from '../../methods/list.js'
import { checkMode, presetFor } from '../../methods/preset.js'
import type { Model } from '../../model/model.js'
import {
  disposeFeatures,
  type RegionFeatures,
  regionFeatures,
} from '../../model/region-features.js'
import { prepare } from '../../segment/segment.js'
import { Vocabulary } from '../../words/vocabulary.js'
import type { DatasetPicture, OpenDataset, RegionsTruth } from '../datasets/dataset.js'
import type { EvaluateOptions } from '../options.js'
import type { ReadyTask } from './task.js'
import { digestOf, textsOf, wordsOf } from './words.js'

/** What CLIPSelf's test scripts fit pictures into, in pixels, by the side of a patch; else {@link SIDE}. */
const SIDES: Readonly<Record<number, number>> = { 14: 896 }
const SIDE = 1024
/** A model for smaller pictures than any paper's is given so many of its own sides. */
const SMALLEST = 224
const OWN_SIDES = 3

/** Prompts of CLIPSelf's and DeCLIP's class features. */
const TEMPLATES = 'vild'

/** How a region's feature was made. */
const POOLS = ['boxes', 'masks', 'crops'] as const
type Pool = (typeof POOLS)[number]

/** How far down the ranking a region's own class is looked for. */
const MOST_RANKED = 5

/**
 * A region in a line: its label, 1 for a thing, the rank of its own class by box, mask and crop (-1: not among the
 * first five; null: not measured), and the class that its mask is taken for.
 */
type RegionRow = readonly [
  label: number,
  thing: 0 | 1,
  boxes: number | null,
  masks: number | null,
  crops: number | null,
  top: number,
]

/** @internal */
export async function openRegions(
  options: EvaluateOptions,
  dataset: OpenDataset<'regions'>,
): Promise<ReadyTask<'regions'>> {
  const { model, options: ready } = await prepare({ ...options, dataset: undefined })
  const { method, templates = TEMPLATES, crops = true, normalizeBeforePooling } = options
  const mode = modeFor(model, options)
  const size = options.size ?? sideFor(model)
  const asked = await wordsOf(options, dataset, method)
  const { definitions, synonyms } = asked.options
  const isGiven = asked.classes instanceof Vocabulary
  const vocabulary = isGiven
    ? (asked.classes as Vocabulary)
    : await model.vocabulary(asked.classes as readonly (readonly string[])[], {
        ...asked.options,
        background: false,
        templates,
        definitionWeight: options.definitionWeight,
        signal: options.signal,
      })
  const request = { ...ready, mode, denseMode: undefined, size, normalizeBeforePooling }
  const rank = (picture: DatasetPicture<'regions'>, call: Call) =>
    rankRegions(picture, { model, vocabulary, request, crops }, call)
  return {
    model,
    method: method ?? null,
    changed: ['size', 'mode', 'templates'].filter(
      name => (options as unknown as Record<string, unknown>)[name] !== undefined,
    ),
    values: {
      mode,
      size,
      crops,
      normalizeBeforePooling: normalizeBeforePooling ?? null,
      templates: isGiven ? null : templates,
      definitions: await textsOf(definitions),
      synonyms: await textsOf(synonyms),
      ...(isGiven && { vocabulary: await digestOf(vocabulary) }),
    },
    words: isGiven ? null : (asked.classes as readonly (readonly string[])[]),
    measure: async (picture, call) => {
      const { rows } = await rank(picture, call)
      return { regions: rows }
    },
    layers: async (picture, call) => {
      const { rows, truth, scores } = await rank(picture, call)
      return {
        image: picture.image,
        truth: truth.regions.map(({ box, label }) => ({ box, label })),
        prediction: truth.regions.map(({ box }, i) => {
          const label = (rows[i] as RegionRow)[5]
          return { box, label, score: scores[i] as number }
        }),
      }
    },
    dispose: () => {
      if (!isGiven) vocabulary.dispose()
    },
  }
}

/** The caller's mode, else the method's, else the one that the checkpoint was trained for, else CLIPSelf's. */
function modeFor(model: Model, options: EvaluateOptions): DenseMode {
  const { method } = options
  const given = modeOf(options)
  const { facts } = model
  const mode =
    given ??
    (method === undefined
      ? (facts.denseMode ?? METHODS.clipself.preset.mode)
      : presetFor(method as MethodName, undefined, facts).preset.mode)
  checkMode(facts, mode, given === undefined ? method : undefined)
  return mode
}

function sideFor({ info: { imageSize, patchSize } }: Model): number {
  return imageSize < SMALLEST ? OWN_SIDES * imageSize : (SIDES[patchSize] ?? SIDE)
}

/** What regions are named with. */
interface Ranking {
  readonly model: Model
  readonly vocabulary: Vocabulary
  readonly request: Omit<Parameters<typeof regionFeatures>[2], 'boxes' | 'masks' | 'crops'>
  readonly crops: boolean
}

async function rankRegions(
  picture: DatasetPicture<'regions'>,
  { model, vocabulary, request, crops }: Ranking,
  call: Call,
): Promise<{ rows: RegionRow[]; truth: RegionsTruth; scores: number[] }> {
  const truth = await picture.truth(call.signal)
  const { regions } = truth
  if (regions.length === 0) return { rows: [], truth, scores: [] }
  const features = await regionFeatures(model, picture.image, {
    ...request,
    ...call,
    boxes: regions.map(({ box }) => box),
    masks: regions.map(({ mask }) => mask),
    ...(crops && { crops: regions.map(({ crop }) => crop) }),
  })
  try {
    const ranked = await Promise.all(
      POOLS.map(async pool => {
        const rows = features[pool as keyof RegionFeatures] as Tensor | undefined
        return rows && classScores(rows, vocabulary, call)
      }),
    )
    const of = (pool: Pool) => ranked[POOLS.indexOf(pool)]
    const classes = vocabulary.classes.length
    const scores: number[] = []
    const rows = regions.map(({ label, thing }, i): RegionRow => {
      const own = (pool: Pool) => of(pool)?.subarray(i * classes, (i + 1) * classes)
      const place = (pool: Pool) => {
        const row = own(pool)
        return row ? rankOf(row, label) : null
      }
      const row = own('masks') as Float64Array
      const top = row.indexOf(Math.max(...row))
      scores.push(row[top] as number)
      return [label, thing ? 1 : 0, place('boxes'), place('masks'), place('crops'), top]
    })
    return { rows, truth, scores }
  } finally {
    disposeFeatures(features)
  }
}

/** The cosine of every region with the best word of every class: [regions, classes]. */
async function classScores(
  features: Tensor,
  { features: text, wordClass, classes }: Vocabulary,
  call: Call,
): Promise<Float64Array> {
  const addon = loadAddon()
  const product = await callNative(addon, call, native =>
    addon.similarity({ ...native, a: features.native, b: text.native }),
  )
  try {
    const cosines = new Float32Array(await product.data())
    const [regions = 0] = features.shape
    const words = wordClass.length
    const out = new Float64Array(regions * classes.length).fill(Number.NEGATIVE_INFINITY)
    for (let i = 0; i < regions; i++) {
      wordClass.forEach((c, q) => {
        const at = i * classes.length + c
        out[at] = Math.max(out[at] as number, cosines[i * words + q] as number)
      })
    }
    return out
  } finally {
    product.dispose()
  }
}

/** How many classes are before the label, -1 for five or more; of equal ones the first in the list is before. */
function rankOf(scores: Float64Array, label: number): number {
  const own = scores[label] as number
  let before = 0
  scores.forEach((score, c) => {
    if (score > own || (score === own && c < label)) before += 1
  })
  return before < MOST_RANKED ? before : -1
}
