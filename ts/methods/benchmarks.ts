/**
 * The benchmarks' own class names and the words that each method queries them with.
 *
 * Sources: label names of PASCAL VOC, PASCAL Context, COCO-Stuff, ADE20K and Cityscapes as in
 * mmsegmentation, of COCO panoptic as in mmdetection (both Apache-2.0); words and synonyms from the
 * configurations that ITACLIP, SCLIP, NACLIP, ProxyCLIP and ClearCLIP publish.
 */

import { DeclipError } from '../errors.js'
import { METHOD_NAMES, type MethodName } from './names.js'

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
  'cityscapes',
  'coco-panoptic',
] as const

/** One of {@link DATASET_NAMES}. */
export type DatasetName = (typeof DATASET_NAMES)[number]

/** Label names of a benchmark, in the order of its label ids. */
export interface Dataset {
  /** Name of every label; the index is the label id after the benchmark's own conversion. */
  readonly labels: readonly string[]
  /** True when label 0 is the background. */
  readonly background: boolean
  /** Number of leading labels that are countable things, for the sets that make the difference. */
  readonly things?: number
}

/** What a method queries a benchmark with. */
export interface DatasetWords {
  /** One line per label id: 'word, synonym, ...'. */
  readonly classes: readonly string[]
  /** True when class 0 is the background. */
  readonly background: boolean
  /** ITACLIP's one-word synonyms of the foreground classes, where it uses them. */
  readonly synonyms?: readonly string[]
}

const list = (names: string): readonly string[] => Object.freeze(names.split(/,\s+/))

const VOC =
  list(`aeroplane, bicycle, bird, boat, bottle, bus, car, cat, chair, cow, diningtable, dog,
horse, motorbike, person, pottedplant, sheep, sofa, train, tvmonitor`)

const CONTEXT = list(`aeroplane, bag, bed, bedclothes, bench, bicycle, bird, boat, book, bottle,
building, bus, cabinet, car, cat, ceiling, chair, cloth, computer, cow, cup, curtain, dog, door,
fence, floor, flower, food, grass, ground, horse, keyboard, light, motorbike, mountain, mouse,
person, plate, platform, pottedplant, road, rock, sheep, shelves, sidewalk, sign, sky, snow, sofa,
table, track, train, tree, truck, tvmonitor, wall, water, window, wood`)

const COCO_THINGS = list(`person, bicycle, car, motorcycle, airplane, bus, train, truck, boat,
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

const ADE20K =
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

const CITYSCAPES = list(`road, sidewalk, building, wall, fence, pole, traffic light, traffic sign,
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
  cityscapes: { labels: CITYSCAPES, background: false },
  'coco-panoptic': {
    labels: Object.freeze([...COCO_THINGS, ...COCO_PANOPTIC_STUFF]),
    background: false,
    things: 80,
  },
})

/** The background of SCLIP, NACLIP and ITACLIP's COCO-Object, and of ProxyCLIP's VOC21: 26 words. */
const BACKGROUND = `sky, wall, tree, wood, grass, road, sea, river, mountain, sands, desk, bed, \
building, cloud, lamp, door, window, wardrobe, ceiling, shelf, curtain, stair, floor, hill, rail, fence`

/** ProxyCLIP, COCO-Object: 17 words. */
const PROXYCLIP_OBJECT_BACKGROUND = `sky, wall, tree, wood, grass, road, sea, river, mountain, sands, \
desk, bed, building, cloud, floor, hill, rail`

/** ITACLIP, VOC21: 44 words. */
const ITACLIP_VOC_BACKGROUND = `sky, wall, tree, wood, grass, road, mountain, sands, desk, bed, \
building, lamp, door, window, wardrobe, ceiling, shelf, curtain, stair, floor, fence, ground, water, \
railway, helmet, house, bridge, sign, keyboard, refrigerator, bench, sink, laptop, clock, blanket, \
branch, bush, cabinet, clouds, cupboard, pavement, platform, roof, sea`

const PERSON = `person, person in shirt, person in jeans, person in dress, person in sweater, \
person in skirt, person in jacket`
const VOC_TV = 'television monitor, tv monitor, monitor, television, screen'
const COCO_TV = 'tv, tvmonitor, television monitor, monitor, television, screen'

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

/** Words of `names` with some of them replaced: by other words, or by the word and synonyms. */
function reword(
  names: readonly string[],
  words: Readonly<Record<string, string>>,
): readonly string[] {
  return Object.freeze(names.map(name => words[name] ?? name))
}

const joined = (names: readonly string[]): readonly string[] =>
  Object.freeze(names.map(name => name.replaceAll(' ', '')))

/** All methods write these two VOC names as ordinary words. */
const VOC_PLAIN = reword(VOC, { boat: 'ship', diningtable: 'table' })
const STUFF_JOINED = joined(DATASETS['coco-stuff'].labels)
const CITYSCAPES_JOINED = joined(CITYSCAPES)

type WordTable = Partial<Record<DatasetName, DatasetWords>>

const foreground = (classes: readonly string[], synonyms?: readonly string[]): DatasetWords =>
  Object.freeze({ classes, background: false, ...(synonyms && { synonyms }) })

const against = (
  background: string,
  classes: readonly string[],
  synonyms?: readonly string[],
): DatasetWords =>
  Object.freeze({
    classes: Object.freeze([background, ...classes]),
    background: true,
    ...(synonyms && { synonyms }),
  })

const ITACLIP: WordTable = {
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

/** One word per class: what SCLIP, NACLIP, ProxyCLIP and ClearCLIP share. */
const PLAIN: WordTable = {
  voc20: foreground(VOC_PLAIN),
  context60: against('background', CONTEXT),
  context59: foreground(CONTEXT),
  'coco-stuff': foreground(STUFF_JOINED),
  'coco-stuff10k': foreground(STUFF_JOINED),
  ade20k: foreground(joined(ADE20K)),
  cityscapes: foreground(CITYSCAPES_JOINED),
}

const SCLIP_VOC = reword(VOC_PLAIN, { person: PERSON, tvmonitor: VOC_TV })

const SCLIP: WordTable = {
  ...PLAIN,
  voc21: against(BACKGROUND, SCLIP_VOC),
  voc20: foreground(SCLIP_VOC),
  'coco-object': against(BACKGROUND, reword(COCO_THINGS, { person: `${PERSON}, body` })),
}

const PROXYCLIP: WordTable = {
  ...PLAIN,
  voc21: against(BACKGROUND, VOC_PLAIN),
  'coco-object': against(PROXYCLIP_OBJECT_BACKGROUND, COCO_THINGS),
}

const CLEARCLIP: WordTable = {
  ...PLAIN,
  voc21: against('background', VOC_PLAIN),
  'coco-object': against('background', COCO_THINGS),
}

/**
 * DeCLIP's segmentation code is not public, so its words and those of the methods that are compared
 * in its tables are ClearCLIP's, the code base it credits.
 */
const WORDS: Readonly<Record<MethodName, WordTable>> = {
  declip: CLEARCLIP,
  clipself: CLEARCLIP,
  itaclip: ITACLIP,
  sclip: SCLIP,
  clearclip: CLEARCLIP,
  naclip: SCLIP,
  maskclip: CLEARCLIP,
  proxyclip: PROXYCLIP,
  vanilla: CLEARCLIP,
}

/**
 * The words that a method queries a benchmark with, ready for {@link Model.vocabulary}.
 *
 * @param method - A preset's name.
 * @param dataset - A benchmark's name.
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG for a pair that does not exist; lists what does.
 *
 * @example
 * ```ts
 * const { classes, background } = datasets('itaclip', 'voc21')
 * const vocabulary = await model.vocabulary(classes, { background })
 * ```
 */
export function datasets(method: MethodName, dataset: DatasetName): DatasetWords {
  if (!METHOD_NAMES.includes(method)) throw unknown('method', method, METHOD_NAMES)
  const words = Object.hasOwn(WORDS[method], dataset) ? WORDS[method][dataset] : undefined
  if (!words) throw unknown(`dataset of method '${method}'`, dataset, Object.keys(WORDS[method]))
  return words
}

/** Names that exist, for a name that does not. @internal */
export function unknown(what: string, got: unknown, names: readonly string[]): DeclipError {
  return new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `There is no ${what} ${JSON.stringify(got) ?? String(got)}; choose one of ${names.join(', ')}.`,
  )
}
