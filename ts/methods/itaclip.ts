import { COCO_THINGS, CONTEXT, list } from './benchmarks.js'
import {
  against,
  BACKGROUND,
  CITYSCAPES_JOINED,
  COCO_TV,
  foreground,
  PERSON,
  reword,
  STUFF_JOINED,
  VOC_PLAIN,
  VOC_TV,
  type WordTable,
} from './common-words.js'
import { BARE, CLIP_B, type Method, PAMR, variants } from './method.js'

/** ITACLIP, VOC21: 44 words. */
const ITACLIP_VOC_BACKGROUND = `sky, wall, tree, wood, grass, road, mountain, sands, desk, bed, \
building, lamp, door, window, wardrobe, ceiling, shelf, curtain, stair, floor, fence, ground, water, \
railway, helmet, house, bridge, sign, keyboard, refrigerator, bench, sink, laptop, clock, blanket, \
branch, bush, cabinet, clouds, cupboard, pavement, platform, roof, sea`

const ITACLIP_OBJECT_SYNONYMS = list(`human, bike, vehicle, bike, plane, coach, locomotive, lorry,
ship, signal, water valve, Traffic signal, paystation, seat, avian, feline, canine, steed, Lamb,
cattle, Mammoth, animal, horse, tall, rucksack, parasol, purse, necktie, bag, disk, snowboard, ski,
ball, balloon, club, Mitchell, board, board, Racquet, container, Tumbler, container, utensil, blade,
utensil, dish, fruit, fruit, wrap, Tangerine, cauliflower, orange, Frank, pie, treat, pastry, seat,
sofa, Flowerpot, couch, table, bathroom, screen, computer, rodent, distant, typewriter, mobile,
oven, stove, appliance, basin, fridge, volume, watch, container, clippers, stuffed animal, blower,
brush`)

const ITACLIP_CITYSCAPES_SYNONYMS =
  list(`highway, path, structure, barrier, hedge, rod, signal, sign,
flora, landscape, heaven, individual, passenger, vehicle, pickup, coach, locomotive, motorbike, bike`)

const WORDS: WordTable = {
  voc21: against(
    ITACLIP_VOC_BACKGROUND,
    reword(VOC_PLAIN, {
      bird: 'bird, avian',
      cat: 'cat, feline',
      chair: 'chair, seat',
      motorbike: 'motorbike, motorcycle',
      person: `${PERSON}, person in hat, body`,
      tvmonitor: VOC_TV,
    }),
  ),
  context60: against(
    'background',
    reword(CONTEXT, {
      cat: 'cat, feline',
      chair: 'chair, seat',
      motorbike: 'motorbike, motorcycle',
      person: `${PERSON}, person in hat, body`,
      tvmonitor: 'tvmonitor, television monitor, monitor, television, screen',
    }),
  ),
  'coco-object': against(
    BACKGROUND,
    reword(COCO_THINGS, { person: `${PERSON}, body, person in hat`, tv: COCO_TV }),
    ITACLIP_OBJECT_SYNONYMS,
  ),
  'coco-stuff': foreground(
    reword(STUFF_JOINED, { person: `${PERSON}, person in hat`, tv: COCO_TV }),
  ),
  cityscapes: foreground(
    reword(CITYSCAPES_JOINED, { person: `${PERSON}, person in hat` }),
    ITACLIP_CITYSCAPES_SYNONYMS,
  ),
}

/** ITACLIP (CVPR 2025 workshops). @internal */
export const itaclip: Method = {
  source: 'github.com/m-arda-aydn/ITACLIP, configs and README',
  preset: {
    ...BARE,
    mode: 'itaclip',
    positions: 'scale-factor',
    layers: [7, 8, 10],
    selfAttention: true,
    shortSide: 336,
    window: 224,
    stride: 28,
    padTo: 1,
    augment: true,
    pamr: PAMR,
    probThreshold: 0.1,
    closing: true,
  },
  datasets: variants(
    {
      'coco-stuff': {
        shortSide: 448,
        definitionWeight: 0.2,
        augmentWeight: 0.75,
        logitScale: 40,
        probThreshold: 0,
      },
      'coco-object': { definitionWeight: 0.1, augmentWeight: 0.75, logitScale: 50 },
      voc21: { definitionWeight: 0.05, augmentWeight: 0.7, logitScale: 60, areaThreshold: 0.1 },
      context60: { definitionWeight: 0.15, augmentWeight: 0.75, logitScale: 55 },
      cityscapes: {
        shortSide: 560,
        definitionWeight: 0.05,
        augmentWeight: 0.7,
        logitScale: 40,
        probThreshold: 0,
      },
    },
    [
      CLIP_B,
      'R',
      { 'coco-stuff': 27.0, 'coco-object': 37.7, voc21: 67.9, context60: 37.5, cityscapes: 40.2 },
    ],
  ),
  words: WORDS,
}
