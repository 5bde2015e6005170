import type { MiouConvention } from '../methods/benchmarks.js'
import type { EvaluationTask } from './datasets/dataset.js'
import type { AveragePrecisionScores, ClassAveragePrecision } from './metrics/detection.js'
import type { RegionScores } from './metrics/regions.js'

/** A class and how well it was found; null where it never occurs. */
export interface ClassScore {
  readonly name: string
  /** Intersection over union, 0 to 1. */
  readonly iou: number | null
  /** Share of its pixels that were given its label, 0 to 1. */
  readonly acc: number | null
  /** Its pixels in the truth. */
  readonly pixels: number
}

/** A picture that could not be measured. */
export interface FailedPicture {
  readonly id: string
  readonly error: { readonly code: string; readonly message: string }
}

/** A published figure for this data set and method. */
export interface PublishedFigure {
  /** Which figure of the result it stands beside, such as 'miou' or 'ap50.novel'. */
  readonly figure: string
  /** As a fraction. */
  readonly value: number
  readonly method: string
  readonly backbone: string
  /**
   * Where it was read: 'P' in the DeCLIP paper (arXiv 2505.04410), 'R' in the repository of the method's authors, 'S'
   * in another publication, 'M' recalled and not verified, so no target.
   */
  readonly mark: 'P' | 'R' | 'S' | 'M'
  /** Where the method's values come from, or the table. */
  readonly source: string
}

/** What it was measured with: for the record; only package and libtorch must agree between parts of a run. */
export interface EvaluationVersions {
  readonly package: string
  readonly libtorch: string
  readonly node: string
  readonly cpu: string
  /** Instruction set of the package's own kernels. */
  readonly kernels: string
  /** What the towers' layers run on. */
  readonly engine: string
  readonly device: string
}

/** Everything that a run's figures depend on; what of it depends on the task is in `values`. */
export interface EvaluationSettings {
  readonly task: EvaluationTask
  readonly dataset: string
  /** The first so many pictures of the data set; null for all. */
  readonly limit: number | null
  readonly model: {
    /** Of the weights' files. */
    readonly fingerprint: string
    readonly family: string
    readonly imageSize: number
    readonly patchSize: number
    readonly width: number
    readonly layers: number
    readonly dtype: string
    readonly denseMode: string | null
  }
  readonly method: string | null
  /** Names of the options that the caller gave in place of the preset's. */
  readonly changed: readonly string[]
  /** All values of the task's pipeline, the preset's filled in. */
  readonly values: Readonly<Record<string, unknown>>
  /** What the model was asked for, by class; null where features came from a file. */
  readonly words: readonly (readonly string[])[] | null
}

/** What every task's result has. */
export interface EvaluationSummary {
  readonly dataset: string
  /** Pictures that were measured. */
  readonly pictures: number
  /** Those that could not be: no figure counts them. */
  readonly failed: readonly FailedPicture[]
  /** Ids of pictures that no part of the run has; always empty but after merge(). */
  readonly missing: readonly string[]
  /** What the data set's reader has to say, such as files that are missing. */
  readonly notes: readonly string[]
  readonly published: readonly PublishedFigure[]
  readonly settings: EvaluationSettings
  readonly versions: EvaluationVersions
}

/** Segmentation: dataset-level figures as fractions, over the classes that occur. */
export interface SemanticResult extends EvaluationSummary {
  readonly task: 'semantic'
  /** By the run's convention: `settings.values.convention`. */
  readonly miou: number | null
  /** By either convention. */
  readonly mious: Readonly<Record<MiouConvention, number | null>>
  readonly macc: number | null
  readonly aacc: number | null
  readonly classes: readonly ClassScore[]
}

/** Recognition of regions, by how their features were made. */
export interface RegionsResult extends EvaluationSummary, Omit<RegionScores, 'perClass'> {
  readonly task: 'regions'
  /** How many. */
  readonly regions: number
  readonly classes: readonly (RegionScores['perClass'][number] & {
    readonly name: string
    readonly thing: boolean | null
  })[]
}

/** Detection: average precision as COCO or LVIS have it, as fractions. */
export interface DetectionResult
  extends EvaluationSummary,
    Omit<AveragePrecisionScores, 'ap50' | 'splits' | 'perClass' | 'curves'> {
  readonly task: 'detection'
  /** What was compared: boxes or masks. */
  readonly kind: 'bbox' | 'segm'
  /** AP at IoU 0.5 of the classes of either split and of all. */
  readonly ap50: AveragePrecisionScores['splits']
  readonly classes: readonly (ClassAveragePrecision & {
    readonly name: string
    readonly split?: 'novel' | 'base'
    readonly frequency?: 'r' | 'c' | 'f'
    /** True ones. */
    readonly objects: number
  })[]
}

/** What {@link evaluate} gives and `declip eval --json` prints. */
export type EvaluationResult = SemanticResult | RegionsResult | DetectionResult
