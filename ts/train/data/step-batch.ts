import type {
  NativeCatSegBatch,
  NativeDetectorBatch,
  NativeTensor,
  NativeTrainBatch,
} from '../../engine/addon-types.js'
import type { LeftOut } from './sources/left-out.js'

/** All of a step, for the trainer of its objective. */
export interface StepBatch<Part = NativeTrainBatch | NativeDetectorBatch | NativeCatSegBatch> {
  readonly parts: readonly Part[]
  /** Why pictures were skipped on the way. */
  readonly skipped: readonly string[]
}

/** Makes steps' batches: what step n is, is a function of n alone. */
export interface BatchMaker {
  /** What turned out not to be usable when it was read. */
  readonly leftOut: LeftOut
  /** @throws DeclipError ERR_DECLIP_IMAGE where most pictures, or their boxes, cannot be used */
  make(step: number): Promise<StepBatch>
}

/** Gives a step's tensors back. */
export function disposeBatch({ parts }: StepBatch): void {
  for (const part of parts) {
    if (!('samples' in part)) {
      for (const tensor of Object.values(part)) (tensor as NativeTensor | undefined)?.dispose()
      continue
    }
    part.images?.dispose()
    for (const map of part.maps ?? []) map.dispose()
    for (const { masks } of part.samples) masks?.dispose()
  }
}
