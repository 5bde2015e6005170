import { COCO_THINGS } from './benchmarks.js'
import { against, BACKGROUND, PLAIN, VOC_PLAIN, type WordTable } from './common-words.js'
import { BARE, type Method, variants } from './method.js'

/** ProxyCLIP, COCO-Object: 17 words. */
const PROXYCLIP_OBJECT_BACKGROUND = `sky, wall, tree, wood, grass, road, sea, river, mountain, sands, \
desk, bed, building, cloud, floor, hill, rail`

const WORDS: WordTable = {
  ...PLAIN,
  voc21: against(BACKGROUND, VOC_PLAIN),
  'coco-object': against(PROXYCLIP_OBJECT_BACKGROUND, COCO_THINGS),
}

/** ProxyCLIP (ECCV 2024). @internal */
export const proxyclip: Method = {
  source: 'github.com/mc-lan/ProxyCLIP, configs; arXiv 2408.04883',
  preset: {
    ...BARE,
    mode: 'proxyclip',
    positions: 'scale-factor',
    beta: 1.2,
    gamma: 3,
    shortSide: 336,
    window: 336,
    stride: 112,
    // The least common multiple of the patch sizes 8 (DINO) and 14 (DINOv2); others: resolve.ts.
    padTo: 56,
  },
  datasets: variants(
    {
      voc21: { probThreshold: 0.2 },
      voc20: {},
      context60: { probThreshold: 0.15 },
      context59: {},
      'coco-object': { probThreshold: 0.25 },
      'coco-stuff': {},
      ade20k: { shortSide: 448 },
      cityscapes: { shortSide: 448, window: 224 },
    },
    [
      'CLIP ViT-B/16 with DINO ViT-B/8',
      'M',
      {
        voc21: 61.3,
        voc20: 80.3,
        context60: 35.3,
        context59: 39.1,
        'coco-object': 37.5,
        'coco-stuff': 26.5,
        ade20k: 20.2,
        cityscapes: 38.1,
      },
    ],
  ),
  words: WORDS,
}
