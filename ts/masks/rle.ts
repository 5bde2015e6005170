import { setImmediate } from 'node:timers/promises'
import type { NativeRuns } from '../engine/addon-types.js'

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

/** Runs between two turns of the event loop. */
const RUNS_PER_TURN = 1 << 16

/** The runs of every class as lists of numbers. @internal */
export async function toRunLists({ counts, ends }: NativeRuns): Promise<number[][]> {
  const lists: number[][] = []
  let at = 0
  for (const end of ends) {
    const list: number[] = []
    for (; at < end; at++) {
      if (at % RUNS_PER_TURN === RUNS_PER_TURN - 1) await setImmediate()
      list.push(counts[at] as number)
    }
    lists.push(list)
  }
  return lists
}
