import type { Rle } from '../../masks/rle.js'

/** What is measured. */
export type EvaluationTask = 'semantic' | 'regions' | 'detection'

/** A class of a data set; its place in the list is its label. */
export interface DatasetClass {
  /** Display name. */
  readonly name: string
  /** What a model is asked for: the name and its synonyms. */
  readonly words: readonly string[]
  /** Category id in the data set's files, where they have ids of their own. */
  readonly id?: number | undefined
  /** Countable, where the set tells things from stuff. */
  readonly thing?: boolean | undefined
  /** Part of a split of open-vocabulary detection, where the set has one. */
  readonly split?: 'novel' | 'base' | undefined
  /** LVIS: rare, common or frequent. */
  readonly frequency?: 'r' | 'c' | 'f' | undefined
}

/** A label of every pixel, at the picture's own size. */
export interface SemanticTruth {
  readonly width: number
  readonly height: number
  /** Row by row: 0..C-1, and 255 (65535 of 16 bits) where nothing is counted. */
  readonly labels: Uint8Array | Uint16Array
}

/** A region of a picture to be named. */
export interface TrueRegion {
  /** In the data set's own numbering, for messages. */
  readonly id: number
  readonly label: number
  readonly thing: boolean
  /** x1, y1, x2, y2 in pixels. */
  readonly box: readonly [number, number, number, number]
  /** What the crop baseline sees, clipped to the picture. */
  readonly crop: readonly [number, number, number, number]
  readonly mask: Rle
}

export interface RegionsTruth {
  readonly width: number
  readonly height: number
  readonly regions: readonly TrueRegion[]
}

/** An annotated object as COCO and LVIS have it. */
export interface TrueObject {
  readonly id: number
  readonly label: number
  /** x, y, width, height in pixels. */
  readonly box: readonly [number, number, number, number]
  readonly area: number
  readonly crowd: boolean
  readonly mask?: Rle | undefined
}

export interface DetectionTruth {
  readonly width: number
  readonly height: number
  readonly objects: readonly TrueObject[]
  /** LVIS: labels that are known not to be in the picture, and labels whose objects are not all annotated. */
  readonly negative?: readonly number[] | undefined
  readonly notExhaustive?: readonly number[] | undefined
}

/** What is known of a picture, by task. */
export interface TruthOf {
  semantic: SemanticTruth
  regions: RegionsTruth
  detection: DetectionTruth
}

/** A picture of a data set, whose files are not read yet. */
export interface DatasetPicture<Task extends EvaluationTask = EvaluationTask> {
  /**
   * Names the picture in results, reports and parts of a run: the same on every machine. The image id of COCO-like
   * sets; else the path below the pictures' folder, with slashes, without its ending.
   */
  readonly id: string
  /** Path of the picture. */
  readonly image: string
  /** Reads it. @throws DeclipError naming file and line or id */
  readonly truth: (signal?: AbortSignal) => Promise<TruthOf[Task]>
}

/** A data set whose pictures are listed. */
export interface OpenDataset<Task extends EvaluationTask = EvaluationTask> {
  readonly name: string
  readonly task: Task
  readonly classes: readonly DatasetClass[]
  /** Index of the background class, -1 for none. */
  readonly background: number
  /** In the data set's order. */
  readonly pictures: readonly DatasetPicture<Task>[]
  /** What its user should know before it is measured with: conversions, files that are missing. Sentences. */
  readonly notes: readonly string[]
}

/** A data set of any task, told by its `task`. */
export type AnyDataset = { [Task in EvaluationTask]: OpenDataset<Task> }[EvaluationTask]
