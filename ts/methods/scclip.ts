import { BARE, CLIP_B, CLIP_L, type Method, variants } from './method.js'
import { sclip } from './sclip.js'

/** The same in all of SC-CLIP's configurations, and the core's defaults. @internal */
export const SCCLIP_NUMBERS = { threshold: 0.4, gain: 3, neighbours: 30, anomalousShare: 0.05 }

/** SC-CLIP (arXiv:2411.15869). @internal */
export const scclip: Method = {
  source:
    'github.com/SuleBai/SC-CLIP, configs; of 24 blocks an answer of its author there; figures from a table of OV-Stitcher (github.com/atw617/OV-Stitcher) and a list on wizwand.com',
  preset: {
    ...BARE,
    mode: 'scclip',
    positions: 'scale-factor',
    shortSide: 336,
    window: 224,
    stride: 112,
    padTo: 1,
    probThreshold: 0.15,
  },
  datasets: variants(
    {
      voc21: { logitScale: 50, areaThreshold: 0.1 },
      voc20: { probThreshold: 0 },
      context60: {},
      context59: { probThreshold: 0 },
      'coco-object': { logitScale: 55, probThreshold: 0.35 },
      'coco-stuff': { probThreshold: 0 },
      ade20k: { probThreshold: 0 },
      cityscapes: { shortSide: 560, probThreshold: 0 },
    },
    [
      CLIP_B,
      'S',
      {
        voc21: 64.6,
        context60: 36.8,
        'coco-object': 37.7,
        voc20: 84.3,
        cityscapes: 41.0,
        context59: 40.1,
        ade20k: 20.1,
        'coco-stuff': 26.6,
      },
    ],
    [CLIP_L, 'S', { cityscapes: 41.3, ade20k: 21.7, 'coco-stuff': 26.9 }],
  ),
  words: sclip.words,
}
