import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { ioError } from '../../base/files.js'
import { DeclipError, invalid } from '../../errors.js'
import { METHODS } from '../../methods/list.js'
import type { DatasetWords, Method } from '../../methods/method.js'
import { parseClassList } from '../../text/class-files.js'
import { readClasses } from '../../words/classes.js'
import type { VocabularyOptions } from '../../words/options.js'
import { Vocabulary } from '../../words/vocabulary.js'
import type { OpenDataset } from '../datasets/dataset.js'
import type { EvaluateOptions } from '../options.js'

/** What a model is asked for, by class of the data set. @internal */
export interface Asked {
  readonly classes: readonly (readonly string[])[] | Vocabulary
  readonly options: Pick<VocabularyOptions, 'background' | 'definitions' | 'synonyms'>
}

/**
 * The caller's words, else the method's for the data set, else the data set's own.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG where they are not as many as the data set's classes
 * @internal
 */
export async function wordsOf(
  options: EvaluateOptions,
  dataset: OpenDataset,
  method: keyof typeof METHODS | undefined,
): Promise<Asked> {
  const { definitions } = options
  const background = backgroundOf(options.background, dataset)
  const own = ownWords(dataset, method)
  const classes = await classesOf(options, dataset, own, background)
  const count = classes instanceof Vocabulary ? classes.classes.length : classes.length
  if (count !== dataset.classes.length) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `There must be an entry for each of the ${dataset.classes.length} classes of ${dataset.name} in the order of its labels, received ${count}.`,
    )
  }
  const given = options.synonyms ?? (definitions === undefined ? own?.synonyms : undefined)
  return { classes, options: { background, definitions, synonyms: given } }
}

/** Of its own names a data set says no more than their words. */
function ownWords(
  { name }: OpenDataset,
  method: keyof typeof METHODS | undefined,
): DatasetWords | undefined {
  if (method === undefined) return undefined
  const { words }: Method = METHODS[method]
  return Object.hasOwn(words, name) ? words[name as keyof typeof words] : undefined
}

async function classesOf(
  { classes, background, embeddings, signal }: EvaluateOptions,
  dataset: OpenDataset,
  own: DatasetWords | undefined,
  index: number | boolean,
): Promise<Asked['classes']> {
  if (embeddings !== undefined) {
    const names = dataset.classes.map(({ name }) => name)
    return Vocabulary.fromFile(embeddings, names, { background: index, signal })
  }
  if (classes instanceof Vocabulary) return classes
  const words =
    classes !== undefined
      ? (await readClasses(classes, undefined)).words
      : own
        ? parseClassList(own.classes)
        : dataset.classes.map(({ words }) => words)
  if (!Array.isArray(background)) return words
  return words.map((group, c) => (c === dataset.background ? (background as string[]) : group))
}

/** Words stand for those of the data set's background; the numbers of its labels stay what they are. */
function backgroundOf(
  background: VocabularyOptions['background'],
  dataset: OpenDataset,
): number | boolean {
  const index = dataset.background >= 0 ? dataset.background : false
  if (background === undefined) return index
  if (!Array.isArray(background)) return background as number | boolean
  if (index !== false) return index
  throw invalid(
    'background',
    `true, false or the number of a class: ${dataset.name} has no background whose words these could be`,
    background,
  )
}

/**
 * Texts beside the words, as they stand in a run's settings.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG for a function, whose answers another run would not have; ERR_DECLIP_IO
 * @internal
 */
export async function textsOf(texts: VocabularyOptions['definitions']): Promise<unknown> {
  if (texts === undefined) return null
  if (typeof texts === 'function') {
    throw invalid(
      'definitions and synonyms',
      'texts or a file of them, so that a run can go on with the same ones',
      texts,
    )
  }
  if (typeof texts !== 'string') return texts
  try {
    return `sha256:${createHash('sha256')
      .update(await readFile(texts))
      .digest('hex')}`
  } catch (error) {
    throw ioError('read', texts, error)
  }
}

/** Tells a finished vocabulary from others. @internal */
export async function digestOf(vocabulary: Vocabulary): Promise<string> {
  const features = (await vocabulary.features.data()) as Float32Array
  const bytes = new Uint8Array(features.buffer, features.byteOffset, features.byteLength)
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
