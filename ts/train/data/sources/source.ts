import type { JsonRange } from '../../../base/json-lists.js'
import type { SemanticTruth } from '../../../evaluate/datasets/dataset.js'
import type { MaskShape } from '../../../masks/pack-shapes.js'
import type { LeftOut } from './left-out.js'

/** A box of a picture with what it shows. */
export interface Region {
  /** x, y, width, height in pixels of the picture. */
  readonly box: readonly [x: number, y: number, width: number, height: number]
  /** Class name; regions without one serve as proposals. */
  readonly label?: string | undefined
  /** Where its annotation stands in the file, for {@link Source.shapes}. */
  readonly range?: JsonRange | undefined
}

/** What is known of a picture. */
export interface Item {
  /** For messages. */
  readonly name: string
  /** Path of an encoded picture, or its bytes. */
  readonly picture: string | Uint8Array
  readonly caption?: string | undefined
  readonly regions: readonly Region[]
  /**
   * The class of every pixel, of semantic data: 255 for none, 65535 where there are more than 255 classes.
   *
   * @throws DeclipError for a file that cannot be read or is of other classes
   */
  readonly truth?: ((signal?: AbortSignal) => Promise<SemanticTruth>) | undefined
}

/** What an objective takes from its data beside pictures. */
export interface Needs {
  /** Every picture must have a caption. */
  readonly caption: boolean
  /**
   * 'none': boxes are not looked at. 'proposals': labels are not. 'labels': labelled boxes, where a
   * picture has some. 'labelled': every picture must have a labelled box.
   */
  readonly boxes: 'none' | 'proposals' | 'labels' | 'labelled'
  /** What a detector takes; boxes are 'labelled' then. */
  readonly detector?: DetectorNeeds | undefined
}

/** What a detector takes of annotated objects. */
export interface DetectorNeeds {
  /** Whether an object must have a segmentation. */
  readonly shapes: boolean
  /** The classes among the categories, which are in the order of their ids. Unset: all. */
  readonly classes?: readonly string[] | undefined
  /** Of the classes those whose objects are left out. */
  novel(classes: readonly Category[]): readonly string[]
}

/** A class that a file names. */
export interface Category {
  readonly name: string
  /** LVIS: rare, common or frequent. */
  readonly frequency?: string | undefined
}

/** Pictures in a fixed order, readable at random. */
export interface Source {
  /** Number of items, at least 1. */
  readonly length: number
  /** Class names in the order of their labels, where the data say so. */
  readonly classes?: readonly string[] | undefined
  /** Those of them that are not learned, of a detector's data. */
  readonly novel?: readonly string[] | undefined
  /** Every label of a box, with the name of a picture that has it. */
  readonly labels: ReadonlyMap<string, string>
  /** What of the data is no item, or lacks something. */
  readonly leftOut: LeftOut
  /** Changes with what the items are and their order: a run goes on with the same data only. */
  readonly digest: string
  /** Item 0 to length - 1. May be called again before it has resolved. */
  read(index: number): Promise<Item>
  /**
   * The segmentations of regions, of a detector's data.
   *
   * @throws DeclipError ERR_DECLIP_IO where the file was changed since
   */
  readonly shapes?: ((regions: readonly Region[]) => Promise<MaskShape[]>) | undefined
}
