import { join } from 'node:path'
import { DeclipError, invalid } from '../../errors.js'
import { openBenchmark } from './benchmark.js'
import { isPanoptic } from './coco-file.js'
import { findAnnotations } from './coco-files.js'
import type { AnyDataset, DatasetClass, EvaluationTask } from './dataset.js'
import { classesOf, openLabelFolder } from './folder.js'
import { openLvis, openObjectFolder, openOvCoco, openRegionFolder } from './instances.js'
import { openCocoPanoptic, openPanoptic } from './panoptic.js'

/** Data sets that are read, with the tasks that each has truth for; the first one if none is named. */
export const DATASET_TASKS = {
  voc21: ['semantic'],
  voc20: ['semantic'],
  context60: ['semantic'],
  context59: ['semantic'],
  'coco-object': ['semantic'],
  'coco-stuff': ['semantic'],
  'coco-stuff10k': ['semantic'],
  ade20k: ['semantic'],
  'ade20k-847': ['semantic'],
  context459: ['semantic'],
  voc20b: ['semantic'],
  cityscapes: ['semantic'],
  'coco-panoptic': ['regions'],
  'coco-ov': ['detection'],
  lvis: ['detection'],
  folder: ['semantic', 'regions', 'detection'],
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
  /** Whether objects get their masks. Default: true for lvis, else false. */
  readonly masks?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Lists the pictures of a data set. No picture and no label file is read: every picture's truth is when it is asked for.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG, ERR_DECLIP_IO for what is missing, ERR_DECLIP_ABORTED
 */
export async function openDataset(options: DatasetOptions): Promise<AnyDataset> {
  const { data, classesFile, words } = options
  if (typeof data !== 'string' || data === '') throw invalid('data', 'the path of a folder', data)
  const task = taskOf(options)
  const opened = await open(options, task)
  if (words !== undefined) return withWords(opened, words)
  if (classesFile === undefined) return opened
  const listed = await classesOf(classesFile)
  return withWords(
    opened,
    listed.map(({ words }) => words),
  )
}

async function open(
  { dataset, data, classesFile, masks, signal }: DatasetOptions,
  task: EvaluationTask,
): Promise<AnyDataset> {
  switch (dataset) {
    case 'folder':
      if (task === 'semantic') return openLabelFolder(data, classesFile, signal)
      if (task === 'regions') return openRegions(data, signal)
      return openObjectFolder(data, masks ?? false, signal)
    case 'coco-panoptic':
      return openCocoPanoptic(data, signal)
    case 'coco-ov':
      return openOvCoco(data, masks ?? false, signal)
    case 'lvis':
      return openLvis(data, masks ?? true, signal)
    default:
      return openBenchmark(dataset, data, signal)
  }
}

/** Regions of a plain folder: panoptic segments or the masks of objects, as its annotations have them. */
async function openRegions(data: string, signal: AbortSignal | undefined) {
  const { path } = await findAnnotations(data, [''], ['annotations.json'])
  if (!(await isPanoptic(path, signal))) return openRegionFolder(data, path, signal)
  const pngs = ['labels', 'panoptic', 'annotations'].map(folder => join(data, folder))
  return openPanoptic('folder', path, [join(data, 'images')], pngs, signal)
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

function withWords(opened: AnyDataset, words: readonly (readonly string[])[]): AnyDataset {
  const { classes } = opened
  if (words.length !== classes.length) {
    const names = classes.slice(0, 3).map(({ name }) => name)
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `The data set has ${classes.length} classes, and words were given for ${words.length}; give a line for every class, in label order: ${names.join(', ')}, ...`,
    )
  }
  const reworded = classes.map(
    (one, i): DatasetClass => ({ ...one, words: words[i] as readonly string[] }),
  )
  return { ...opened, classes: reworded }
}
