import type { DenseMode, ModelFamily, Positions } from '../base/names.js'
import type { TemplateSetName } from '../text/templates.js'
import type { DatasetName, MiouConvention } from './benchmarks.js'

/** PAMR, pixel-adaptive mask refinement. */
export interface PamrOptions {
  /** Number of smoothing rounds: a whole number, 1 to 1000. */
  iterations: number
  /** Neighbour distances in pixels: a list with at least one item, each a whole number of at least 1. */
  dilations: readonly number[]
}

/** Everything that a method's paper or code fixes. Sizes are pixels of the resized picture. */
export interface Preset {
  /** Dense mode: how the last block makes patch features. */
  readonly mode: DenseMode
  readonly positions: Positions
  /** 'itaclip': blocks, counted from 1, whose attention maps are averaged with the last one's: the core's default. */
  readonly layers?: readonly number[]
  /** 'itaclip': self-self attention maps. */
  readonly selfAttention?: boolean
  /** 'naclip': standard deviation of the neighbourhood, in patches. */
  readonly gaussianStd?: number
  /** 'talk2dino': what the heads of the last block look at counts, too. */
  readonly backgroundCleaning?: boolean
  /** 'proxyclip': shift of the similarities, as a multiple of their mean. */
  readonly beta?: number
  /** 'proxyclip': factor on the shifted similarities. */
  readonly gamma?: number
  readonly shortSide: number
  /** Of very long pictures: the shorter side is smaller where the longer one would be more. */
  readonly longSide: number
  /** 0 for one pass over the whole picture. */
  readonly window: number
  readonly stride: number
  /** Windows are padded to a multiple of this; 'patch' for the model's patch size. */
  readonly padTo: number | 'patch'
  readonly augment: boolean
  readonly augmentWeight: number
  readonly templates: TemplateSetName | readonly string[]
  /** Which words of a class are compared; unset: all. */
  readonly classWords?: 'first' | 'all'
  readonly definitionWeight: number
  readonly logitScale: number
  readonly pamr: PamrOptions | false
  /** Used with a background class only. */
  readonly probThreshold: number
  /** Used with a background class only. */
  readonly areaThreshold: number
  readonly closing: boolean
  /** 'vote': every region gets its most frequent label, where there are regions. */
  readonly refine?: 'vote' | false
}

/**
 * A published figure. `mark` says where it was read: 'P' in the DeCLIP paper (arXiv 2505.04410),
 * 'R' in the repository of the method's authors, 'S' at second hand in another publication or a list, 'M' recalled and not verified, so no target.
 */
export interface Published {
  /** Percent, over all classes of the set, background included where the set has one. */
  readonly mIoU: number
  readonly backbone: string
  readonly mark: 'P' | 'R' | 'S' | 'M'
}

/** What a method changes for one benchmark, and what it is said to reach there. */
export interface Variant {
  readonly changes: Partial<Preset>
  readonly published: readonly Published[]
}

/** What a method changes for the models of a family that its paper did not run. */
export interface FamilyVariant {
  readonly changes: Partial<Preset>
  /** Where the values come from. */
  readonly source: string
}

/** A method as data. */
export interface Method {
  /** Where the values come from. */
  readonly source: string
  /**
   * Values without a data set: those that all of the method's configurations share, else the
   * default of its code; the short side is the commonest one.
   */
  readonly preset: Preset
  /** The benchmarks that the method was run on. */
  readonly datasets: Readonly<Partial<Record<DatasetName, Variant>>>
  /** Stands above the benchmark's values. */
  readonly families?: Readonly<Partial<Record<ModelFamily, FamilyVariant>>>
  /** What the published mIoU is the mean over. Default: the benchmark's, else mmsegmentation's. */
  readonly convention?: MiouConvention
  /** What it queries them with. */
  readonly words: Readonly<Partial<Record<DatasetName, DatasetWords>>>
}

/** What a method queries a benchmark with. */
export interface DatasetWords {
  /** One line per label id: 'word, synonym, ...'. */
  readonly classes: readonly string[]
  /** True when class 0 is the background; the number of the class where it is another one. */
  readonly background: boolean | number
  /** ITACLIP's one-word synonyms of the foreground classes, where it uses them. */
  readonly synonyms?: readonly string[]
}

/** Settings that differ from the preset, per benchmark. @internal */
export type Changes = Partial<Record<DatasetName, Partial<Preset>>>
/** Figures of one backbone. @internal */
export type Figures = readonly [
  backbone: string,
  mark: Published['mark'],
  mIoU: Partial<Record<DatasetName, number>>,
]

/** Pairs the settings of every benchmark with the figures of all backbones. @internal */
export function variants(changes: Changes, ...figures: Figures[]): Method['datasets'] {
  const names = Object.keys(changes) as DatasetName[]
  return Object.fromEntries(
    names.map(name => {
      const published = figures.flatMap(([backbone, mark, table]) => {
        const mIoU = table[name]
        return mIoU === undefined ? [] : [{ mIoU, backbone, mark }]
      })
      return [name, { changes: changes[name] ?? {}, published }]
    }),
  )
}

/** @internal */
export const CLIP_B = 'CLIP ViT-B/16'
/** @internal */
export const CLIP_L = 'CLIP ViT-L/14'
/** @internal */
export const EVA_B = 'EVA-CLIP ViT-B/16'

/** PAMR as every paper that uses it has it. @internal */
export const PAMR: PamrOptions = { iterations: 10, dilations: [8, 16] }

/** No refinement, no thresholds, no image engineering. @internal */
export const BARE = {
  longSide: 2048,
  augment: false,
  augmentWeight: 0.75,
  templates: 'imagenet',
  definitionWeight: 0.2,
  logitScale: 40,
  pamr: false,
  probThreshold: 0,
  areaThreshold: 0,
  closing: false,
} as const satisfies Partial<Preset>
