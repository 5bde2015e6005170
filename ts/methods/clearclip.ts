import { COCO_THINGS } from './benchmarks.js'
import { against, PLAIN, VOC_PLAIN, type WordTable } from './common-words.js'
import { BARE, CLIP_B, CLIP_L, EVA_B, type Method, variants } from './method.js'

const WORDS: WordTable = {
  ...PLAIN,
  voc21: against('background', VOC_PLAIN),
  'coco-object': against('background', COCO_THINGS),
}

/** ClearCLIP (ECCV 2024). @internal */
export const clearclip: Method = {
  source:
    'github.com/mc-lan/ClearCLIP, configs and results; sets with background: arXiv 2505.04410',
  preset: {
    ...BARE,
    mode: 'clearclip',
    positions: 'scale-factor',
    shortSide: 448,
    window: 448,
    stride: 224,
    padTo: 'patch',
    logitScale: 50,
  },
  datasets: variants(
    {
      voc21: { probThreshold: 0.5 },
      voc20: {},
      context60: { probThreshold: 0.15 },
      context59: {},
      'coco-object': { probThreshold: 0.4 },
      'coco-stuff': {},
      ade20k: {},
      cityscapes: { window: 224 },
    },
    [
      CLIP_B,
      'R',
      { voc20: 80.9, context59: 35.9, 'coco-stuff': 23.9, cityscapes: 30.0, ade20k: 16.7 },
    ],
    [CLIP_B, 'P', { voc21: 51.8, context60: 32.6, 'coco-object': 33.0 }],
    [
      'OpenCLIP ViT-B/16',
      'R',
      { voc20: 81.4, context59: 34.1, 'coco-stuff': 23.1, cityscapes: 31.8, ade20k: 18.9 },
    ],
    [
      'MetaCLIP ViT-B/16',
      'R',
      { voc20: 78.3, context59: 34.8, 'coco-stuff': 23.5, cityscapes: 27.9, ade20k: 17.4 },
    ],
    [
      CLIP_L,
      'R',
      { voc20: 80.0, context59: 29.6, 'coco-stuff': 19.9, cityscapes: 27.9, ade20k: 15.0 },
    ],
    [
      EVA_B,
      'P',
      {
        voc21: 47.0,
        context60: 29.7,
        'coco-object': 30.2,
        voc20: 78.3,
        cityscapes: 26.3,
        context59: 29.4,
        ade20k: 16.7,
        'coco-stuff': 20.4,
      },
    ],
  ),
  words: WORDS,
}
