/** Detection: objects with boxes or masks against the true ones. */

import type { Call } from '../../base/call.js'
import { againstBackground } from '../../detect/background.js'
import { detect } from '../../detect/detect.js'
import { countText } from '../../masks/count-text.js'
import type { Rle } from '../../masks/rle.js'
import type { Model } from '../../model/model.js'
import type { Detections } from '../../result/detections.js'
import { loadedModel } from '../../segment/segment.js'
import { toVocabulary } from '../../words/to-vocabulary.js'
import { Vocabulary } from '../../words/vocabulary.js'
import type { DatasetPicture, OpenDataset, TrueObject } from '../datasets/dataset.js'
import type { EvaluateOptions } from '../options.js'
import { prepareFor, valuesOf } from '../prepare.js'
import { openDetector } from './detector.js'
import type { ReadyTask } from './task.js'
import { digestOf, textsOf, wordsOf } from './words.js'

/** Objects of a picture that count, by COCO's and LVIS's rules. */
const MOST = { coco: 100, lvis: 300 } as const

/** An object in a line: its label, its score, its box (x, y, width, height), and of masks their run lengths. */
type FoundRow = readonly [
  label: number,
  score: number,
  x: number,
  y: number,
  width: number,
  height: number,
  mask?: string,
]

/** A true object: id, label, box, area, 1 for a crowd, and of masks their run lengths. */
type TrueRow = readonly [
  id: number,
  label: number,
  x: number,
  y: number,
  width: number,
  height: number,
  area: number,
  crowd: 0 | 1,
  mask?: string,
]

/** What finds objects in pictures, with what a run's settings say of it. */
interface Finder extends Omit<ReadyTask<'detection'>, 'measure' | 'layers' | 'admits'> {
  find(picture: DatasetPicture<'detection'>, call: Call): Promise<Detections>
  /** The data set's label of one that was found. */
  labelOf(label: number): number
}

/** Papers on LVIS give the AP of masks. */
interface Rules {
  readonly rule: keyof typeof MOST
  readonly kind: 'bbox' | 'segm'
}

/** @internal */
export async function openDetection(
  options: EvaluateOptions,
  dataset: OpenDataset<'detection'>,
): Promise<ReadyTask<'detection'>> {
  const rule = dataset.name === 'lvis' ? 'lvis' : 'coco'
  const { kind = kindFor(dataset.name) } = options
  const model = await loadedModel(options)
  const rules: Rules = { rule, kind }
  const finder =
    model.info.detector === null
      ? await openObjects(options, dataset, rules)
      : await openHeads(model, options, dataset, rules)
  const { find, labelOf, values, ...ready } = finder
  const rowsOf = async (picture: DatasetPicture<'detection'>, call: Call) => {
    using found = await find(picture, call)
    const [boxes, scores, labels] = await Promise.all([
      found.boxes.data(),
      found.scores.data(),
      found.labels.data(),
    ])
    const { width, height } = found
    const rows = Array.from(labels as Int32Array, (label, i): FoundRow => {
      const [x1, y1, x2, y2] = boxes.subarray(4 * i, 4 * i + 4) as unknown as number[]
      const box = [x1, y1, (x2 as number) - (x1 as number), (y2 as number) - (y1 as number)]
      const mask = found.masks?.[i]
      const text = mask ? [textOf(mask)] : []
      return [labelOf(label), scores[i], ...box, ...text] as unknown as FoundRow
    })
    return { rows, width, height }
  }
  return {
    ...ready,
    values: { ...values, kind, rule, maxDetections: MOST[rule] },
    admits: true,
    measure: async (picture, call) => {
      const truth = await picture.truth(call.signal)
      const { rows, width, height } = await rowsOf(picture, call)
      const { objects, negative, notExhaustive } = truth
      return {
        width,
        height,
        truth: objects.map(object => trueRow(object, kind === 'segm')),
        ...(negative && { negative }),
        ...(notExhaustive && { notExhaustive }),
        found: rows,
      }
    },
    layers: async (picture, call) => {
      const { objects } = await picture.truth(call.signal)
      const { rows } = await rowsOf(picture, call)
      const corners = ([x, y, width, height]: readonly number[]) =>
        [x, y, (x as number) + (width as number), (y as number) + (height as number)] as [
          number,
          number,
          number,
          number,
        ]
      return {
        image: picture.image,
        truth: objects.map(({ box, label }) => ({ box: corners(box), label })),
        prediction: rows.map(([label, score, ...box]) => ({
          box: corners(box as unknown as number[]),
          label,
          score,
        })),
      }
    },
  }
}

/** By a detector's heads. */
async function openHeads(
  model: Model,
  options: EvaluateOptions,
  dataset: OpenDataset<'detection'>,
  { rule, kind }: Rules,
): Promise<Finder> {
  const limits = { limit: MOST[rule], masks: kind === 'segm' }
  return { model, dispose: () => {}, ...(await openDetector(model, options, dataset, limits)) }
}

/** By the connected regions of labels. */
async function openObjects(
  options: EvaluateOptions,
  dataset: OpenDataset<'detection'>,
  { rule, kind }: Rules,
): Promise<Finder> {
  const { scoreThreshold = 0, minArea } = options
  const prepared = await prepareFor(options, dataset.name)
  const { model, method } = prepared
  const asked = await wordsOf(options, dataset, method.method)
  const { definitions, synonyms } = asked.options
  const isGiven = asked.classes instanceof Vocabulary
  const { classes, background, added } = await againstBackground(
    isGiven ? (asked.classes as Vocabulary) : [...(asked.classes as readonly string[][])],
    // A data set's objects have no background; what there is between them is put against them.
    { background: options.background, definitions, synonyms },
  )
  const words = await model.wordsFor(method.method, prepared.options.text, prepared.options)
  const vocabulary = await toVocabulary(words, classes, method, {
    ...prepared.options,
    background,
    definitions,
    synonyms,
  })
  const isOwn = vocabulary !== asked.classes
  return {
    model,
    method: method.method,
    changed: method.fromCaller.filter(name => name !== 'dataset'),
    values: {
      ...(await valuesOf(prepared, vocabulary.background)),
      scoreThreshold,
      minArea: minArea ?? null,
      background: added
        ? vocabulary.words.filter((_, q) => vocabulary.wordClass[q] === 0)
        : (background ?? null),
      definitions: await textsOf(definitions),
      synonyms: await textsOf(synonyms),
      ...(isGiven && { vocabulary: await digestOf(vocabulary) }),
    },
    words: isGiven ? null : (asked.classes as readonly (readonly string[])[]),
    find: (picture, call) =>
      detect(picture.image, vocabulary, {
        ...prepared.options,
        ...call,
        // Of the data set's classes, which the data set has been told.
        base: undefined,
        novel: undefined,
        scoreThreshold,
        minArea,
        limit: MOST[rule],
        masks: kind === 'segm',
      }),
    labelOf: label => label - (added ? 1 : 0),
    dispose: () => {
      if (isOwn) vocabulary.dispose()
    },
  }
}

/** Papers on LVIS give the AP of masks. */
function kindFor(dataset: string): 'bbox' | 'segm' {
  return dataset === 'lvis' ? 'segm' : 'bbox'
}

function trueRow({ id, label, box, area, crowd, mask }: TrueObject, withMask: boolean): TrueRow {
  return [
    id,
    label,
    ...box,
    area,
    crowd ? 1 : 0,
    ...(withMask && mask ? [textOf(mask)] : []),
  ] as unknown as TrueRow
}

/** COCO's compressed run lengths. */
function textOf({ counts }: Rle): string {
  return typeof counts === 'string' ? counts : countText(counts)
}
