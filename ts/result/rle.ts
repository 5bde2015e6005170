import { eachLine } from '../base/event-loop.js'
import type { LabelMap } from './label-map.js'

/** A mask in COCO's run-length encoding. */
export interface Rle {
  /** Height and width in pixels. */
  readonly size: readonly [height: number, width: number]
  /**
   * Lengths of the runs of pixels outside and inside the mask in turn, down the columns, outside
   * first (0 if the first pixel is inside); or the same as pycocotools' compressed string.
   */
  readonly counts: readonly number[] | string
}

/** Run lengths of every class, in one pass over the map. @internal */
export async function encodeRle(labels: LabelMap, classes: number): Promise<number[][]> {
  const { data, width, height } = labels
  const counts = Array.from({ length: classes }, (): number[] => [])
  const boundary = new Array<number>(classes).fill(0) // where the class's current run began
  const close = (label: number, position: number) => {
    counts[label]?.push(position - (boundary[label] as number))
    boundary[label] = position
  }
  let previous = -1
  let position = 0 // down the columns
  await eachLine(width, height, x => {
    for (let i = x; i < data.length; i += width, position++) {
      const label = data[i] as number
      if (label === previous) continue
      if (previous >= 0) close(previous, position)
      close(label, position)
      previous = label
    }
  })
  close(previous, position)
  for (let label = 0; label < classes; label++) {
    if ((boundary[label] as number) < position) close(label, position)
  }
  return counts
}

/**
 * COCO's compressed string: each count, from the fourth on minus the one two places before it, in
 * groups of 5 bits from the lowest, bit 5 set where another group follows, offset by 48 to
 * printable characters. As rleToString() in cocoapi's common/maskApi.c. @internal
 */
export function compressRle(counts: readonly number[]): string {
  let text = ''
  counts.forEach((count, i) => {
    let rest = i > 2 ? count - (counts[i - 2] as number) : count
    for (let more = true; more; ) {
      const group = rest & 0x1f
      rest >>= 5
      // Finished when what is left is only the sign, which bit 4 of the last group carries.
      more = group & 0x10 ? rest !== -1 : rest !== 0
      text += String.fromCharCode((more ? group | 0x20 : group) + 48)
    }
  })
  return text
}
