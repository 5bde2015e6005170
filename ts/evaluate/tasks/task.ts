import type { Call } from '../../base/call.js'
import type { Model } from '../../model/model.js'
import type { DatasetPicture, EvaluationTask } from '../datasets/dataset.js'
import type { PictureLayers } from '../report/parts.js'

/** A task whose model and words are ready. @internal */
export interface ReadyTask<Task extends EvaluationTask = EvaluationTask> {
  readonly model: Model
  /** Null where no preset takes part. */
  readonly method: string | null
  /** Names of the options that the caller gave in place of the preset's. */
  readonly changed: readonly string[]
  /** All values that figures depend on. */
  readonly values: Readonly<Record<string, unknown>>
  /** By class; null where features came from a file. */
  readonly words: readonly (readonly string[])[] | null
  /** Whether measure() and layers() let themselves in (`admit`), as calls that others make as well. */
  readonly admits?: boolean
  /** What a picture's line holds beside its id and time. */
  measure(picture: DatasetPicture<Task>, call: Call): Promise<Record<string, unknown>>
  /** The picture, what is true of it and what was found, for a report; it is computed anew. */
  layers?(picture: DatasetPicture<Task>, call: Call): Promise<PictureLayers>
  dispose(): void
}
