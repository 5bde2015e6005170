import type { DatasetName } from '../methods/benchmarks.js'
import { METHODS, type MethodName } from '../methods/list.js'
import type { Method } from '../methods/method.js'
import type { EvaluationSettings, PublishedFigure } from './result.js'

/** The figures that were published for a run's data set, task and method. @internal */
export function publishedFor({ task, dataset, method }: EvaluationSettings): PublishedFigure[] {
  if (task !== 'semantic' || method === null || !Object.hasOwn(METHODS, method)) return []
  const { datasets, source }: Method = METHODS[method as MethodName]
  const figures = datasets[dataset as DatasetName]?.published ?? []
  return figures.map(({ mIoU, backbone, mark }) => ({
    figure: 'miou',
    value: fraction(mIoU),
    method,
    backbone,
    mark,
    source,
  }))
}

/** Of per cent, without the noise of a division: 64.07 is 0.6407. */
function fraction(percent: number): number {
  return Number((percent / 100).toFixed(6))
}
