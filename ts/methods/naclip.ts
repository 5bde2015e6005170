import { BARE, CLIP_B, type Method, PAMR, variants } from './method.js'
import { sclip } from './sclip.js'

/** NACLIP (WACV 2025). @internal */
export const naclip: Method = {
  source: 'github.com/sinahmr/NACLIP, configs and README; the reduced architecture, with PAMR',
  preset: {
    ...BARE,
    mode: 'naclip',
    positions: 'scale-factor',
    gaussianStd: 5,
    shortSide: 336,
    window: 224,
    stride: 112,
    padTo: 1,
    pamr: PAMR,
    probThreshold: 0.1,
  },
  datasets: variants(
    {
      voc21: { window: 0 },
      context60: {},
      'coco-object': {},
      voc20: { window: 0, probThreshold: 0 },
      cityscapes: { shortSide: 560, probThreshold: 0 },
      context59: { probThreshold: 0 },
      ade20k: { probThreshold: 0 },
      'coco-stuff': { probThreshold: 0 },
    },
    [
      CLIP_B,
      'R',
      {
        voc21: 64.07,
        context60: 34.99,
        'coco-object': 36.19,
        voc20: 83.03,
        cityscapes: 38.27,
        context59: 38.35,
        ade20k: 19.05,
        'coco-stuff': 25.69,
      },
    ],
  ),
  words: sclip.words,
}
