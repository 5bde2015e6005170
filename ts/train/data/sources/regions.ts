import { DeclipError } from '../../../errors.js'
import type { LeftOut } from './left-out.js'
import type { Item, Needs, Region } from './source.js'

/** Longest side of a picture that the core takes, in pixels. */
const LONGEST = 1 << 20

const FORM = 'boxes that are not [x, y, width, height] with four numbers'

/** Why a box cannot be learnt from, in the plural; undefined for one that can. */
export function boxProblem(box: unknown): string | undefined {
  if (!Array.isArray(box) || box.length !== 4 || !box.every(Number.isFinite)) return FORM
  const [x, y, w, h] = box as [number, number, number, number]
  if (w < 0 || h < 0) return 'boxes of negative size'
  // As mmdetection's CocoDataset: too thin to be a region, or not in pixels but in shares.
  if (w < 1 || h < 1) return 'boxes narrower or lower than a pixel'
  if (Math.max(w, h, Math.abs(x), Math.abs(y)) > LONGEST) return 'boxes larger than any picture'
  return undefined
}

/** Whether a box has a part in the picture. */
export function isInside(
  { box: [x, y, w, h] }: Region,
  { width, height }: { readonly width: number; readonly height: number },
): boolean {
  return x < width && y < height && x + w > 0 && y + h > 0
}

export const UNCAPTIONED = 'pictures without a caption'
export const UNLABELLED = 'pictures without a labelled box'
const UNBOXED = 'pictures without a box, of which a corner is learnt from'

/**
 * Whether a picture has what the objective needs; `leftOut` is told of what it lacks.
 *
 * @param example - file and entry
 */
export function isUsable(
  { caption, regions }: Pick<Item, 'caption' | 'regions'>,
  needs: Needs,
  leftOut: LeftOut,
  example: string,
): boolean {
  if (needs.caption && caption === undefined) {
    leftOut.add(UNCAPTIONED, example)
    return false
  }
  if (needs.boxes === 'labelled' && !regions.some(({ label }) => label !== undefined)) {
    leftOut.add(UNLABELLED, example)
    return false
  }
  if (needs.boxes === 'proposals' && regions.length === 0) leftOut.add(UNBOXED, example)
  return true
}

/**
 * Refuses data of which nothing can be learnt from.
 *
 * @param found - how many there are; `labels` are different ones
 * @throws DeclipError ERR_DECLIP_INVALID_ARG
 */
export function checkSomething(
  found: { path: string; pictures: number; boxes: number; labels: number },
  { caption, boxes }: Needs,
  leftOut: LeftOut,
): void {
  let lacks: string | undefined
  if (boxes === 'proposals' && found.boxes === 0) lacks = 'no picture with a box'
  if (boxes === 'labels' && found.labels === 0) lacks = 'no picture with a labelled box'
  if (found.pictures === 0) {
    lacks = 'no picture'
    if (caption) lacks = 'no picture with a caption'
    if (boxes === 'labelled') lacks = 'no picture with a labelled box'
  }
  if (lacks === undefined) return
  const why = leftOut.isEmpty ? '' : ` Not learnt from are ${leftOut}.`
  throw new DeclipError('ERR_DECLIP_INVALID_ARG', `data.path: ${found.path} has ${lacks}.${why}`)
}
