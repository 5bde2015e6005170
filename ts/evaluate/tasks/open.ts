import { DeclipError } from '../../errors.js'
import type { EvaluationTask, OpenDataset } from '../datasets/dataset.js'
import type { EvaluateOptions } from '../options.js'
import { openSemantic } from './semantic.js'
import type { ReadyTask } from './task.js'

/** Gets model and words ready for a data set. @internal */
export async function openTask(
  options: EvaluateOptions,
  dataset: OpenDataset,
): Promise<ReadyTask<EvaluationTask>> {
  const { task } = dataset
  if (task === 'semantic') {
    const ready = await openSemantic(options, dataset as OpenDataset<'semantic'>)
    return ready as unknown as ReadyTask
  }
  throw new DeclipError('ERR_DECLIP_INVALID_ARG', `There is no task '${task}'.`)
}
