import { COCO_THINGS } from './benchmarks.js'
import {
  against,
  BACKGROUND,
  foreground,
  PLAIN,
  reword,
  STUFF_JOINED,
  VOC_PLAIN,
  type WordTable,
} from './common-words.js'
import { BARE, type Figures, type Method, variants } from './method.js'

/** COCO-Object: 16 words. */
const CORRCLIP_OBJECT_BACKGROUND = `sky, wall, tree, wood, grass, road, sea, river, mountain, sands, \
desk, building, cloud, floor, hill, rail`

const WORDS: WordTable = {
  ...PLAIN,
  voc21: against(BACKGROUND, VOC_PLAIN),
  'coco-object': against(CORRCLIP_OBJECT_BACKGROUND, COCO_THINGS),
  'coco-stuff': foreground(reword(STUFF_JOINED, { person: 'people' })),
}

/** A row of the repository's table: VOC21, VOC20, Context59, Context60, Cityscapes, ADE20K, Stuff, Object. */
function row(size: 'B/16' | 'L/14', masks: string, ...mIoU: readonly number[]): Figures {
  const [voc21, voc20, context59, context60, cityscapes, ade20k, stuff, things] = mIoU
  return [
    `MetaCLIP ViT-${size} with DINO ViT-B/8 and masks of ${masks}`,
    'R',
    {
      voc21,
      voc20,
      context59,
      context60,
      cityscapes,
      ade20k,
      'coco-stuff': stuff,
      'coco-object': things,
    } as Figures[2],
  ]
}

/**
 * CorrCLIP (ICCV 2025), its first version. Its figures are with masks of another model; SAM2 has 32 or 8 points a
 * side.
 *
 * @internal
 */
export const corrclip: Method = {
  source: 'github.com/zdk258/CorrCLIP, CorrCLIPv1 (103bc18), configs and README; arXiv 2411.10086',
  preset: {
    ...BARE,
    mode: 'corrclip',
    positions: 'scale-factor',
    shortSide: 336,
    window: 336,
    stride: 112,
    // The least common multiple of the patch sizes 8 (DINO) and 14 (DINOv2), as ProxyCLIP's.
    padTo: 56,
    refine: 'vote',
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
    row('B/16', 'SAM2 (32)', 74.8, 88.8, 48.8, 44.2, 49.4, 26.9, 31.6, 43.7),
    row('B/16', 'SAM2 (8)', 73.9, 87.6, 48.0, 43.7, 47.9, 26.5, 31.8, 43.6),
    row('B/16', 'Mask2Former', 73.9, 87.8, 48.2, 43.7, 44.3, 24.6, 33.9, 46.2),
    row('B/16', 'EoMT', 76.0, 90.6, 50.4, 45.4, 48.0, 26.7, 34.5, 46.6),
    row('B/16', 'EntitySeg', 76.2, 89.6, 50.7, 45.7, 51.6, 28.6, 32.4, 44.5),
    row('L/14', 'SAM2 (32)', 76.7, 91.5, 50.8, 44.9, 51.1, 30.7, 34.0, 49.4),
    row('L/14', 'SAM2 (8)', 76.2, 91.2, 49.9, 44.2, 48.9, 29.8, 33.7, 49.0),
    row('L/14', 'Mask2Former', 76.3, 90.8, 50.2, 44.6, 45.4, 26.9, 35.6, 52.2),
    row('L/14', 'EoMT', 78.0, 92.2, 52.8, 46.4, 50.2, 30.1, 36.3, 52.9),
    row('L/14', 'EntitySeg', 78.9, 92.0, 53.0, 46.8, 53.7, 32.6, 34.9, 51.0),
  ),
  words: WORDS,
}
