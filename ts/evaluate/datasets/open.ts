import { DeclipError, invalid } from '../../errors.js'
import type { AnyDataset, DatasetClass, EvaluationTask } from './dataset.js'
import { classesOf, openLabelFolder } from './folder.js'

/** Data sets that are read, with the task that each has if none is named. */
export const DATASET_TASKS = {
  folder: ['semantic'],
} as const satisfies Readonly<Record<string, readonly EvaluationTask[]>>

/** One of the data sets that are read. */
export type EvaluationDataset = keyof typeof DATASET_TASKS

/** Where a data set lies and how it is read. */
export interface DatasetOptions {
  /** Default: the data set's own, semantic for a folder. */
  readonly task?: EvaluationTask | undefined
  readonly dataset: EvaluationDataset
  /** Its folder, or the one that it usually lies in. */
  readonly data: string
  /** Class file, a line for every class in label order, in the place of the set's own words. */
  readonly classesFile?: string | undefined
  /** Words of every class in label order, in the place of the set's own. */
  readonly words?: readonly (readonly string[])[] | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Lists the pictures of a data set. No picture and no label file is read: every picture's truth is when it is asked for.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG, ERR_DECLIP_IO for what is missing, ERR_DECLIP_ABORTED
 */
export async function openDataset(options: DatasetOptions): Promise<AnyDataset> {
  const { dataset, data, classesFile, words, signal } = options
  if (typeof data !== 'string' || data === '') throw invalid('data', 'the path of a folder', data)
  taskOf(options)
  const opened = await open(options)
  void dataset
  void signal
  const own =
    words !== undefined
      ? words
      : classesFile !== undefined
        ? (await classesOf(classesFile)).map(({ words }) => words)
        : undefined
  return own ? { ...opened, classes: reworded(opened.classes, own) } : opened
}

async function open({ data, classesFile, signal }: DatasetOptions): Promise<AnyDataset> {
  return openLabelFolder(data, classesFile, signal)
}

/** @throws DeclipError ERR_DECLIP_INVALID_ARG for an unknown set, and for a task that a set has no truth for */
export function taskOf({
  dataset,
  task,
}: Pick<DatasetOptions, 'dataset' | 'task'>): EvaluationTask {
  const tasks: readonly EvaluationTask[] | undefined = Object.hasOwn(DATASET_TASKS, dataset)
    ? DATASET_TASKS[dataset]
    : undefined
  if (!tasks) {
    throw invalid('dataset', `one of ${Object.keys(DATASET_TASKS).join(', ')}`, dataset)
  }
  if (task === undefined) return tasks[0] as EvaluationTask
  if (tasks.includes(task)) return task
  throw invalid('task', `${tasks.map(one => `'${one}'`).join(' or ')} for ${dataset}`, task)
}

function reworded(
  classes: readonly DatasetClass[],
  words: readonly (readonly string[])[],
): DatasetClass[] {
  if (words.length !== classes.length) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `The data set has ${classes.length} classes, and words were given for ${words.length}; give a line for every class, in label order: ${classes
        .slice(0, 3)
        .map(({ name }) => name)
        .join(', ')}, ...`,
    )
  }
  return classes.map((one, i) => ({ ...one, words: words[i] as readonly string[] }))
}
