/** Segmentation: the label of every pixel against the true one. */
import type { Call } from '../../base/call.js'
import { callNative } from '../../engine/call-native.js'
import { loadAddon } from '../../engine/load-addon.js'
import { Tensor } from '../../engine/tensor.js'
import { DeclipError } from '../../errors.js'
import { describeProvider } from '../../masks/provider.js'
import {
  DATASETS,
  type Dataset,
  type DatasetName,
  type MiouConvention,
} from '../../methods/benchmarks.js'
import { METHODS, type MethodName } from '../../methods/list.js'
import type { Method } from '../../methods/method.js'
import type { Segmentation } from '../../result/segmentation.js'
import { openPicture, type Prepared, segmentPicture } from '../../segment/segment.js'
import { toVocabulary } from '../../words/to-vocabulary.js'
import { Vocabulary } from '../../words/vocabulary.js'
import type { DatasetPicture, OpenDataset, SemanticTruth } from '../datasets/dataset.js'
import type { EvaluateOptions } from '../options.js'
import { prepareFor, valuesOf } from '../prepare.js'
import type { ReadyTask } from './task.js'
import { digestOf, textsOf, wordsOf } from './words.js'

/** @internal */
export async function openSemantic(
  options: EvaluateOptions,
  dataset: OpenDataset<'semantic'>,
): Promise<ReadyTask<'semantic'>> {
  const prepared = await prepareFor(options, dataset.name)
  const { model, method } = prepared
  const asked = await wordsOf(options, dataset, method.method)
  const { background, definitions, synonyms } = asked.options
  const texts = {
    definitions: await textsOf(definitions),
    synonyms: await textsOf(synonyms),
  }
  const given = { ...prepared.options, ...asked.options }
  const words = await model.wordsFor(method.method, given.text, given)
  const vocabulary = await toVocabulary(words, asked.classes, method, given)
  const isOwn = vocabulary !== asked.classes
  const usual = conventionOf(method.method, dataset.name)
  const { convention = usual } = options
  return {
    model,
    method: method.method,
    changed: [
      ...method.fromCaller.filter(name => name !== 'dataset'),
      ...(convention === usual ? [] : ['convention']),
    ],
    values: {
      convention,
      ...(await valuesOf(prepared, vocabulary.background)),
      ...texts,
      background,
      ...(options.masks !== undefined && { masks: describeProvider(options.masks) }),
      ...(!isOwn && { vocabulary: await digestOf(vocabulary) }),
    },
    words: asked.classes instanceof Vocabulary ? null : asked.classes,
    measure: async (picture, call) => {
      const { segmentation, truth } = await segmentBeside(picture, vocabulary, prepared, call)
      using found = segmentation
      const pairs = await countPixels(found, truth, call)
      return { pairs, width: found.width, height: found.height }
    },
    layers: async (picture, call) => {
      const { segmentation, truth } = await segmentBeside(picture, vocabulary, prepared, call)
      using found = segmentation
      const { width, height } = found
      return {
        image: picture.image,
        truth: { data: truth.labels, width, height },
        prediction: {
          data: (await found.labels.data()) as Uint8Array | Uint16Array,
          width,
          height,
        },
      }
    },
    dispose: () => {
      if (isOwn) vocabulary.dispose()
    },
  }
}

/** That of the published figures which a run stands beside. */
function conventionOf(method: MethodName, name: string): MiouConvention {
  const { convention }: Method = METHODS[method]
  const set: Dataset | undefined = Object.hasOwn(DATASETS, name)
    ? DATASETS[name as DatasetName]
    : undefined
  return convention ?? set?.convention ?? 'mmsegmentation'
}

/** Segments a picture while its truth is read. */
async function segmentBeside(
  picture: DatasetPicture<'semantic'>,
  vocabulary: Vocabulary,
  prepared: Prepared,
  call: Call,
): Promise<{ segmentation: Segmentation; truth: SemanticTruth }> {
  const opened = openPicture(picture.image, { ...prepared.options, ...call })
  try {
    const ready = { ...prepared, options: { ...prepared.options, ...call } }
    const [segmented, read] = await Promise.allSettled([
      segmentPicture(opened, vocabulary, ready, performance.now()),
      picture.truth(call.signal),
    ])
    if (segmented.status === 'rejected') throw segmented.reason
    const segmentation = segmented.value
    try {
      if (read.status === 'rejected') throw read.reason
      const truth = read.value
      const { width, height } = segmentation
      if (truth.width === width && truth.height === height) return { segmentation, truth }
      throw new DeclipError(
        'ERR_DECLIP_IMAGE',
        `The labels of picture '${picture.id}' are ${truth.width} x ${truth.height} pixels and the picture ${picture.image} is ${width} x ${height}; they must be of one size.`,
      )
    } catch (error) {
      segmentation.dispose()
      throw error
    }
  } finally {
    if (!(opened instanceof Tensor)) opened.close()
  }
}

/** Triples of true class, predicted class and pixels. */
async function countPixels(
  { labels: prediction, classes }: Segmentation,
  { labels, width, height }: SemanticTruth,
  call: Call,
): Promise<number[]> {
  const addon = loadAddon()
  const isWide = labels instanceof Uint16Array
  const truth = addon.pooledTensor(labels, [height, width], isWide ? 'uint16' : 'uint8')
  try {
    const { pairs } = await callNative(addon, call, native =>
      addon.countLabels({
        ...native,
        prediction: prediction.native,
        truth,
        classes: classes.length,
        ignore: isWide ? 65535 : 255,
      }),
    )
    return Array.from(pairs)
  } finally {
    truth.dispose()
  }
}
