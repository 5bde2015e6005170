/**
 * The benchmarks' own class names: of PASCAL VOC, PASCAL Context, COCO-Stuff, ADE20K and Cityscapes as
 * in mmsegmentation, of COCO panoptic as in mmdetection (both Apache-2.0), of the large ones as in CAT-Seg.
 */

import { DeclipError } from '../errors.js'
import { ADE20K_847, CONTEXT_459 } from './large-benchmarks.js'

/** Benchmarks with a name list of their own. */
export const DATASET_NAMES = [
  'voc21',
  'voc20',
  'context60',
  'context59',
  'coco-object',
  'coco-stuff',
  'coco-stuff10k',
  'ade20k',
  'ade20k-847',
  'context459',
  'voc20b',
  'cityscapes',
  'coco-panoptic',
] as const

/** One of {@link DATASET_NAMES}. */
export type DatasetName = (typeof DATASET_NAMES)[number]

/**
 * Which classes mIoU is the mean over. 'mmsegmentation': those in the truth or predicted, so that a class that is only
 * predicted counts as 0. 'detectron2': those in the truth.
 */
export const MIOU_CONVENTIONS = ['mmsegmentation', 'detectron2'] as const

/** One of {@link MIOU_CONVENTIONS}. */
export type MiouConvention = (typeof MIOU_CONVENTIONS)[number]

/** Label names of a benchmark, in the order of its label ids. */
export interface Dataset {
  /** Name of every label; the index is the label id after the benchmark's own conversion. */
  readonly labels: readonly string[]
  /** True when label 0 is the background; the number of the label where it is another one. */
  readonly background: boolean | number
  /** Words that stand for the background where the benchmark fixes them. */
  readonly backgroundWords?: readonly string[]
  /** What published mIoU is the mean over. Default: 'mmsegmentation'. */
  readonly convention?: MiouConvention
  /** Number of leading labels that are countable things, for the sets that make the difference. */
  readonly things?: number
}

/** Names between commas. @internal */
export const list = (names: string): readonly string[] => Object.freeze(names.split(/,\s+/))

/** @internal */
export const VOC =
  list(`aeroplane, bicycle, bird, boat, bottle, bus, car, cat, chair, cow, diningtable, dog,
horse, motorbike, person, pottedplant, sheep, sofa, train, tvmonitor`)

/** @internal */
export const CONTEXT =
  list(`aeroplane, bag, bed, bedclothes, bench, bicycle, bird, boat, book, bottle,
building, bus, cabinet, car, cat, ceiling, chair, cloth, computer, cow, cup, curtain, dog, door,
fence, floor, flower, food, grass, ground, horse, keyboard, light, motorbike, mountain, mouse,
person, plate, platform, pottedplant, road, rock, sheep, shelves, sidewalk, sign, sky, snow, sofa,
table, track, train, tree, truck, tvmonitor, wall, water, window, wood`)

/** PASCAL Context's classes that VOC does not have, in CAT-Seg's order: the background of VOC-20b. @internal */
export const NOT_VOC =
  list(`bag, bed, bench, book, building, cabinet, ceiling, cloth, computer, cup, door, fence, floor, flower, food,
grass, ground, keyboard, light, mountain, mouse, curtain, platform, sign, plate, road, rock, shelves,
sidewalk, sky, snow, bedclothes, track, tree, truck, wall, water, window, wood`)

/** @internal */
export const COCO_THINGS =
  list(`person, bicycle, car, motorcycle, airplane, bus, train, truck, boat,
traffic light, fire hydrant, stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow,
elephant, bear, zebra, giraffe, backpack, umbrella, handbag, tie, suitcase, frisbee, skis,
snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, surfboard, tennis racket,
bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli,
carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv,
laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator, book,
clock, vase, scissors, teddy bear, hair drier, toothbrush`)

const COCO_STUFF = list(`banner, blanket, branch, bridge, building-other, bush, cabinet, cage,
cardboard, carpet, ceiling-other, ceiling-tile, cloth, clothes, clouds, counter, cupboard, curtain,
desk-stuff, dirt, door-stuff, fence, floor-marble, floor-other, floor-stone, floor-tile, floor-wood,
flower, fog, food-other, fruit, furniture-other, grass, gravel, ground-other, hill, house, leaves,
light, mat, metal, mirror-stuff, moss, mountain, mud, napkin, net, paper, pavement, pillow,
plant-other, plastic, platform, playingfield, railing, railroad, river, road, rock, roof, rug,
salad, sand, sea, shelf, sky-other, skyscraper, snow, solid-other, stairs, stone, straw,
structural-other, table, tent, textile-other, towel, tree, vegetable, wall-brick, wall-concrete,
wall-other, wall-panel, wall-stone, wall-tile, wall-wood, water-other, waterdrops, window-blind,
window-other, wood`)

const COCO_PANOPTIC_STUFF = list(`banner, blanket, bridge, cardboard, counter, curtain, door-stuff,
floor-wood, flower, fruit, gravel, house, light, mirror-stuff, net, pillow, platform, playingfield,
railroad, river, road, roof, sand, sea, shelf, snow, stairs, tent, towel, wall-brick, wall-stone,
wall-tile, wall-wood, water-other, window-blind, window-other, tree-merged, fence-merged,
ceiling-merged, sky-other-merged, cabinet-merged, table-merged, floor-other-merged,
pavement-merged, mountain-merged, grass-merged, dirt-merged, paper-merged, food-other-merged,
building-other-merged, rock-merged, wall-other-merged, rug-merged`)

/** @internal */
export const ADE20K =
  list(`wall, building, sky, floor, tree, ceiling, road, bed, windowpane, grass, cabinet,
sidewalk, person, earth, door, table, mountain, plant, curtain, chair, car, water, painting, sofa,
shelf, house, sea, mirror, rug, field, armchair, seat, fence, desk, rock, wardrobe, lamp, bathtub,
railing, cushion, base, box, column, signboard, chest of drawers, counter, sand, sink, skyscraper,
fireplace, refrigerator, grandstand, path, stairs, runway, case, pool table, pillow, screen door,
stairway, river, bridge, bookcase, blind, coffee table, toilet, flower, book, hill, bench,
countertop, stove, palm, kitchen island, computer, swivel chair, boat, bar, arcade machine, hovel,
bus, towel, light, truck, tower, chandelier, awning, streetlight, booth, television receiver,
airplane, dirt track, apparel, pole, land, bannister, escalator, ottoman, bottle, buffet, poster,
stage, van, ship, fountain, conveyer belt, canopy, washer, plaything, swimming pool, stool, barrel,
basket, waterfall, tent, bag, minibike, cradle, oven, ball, food, step, tank, trade name, microwave,
pot, animal, bicycle, lake, dishwasher, screen, blanket, sculpture, hood, sconce, vase,
traffic light, tray, ashcan, fan, pier, crt screen, plate, monitor, bulletin board, shower,
radiator, glass, clock, flag`)

/** @internal */
export const CITYSCAPES =
  list(`road, sidewalk, building, wall, fence, pole, traffic light, traffic sign,
vegetation, terrain, sky, person, rider, car, truck, bus, train, motorcycle, bicycle`)

const withBackground = (names: readonly string[]): readonly string[] =>
  Object.freeze(['background', ...names])

/** Label names of every benchmark. */
export const DATASETS: Readonly<Record<DatasetName, Dataset>> = Object.freeze({
  voc21: { labels: withBackground(VOC), background: true },
  voc20: { labels: VOC, background: false },
  context60: { labels: withBackground(CONTEXT), background: true },
  context59: { labels: CONTEXT, background: false },
  'coco-object': { labels: withBackground(COCO_THINGS), background: true },
  'coco-stuff': {
    labels: Object.freeze([...COCO_THINGS, ...COCO_STUFF]),
    background: false,
    things: 80,
  },
  'coco-stuff10k': {
    labels: Object.freeze([...COCO_THINGS, ...COCO_STUFF]),
    background: false,
    things: 80,
  },
  ade20k: { labels: ADE20K, background: false },
  'ade20k-847': { labels: ADE20K_847, background: false, convention: 'detectron2' },
  context459: { labels: CONTEXT_459, background: false, convention: 'detectron2' },
  voc20b: {
    labels: Object.freeze([...VOC, 'background']),
    background: VOC.length,
    backgroundWords: NOT_VOC,
    convention: 'detectron2',
  },
  cityscapes: { labels: CITYSCAPES, background: false },
  'coco-panoptic': {
    labels: Object.freeze([...COCO_THINGS, ...COCO_PANOPTIC_STUFF]),
    background: false,
    things: 80,
  },
})

/** Number of a benchmark's background label, -1 for none. @internal */
export function backgroundLabel({ background }: Pick<Dataset, 'background'>): number {
  if (typeof background === 'number') return background
  return background ? 0 : -1
}

/** Names that exist, for a name that does not. @internal */
export function unknown(what: string, got: unknown, names: readonly string[]): DeclipError {
  return new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `There is no ${what} ${JSON.stringify(got) ?? String(got)}; choose one of ${names.join(', ')}.`,
  )
}
