/** What a report is made of. */
import type { MiouConvention } from '../../methods/benchmarks.js'

/** A class of the data set; its place in the list is its label. */
export interface ReportClass {
  readonly name: string
  readonly thing?: boolean | undefined
  readonly split?: 'novel' | 'base' | undefined
  /** LVIS: rare, common or frequent. */
  readonly frequency?: 'r' | 'c' | 'f' | undefined
}

/** A picture and how well it went. */
export interface ReportPicture {
  readonly id: string
  /** 0 to 1, of the picture alone; null where it has none. */
  readonly score: number | null
}

/** A label of every pixel, row by row. */
export interface LabelLayer {
  readonly data: Uint8Array | Uint16Array
  readonly width: number
  readonly height: number
}

/** An object or a region. */
export interface BoxLayer {
  /** x1, y1, x2, y2 in pixels of the picture. */
  readonly box: readonly [number, number, number, number]
  readonly label: number
  /** 0 to 1. */
  readonly score?: number | undefined
}

/** What is drawn of a picture: labels of its pixels, or boxes, both as wanted and as found. */
export interface PictureLayers {
  /** Path or bytes of an encoded file. */
  readonly image: string | Uint8Array
  readonly truth: LabelLayer | readonly BoxLayer[]
  readonly prediction: LabelLayer | readonly BoxLayer[]
}

/** Precision against recall, both 0 to 1. */
export interface Curve {
  readonly name: string
  readonly recall: readonly number[]
  readonly precision: readonly number[]
}

/** A figure that others have published for the same data set and method. */
export interface ReportPublished {
  /** Which of the result's figures: 'miou', 'boxes.thing.macc1', 'ap50.novel'. */
  readonly figure: string
  /** A fraction. */
  readonly value: number
  readonly method?: string | undefined
  readonly backbone?: string | undefined
  /** How it is known: P, R, S or M. */
  readonly mark?: string | undefined
  readonly source?: string | undefined
}

/** What results of every task have. */
interface CommonResult {
  readonly dataset: string
  /** How many were measured. */
  readonly pictures: number
  readonly settings: object
  readonly versions: object
  readonly failed?:
    | readonly {
        readonly id: string
        readonly error: { readonly code: string; readonly message: string }
      }[]
    | undefined
  /** Ids of pictures that no part has. */
  readonly missing?: readonly string[] | undefined
  readonly published?: readonly ReportPublished[] | undefined
}

type Figure = number | null

export interface SemanticReportResult extends CommonResult {
  readonly task: 'semantic'
  readonly miou: Figure
  /** By convention. */
  readonly mious?: Readonly<Record<MiouConvention, Figure>> | undefined
  readonly macc: Figure
  readonly aacc: Figure
  readonly classes: readonly {
    readonly name: string
    readonly iou: Figure
    readonly acc: Figure
    readonly pixels: number
  }[]
}

/** Regions found right at 1 and within 5, by how their features were made. */
export const POOLS = ['boxes', 'masks', 'crops'] as const

type OfPool<T> = { readonly [Pool in (typeof POOLS)[number]]?: T | undefined }

interface MeanAccuracy {
  readonly macc1: Figure
  readonly macc5: Figure
  readonly regions?: number | undefined
}

interface ClassAccuracy {
  readonly acc1: Figure
  readonly acc5: Figure
  readonly regions: number
}

/** Of a class, regions found right. */
export type RegionRow = { readonly name: string } & OfPool<ClassAccuracy>

export interface RegionsReportResult
  extends CommonResult,
    OfPool<{ readonly thing: MeanAccuracy; readonly stuff: MeanAccuracy }> {
  readonly task: 'regions'
  readonly classes?: readonly RegionRow[] | undefined
}

/** Of a class, average precision. */
export interface DetectionRow {
  readonly name: string
  readonly ap: Figure
  readonly ap50?: Figure | undefined
  readonly objects?: number | undefined
}

export interface DetectionReportResult extends CommonResult {
  readonly task: 'detection'
  readonly ap: Figure
  readonly ap50: {
    readonly novel?: Figure | undefined
    readonly base?: Figure | undefined
    readonly all: Figure
  }
  /** Further figures, and `classes`: {@link DetectionRow}[]. */
  readonly [figure: string]: unknown
}

export type ReportResult = SemanticReportResult | RegionsReportResult | DetectionReportResult

/** All that a report shows. */
export interface ReportInput {
  readonly result: ReportResult
  /** In label order. */
  readonly classes: readonly ReportClass[]
  /** Index of the background class, which overlays leave as it is; -1, the default, for none. */
  readonly background?: number | undefined
  /** Pixels or regions by true (row) and predicted class: C x C, or (C + 1) x (C + 1) with those of no class last. */
  readonly confusion?: Float64Array | undefined
  readonly pictures: readonly ReportPicture[]
  /** Gives what is drawn of a picture; called for the worst ones alone, one after the other. */
  readonly overlays?: ((id: string) => Promise<PictureLayers | undefined>) | undefined
  readonly curves?: readonly Curve[] | undefined
  /** Folder that gets report.html and confusion.png. */
  readonly out: string
  readonly signal?: AbortSignal | undefined
}
