import { ADE20K, CONTEXT, DATASETS, VOC } from './benchmarks.js'
import { foreground, type WordTable } from './common-words.js'
import { BARE, CLIP_B, type Method, variants } from './method.js'

/** As released; a file's own prompt stands above it. */
const PROMPT = Object.freeze(['A photo of a {} in the scene'])

const WORDS: WordTable = {
  'coco-stuff': foreground(DATASETS['coco-stuff'].labels),
  ade20k: foreground(ADE20K),
  context59: foreground(CONTEXT),
  voc20: foreground(VOC),
}

/** CAT-Seg (CVPR 2024): a trained head that aggregates the costs of words. @internal */
export const catSeg: Method = {
  source:
    'github.com/cvlab-kaist/CAT-Seg, configs and README; arXiv 2303.11797; with DeCLIP: arXiv 2505.04410 and the README of its branch DeCLIP_CATSeg',
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
  datasets: variants(
    { 'coco-stuff': {}, ade20k: {}, context59: {}, voc20: {} },
    [CLIP_B, 'R', { ade20k: 31.8, context59: 57.5, voc20: 94.6 }],
    ['CLIP ViT-L/14@336px', 'R', { ade20k: 37.9, context59: 63.3, voc20: 97.0 }],
    ['EVA-CLIP ViT-B/16', 'P', { ade20k: 30.4, context59: 52.3, voc20: 94.2 }],
    ['EVA-CLIP ViT-L/14', 'P', { ade20k: 34.8, context59: 56.2, voc20: 95.8 }],
    ['DeCLIP EVA-CLIP ViT-B/16', 'P', { ade20k: 36.3, context59: 60.6, voc20: 96.6 }],
    [
      'DeCLIP EVA-CLIP ViT-B/16, the released file',
      'R',
      { ade20k: 36.57, context59: 60.89, voc20: 96.68 },
    ],
    ['DeCLIP EVA-CLIP ViT-L/14', 'P', { ade20k: 40.7, context59: 63.9, voc20: 97.7 }],
  ),
  words: WORDS,
}

/** Whether a method is answered by CAT-Seg's head. @internal */
export function aggregatesCosts(method: string | undefined): boolean {
  return method === 'cat-seg'
}
