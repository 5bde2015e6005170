import { CAT_SEG_SETS, CAT_SEG_SOURCE, CAT_SEG_WORDS } from './cat-seg-benchmarks.js'
import { BARE, type Method } from './method.js'

/** As released; a file's own prompt stands above it. */
const PROMPT = Object.freeze(['A photo of a {} in the scene'])

/** CAT-Seg (CVPR 2024): a trained head that aggregates the costs of words. @internal */
export const catSeg: Method = {
  source: CAT_SEG_SOURCE,
  preset: {
    ...BARE,
    mode: 'cat-seg',
    positions: 'size',
    // Pillow's resize; a head's windows are cut from a square canvas of as many pixels.
    shortSide: 640,
    longSide: 2560,
    window: 384,
    stride: 256,
    padTo: 1,
    templates: PROMPT,
    classWords: 'first',
    // Scores are sigmoids.
    logitScale: 1,
  },
  datasets: CAT_SEG_SETS,
  words: CAT_SEG_WORDS,
  convention: 'detectron2',
}

/** Whether a method is answered by CAT-Seg's head. @internal */
export function aggregatesCosts(method: string | undefined): boolean {
  return method === 'cat-seg'
}
