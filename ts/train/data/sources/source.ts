import type { LeftOut } from './left-out.js'

/** A box of a picture with what it shows. */
export interface Region {
  /** x, y, width, height in pixels of the picture. */
  readonly box: readonly [x: number, y: number, width: number, height: number]
  /** Class name; regions without one serve as proposals. */
  readonly label?: string | undefined
}

/** What is known of a picture. */
export interface Item {
  /** For messages. */
  readonly name: string
  /** Path of an encoded picture, or its bytes. */
  readonly picture: string | Uint8Array
  readonly caption?: string | undefined
  readonly regions: readonly Region[]
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
}

/** Pictures in a fixed order, readable at random. */
export interface Source {
  /** Number of items, at least 1. */
  readonly length: number
  /** Class names in the order of their labels, where the data say so. */
  readonly classes?: readonly string[] | undefined
  /** Every label of a box, with the name of a picture that has it. */
  readonly labels: ReadonlyMap<string, string>
  /** What of the data is no item, or lacks something. */
  readonly leftOut: LeftOut
  /** Changes with what the items are and their order: a run goes on with the same data only. */
  readonly digest: string
  /** Item 0 to length - 1. May be called again before it has resolved. */
  read(index: number): Promise<Item>
}
