import { type CallOptions, callOf } from '../../base/call.js'
import { inTurns } from '../../base/event-loop.js'
import { admit } from '../../engine/admission.js'
import { aborted, DeclipError, invalid } from '../../errors.js'
import type { DetectionTruth } from '../datasets/dataset.js'
import {
  type AveragePrecisionScores,
  DetectionCounts,
  type DetectionRules,
  type FoundObject,
} from './detection.js'

/** What average precision is made of. */
export interface AveragePrecisionOptions extends DetectionRules, CallOptions {
  /** By the picture's id: every picture that is evaluated, in the data set's order. */
  readonly truths: ReadonlyMap<string, DetectionTruth>
  /** By the picture's id; pictures without an entry have none. */
  readonly detections: ReadonlyMap<string, readonly FoundObject[]>
}

/**
 * Average precision of objects that were found, by COCO's or LVIS's rules. {@link DetectionCounts} takes pictures one
 * by one.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG, ERR_DECLIP_ABORTED, ERR_DECLIP_BUSY
 */
export async function averagePrecision(
  options: AveragePrecisionOptions,
): Promise<AveragePrecisionScores> {
  return admit(options, async ({ truths, detections, ...call }) => {
    if (!(truths instanceof Map)) throw invalid('truths', 'a Map from id to truth', truths)
    if (!(detections instanceof Map)) {
      throw invalid('detections', 'a Map from id to found objects', detections)
    }
    for (const id of detections.keys()) {
      if (truths.has(id)) continue
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `detections has picture '${id}', which truths has not. Give its truth, or leave it out.`,
      )
    }
    const counts = new DetectionCounts(call)
    await inTurns(truths, ([id, truth]) => {
      if (call.signal?.aborted) throw aborted(call.signal)
      counts.add({ id, truth, detections: detections.get(id) ?? [] })
    })
    return counts.compute(callOf(call))
  })
}
