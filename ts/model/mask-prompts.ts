import type { CallOptions } from '../base/call.js'
import { checkFields, field, flag } from '../base/field.js'
import type { NativeMaskPrompts } from '../engine/addon-types.js'
import { Tensor } from '../engine/tensor.js'
import { DeclipError, invalid } from '../errors.js'

/** A place in pixels of the picture: (0, 0) is its upper left corner. */
export type MaskPoint = readonly [x: number, y: number]

/** What a point says: 1 inside the object, 0 outside of it, -1 no point (padding). */
export type PointLabel = 1 | 0 | -1

/** Corners in pixels of the picture. */
export type MaskBox = readonly [x1: number, y1: number, x2: number, y2: number]

/** What {@link Model.masksAt} makes masks of: any of them, or none. */
export interface MaskPrompts {
  /**
   * Points of one prompt; or a list of prompts, each a list of points. Shorter ones are filled up with label -1, which
   * the model sees: their masks are a little different from those of a call of their own.
   */
  points?: readonly MaskPoint[] | readonly (readonly MaskPoint[])[] | undefined
  /** One for every point, in the same form. Default: 1, inside. */
  labels?: readonly PointLabel[] | readonly (readonly PointLabel[])[] | undefined
  /** One box for every prompt. */
  boxes?: readonly MaskBox[] | undefined
  /**
   * Logits of an earlier answer, one mask for every prompt: float32 [B, 1, 4G, 4G], [B, 4G, 4G], or [4G, 4G] of one
   * prompt, such as {@link PromptedMasks.lowRes}. A mask of 0 and 1 does poorly: the model expects logits.
   */
  maskInput?: Tensor | undefined
}

/** Options of {@link MaskView.masksAt}. */
export interface MaskPromptOptions extends CallOptions, MaskPrompts {
  /**
   * True: all masks that the model has for an ambiguous prompt, three with the published models. False: the one for a
   * prompt that is not. Default: the best of the former by predicted overlap for a single point, the latter for
   * anything else, as the authors recommend.
   */
  multimask?: boolean | undefined
}

/** See MaskPromptOptions. @internal */
export const MASK_FIELDS = {
  multimask: field(
    flag,
    'All masks of an ambiguous prompt, or the one of a prompt that is not',
    'the best for a single point, that one for anything else',
  ),
} as const

const LABELS: readonly unknown[] = [1, 0, -1]

interface Picture {
  readonly width: number
  readonly height: number
}

/** Prompts as native code takes them, checked. @internal */
export function packPrompts(
  options: MaskPromptOptions,
  picture: Picture,
  lowResSize: number,
): { prompts: NativeMaskPrompts; dispose(): void } {
  checkFields(options, MASK_FIELDS)
  const points = options.points === undefined ? undefined : pointLists(options.points)
  const labels = labelLists(options.labels, points)
  const boxes = boxList(options.boxes, picture)
  const { maskInput } = options
  const counts = [points?.length, boxes?.length, maskCount(maskInput, lowResSize)]
  const known = counts.filter(count => count !== undefined)
  const prompts = known[0] ?? 1
  if (known.some(count => count !== prompts)) {
    throw refused(
      `points, boxes and maskInput must be of as many prompts, received ${counts.map(count => count ?? 'none').join(', ')}. Points of several prompts are a list of lists: [[[x, y]], [[x, y]]].`,
    )
  }
  const choice = options.multimask === undefined ? 'best' : options.multimask ? 'multi' : 'single'
  const mask = maskInput?.native.reshape([prompts, 1, lowResSize, lowResSize])
  return {
    prompts: {
      prompts,
      choice,
      ...(points && labels && flatPoints(points, labels, picture)),
      boxes: boxes && Float64Array.from(boxes.flat()),
      maskInput: mask,
    },
    dispose: () => mask?.dispose(),
  }
}

function refused(message: string): DeclipError {
  return new DeclipError('ERR_DECLIP_INVALID_ARG', message)
}

function isPoint(value: unknown): value is MaskPoint {
  return Array.isArray(value) && value.length === 2 && value.every(Number.isFinite)
}

/** One list of points for every prompt. */
function pointLists(points: unknown): (readonly MaskPoint[])[] {
  const expected =
    'a list of [x, y] in pixels, finite numbers, or one such list for every prompt, none of them empty'
  if (!Array.isArray(points) || points.length === 0) throw invalid('points', expected, points)
  if (points.every(isPoint)) return [points]
  for (const [i, list] of points.entries()) {
    const isList = Array.isArray(list) && list.length > 0 && list.every(isPoint)
    if (!isList) throw invalid(`points[${i}]`, expected, list)
  }
  return points as (readonly MaskPoint[])[]
}

function labelLists(
  labels: unknown,
  points: readonly (readonly MaskPoint[])[] | undefined,
): (readonly number[])[] | undefined {
  if (points === undefined) {
    if (labels === undefined) return undefined
    throw refused('labels must come with points: one label for every point.')
  }
  if (labels === undefined) return points.map(list => list.map(() => 1))
  if (!Array.isArray(labels)) throw invalid('labels', 'a list of 1, 0 and -1', labels)
  const lists = labels.every(label => !Array.isArray(label)) ? [labels] : labels
  if (lists.length !== points.length) {
    throw refused(
      `labels must be of as many prompts as points, ${points.length}, received ${lists.length}.`,
    )
  }
  for (const [i, list] of lists.entries()) {
    const name = lists.length === 1 ? 'labels' : `labels[${i}]`
    const wanted = points[i]?.length
    if (!Array.isArray(list) || list.length !== wanted) {
      throw refused(
        `${name} must have one label for every point, ${wanted}, received ${Array.isArray(list) ? list.length : String(list)}.`,
      )
    }
    const wrong = list.find(label => !LABELS.includes(label))
    if (wrong !== undefined) throw invalid(name, '1 (inside), 0 (outside) or -1 (no point)', wrong)
  }
  return lists
}

function flatPoints(
  points: readonly (readonly MaskPoint[])[],
  labels: readonly (readonly number[])[],
  { width, height }: Picture,
): { points: Float64Array; labels: Int32Array } {
  const each = Math.max(...points.map(list => list.length))
  const flat = new Float64Array(2 * each * points.length)
  const told = new Int32Array(each * points.length).fill(-1)
  for (const [prompt, list] of points.entries()) {
    for (const [i, [x, y]] of list.entries()) {
      const label = labels[prompt]?.[i] as number
      if (label !== -1 && !(x >= 0 && x <= width && y >= 0 && y <= height)) {
        const name = points.length === 1 ? `points[${i}]` : `points[${prompt}][${i}]`
        throw refused(
          `${name} must be inside the picture of ${width} x ${height} pixels, received [${x}, ${y}].`,
        )
      }
      const at = prompt * each + i
      told[at] = label
      flat.set([x, y], 2 * at)
    }
  }
  return { points: flat, labels: told }
}

function boxList(boxes: unknown, { width, height }: Picture): readonly MaskBox[] | undefined {
  if (boxes === undefined) return undefined
  const expected = 'a list of [x1, y1, x2, y2] in pixels, finite numbers, one for every prompt'
  if (!Array.isArray(boxes) || boxes.length === 0) throw invalid('boxes', expected, boxes)
  for (const [i, box] of boxes.entries()) {
    const isBox = Array.isArray(box) && box.length === 4 && box.every(Number.isFinite)
    if (!isBox) throw invalid(`boxes[${i}]`, expected, box)
    const [x1, y1, x2, y2] = box as unknown as MaskBox
    const meets = x1 < x2 && y1 < y2 && x1 < width && y1 < height && x2 > 0 && y2 > 0
    if (!meets) {
      throw refused(
        `boxes[${i}] must be [x1, y1, x2, y2] with x1 < x2 and y1 < y2, and hold a part of the picture of ${width} x ${height} pixels, received [${box}].`,
      )
    }
  }
  return boxes as MaskBox[]
}

function maskCount(mask: unknown, side: number): number | undefined {
  if (mask === undefined) return undefined
  const expected = `a float32 Tensor [prompts, 1, ${side}, ${side}], logits as lowRes of an earlier answer`
  if (!(mask instanceof Tensor)) throw invalid('maskInput', expected, mask)
  const [width, height, one = 1, count = 1] = [...mask.shape].reverse()
  const planes = mask.shape.length === 4 ? (one === 1 ? count : undefined) : one
  const fits = mask.shape.length >= 2 && mask.shape.length <= 4 && width === side && height === side
  if (!fits || planes === undefined || planes < 1 || mask.dtype !== 'float32') {
    throw invalid('maskInput', expected, `${mask.dtype} [${mask.shape}]`)
  }
  return planes
}
