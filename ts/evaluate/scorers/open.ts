import { DeclipError } from '../../errors.js'
import type { EvaluationTask } from '../datasets/dataset.js'
import type { RunHeader } from '../run-folder.js'
import { DetectionScorer } from './detection.js'
import { RegionsScorer } from './regions.js'
import type { Scorer } from './scorer.js'
import { SemanticScorer } from './semantic.js'

const SCORERS: Partial<Record<EvaluationTask, new (header: RunHeader) => Scorer>> = {
  semantic: SemanticScorer,
  regions: RegionsScorer,
  detection: DetectionScorer,
}

/** @internal */
export function scorerOf(header: RunHeader): Scorer {
  const { task } = header.settings
  const Of = Object.hasOwn(SCORERS, task) ? SCORERS[task] : undefined
  if (Of) return new Of(header)
  throw new DeclipError('ERR_DECLIP_INVALID_ARG', `There is no task '${task}' in this release.`)
}
