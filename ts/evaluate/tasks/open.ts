import { DeclipError } from '../../errors.js'
import type { EvaluationTask, OpenDataset } from '../datasets/dataset.js'
import type { EvaluateOptions } from '../options.js'
import { openDetection } from './detection.js'
import { openRegions } from './regions.js'
import { openSemantic } from './semantic.js'
import type { ReadyTask } from './task.js'

/** Gets model and words ready for a data set. @internal */
export async function openTask(
  options: EvaluateOptions,
  dataset: OpenDataset,
): Promise<ReadyTask<EvaluationTask>> {
  if (options.masks !== undefined && dataset.task !== 'semantic') {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `masks are for the task 'semantic'; '${dataset.task}' takes its regions from the data set. Leave them out.`,
    )
  }
  switch (dataset.task) {
    case 'semantic':
      return (await openSemantic(
        options,
        dataset as OpenDataset<'semantic'>,
      )) as unknown as ReadyTask
    case 'regions':
      return (await openRegions(options, dataset as OpenDataset<'regions'>)) as unknown as ReadyTask
    case 'detection':
      return (await openDetection(
        options,
        dataset as OpenDataset<'detection'>,
      )) as unknown as ReadyTask
  }
}
