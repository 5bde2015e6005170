import { COCO_THINGS } from './benchmarks.js'
import {
  against,
  BACKGROUND,
  foreground,
  PERSON,
  PLAIN,
  reword,
  VOC_PLAIN,
  VOC_TV,
  type WordTable,
} from './common-words.js'
import { BARE, CLIP_B, type Method, variants } from './method.js'

const SCLIP_VOC = reword(VOC_PLAIN, { person: PERSON, tvmonitor: VOC_TV })

const WORDS: WordTable = {
  ...PLAIN,
  voc21: against(BACKGROUND, SCLIP_VOC),
  voc20: foreground(SCLIP_VOC),
  'coco-object': against(BACKGROUND, reword(COCO_THINGS, { person: `${PERSON}, body` })),
}

/** SCLIP (ECCV 2024). @internal */
export const sclip: Method = {
  source: 'github.com/wangf3014/SCLIP, configs and README',
  preset: {
    ...BARE,
    mode: 'sclip',
    positions: 'scale-factor',
    shortSide: 336,
    window: 224,
    stride: 112,
    padTo: 1,
    probThreshold: 0.1,
  },
  datasets: variants(
    {
      voc21: { logitScale: 65, areaThreshold: 0.1 },
      voc20: { probThreshold: 0 },
      context60: { logitScale: 50 },
      context59: { probThreshold: 0 },
      'coco-object': { logitScale: 50 },
      'coco-stuff': { shortSide: 448, probThreshold: 0 },
      'coco-stuff10k': { probThreshold: 0 },
      ade20k: { probThreshold: 0 },
      cityscapes: { shortSide: 560, probThreshold: 0 },
    },
    [
      CLIP_B,
      'R',
      {
        voc21: 59.63,
        voc20: 81.54,
        context60: 31.74,
        context59: 34.46,
        'coco-object': 33.52,
        'coco-stuff': 22.77,
        'coco-stuff10k': 25.91,
        ade20k: 16.45,
        cityscapes: 32.34,
      },
    ],
  ),
  words: WORDS,
}
