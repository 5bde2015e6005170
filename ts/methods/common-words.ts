/**
 * Words of the configurations that ITACLIP, SCLIP, NACLIP, ProxyCLIP and ClearCLIP publish, as far as
 * several of them share them.
 */
import { ADE20K, CITYSCAPES, CONTEXT, DATASETS, type DatasetName, VOC } from './benchmarks.js'
import type { DatasetWords } from './method.js'

/** The background of SCLIP, NACLIP and ITACLIP's COCO-Object, and of ProxyCLIP's VOC21: 26 words. */
export const BACKGROUND = `sky, wall, tree, wood, grass, road, sea, river, mountain, sands, desk, bed, \
building, cloud, lamp, door, window, wardrobe, ceiling, shelf, curtain, stair, floor, hill, rail, fence`

export const PERSON = `person, person in shirt, person in jeans, person in dress, person in sweater, \
person in skirt, person in jacket`
export const VOC_TV = 'television monitor, tv monitor, monitor, television, screen'
export const COCO_TV = 'tv, tvmonitor, television monitor, monitor, television, screen'

/** Words of `names` with some of them replaced: by other words, or by the word and synonyms. */
export function reword(
  names: readonly string[],
  words: Readonly<Record<string, string>>,
): readonly string[] {
  return Object.freeze(names.map(name => words[name] ?? name))
}

export const joined = (names: readonly string[]): readonly string[] =>
  Object.freeze(names.map(name => name.replaceAll(' ', '')))

/** All methods write these two VOC names as ordinary words. */
export const VOC_PLAIN = reword(VOC, { boat: 'ship', diningtable: 'table' })
export const STUFF_JOINED = joined(DATASETS['coco-stuff'].labels)
export const CITYSCAPES_JOINED = joined(CITYSCAPES)

export type WordTable = Partial<Record<DatasetName, DatasetWords>>

export const foreground = (
  classes: readonly string[],
  synonyms?: readonly string[],
): DatasetWords => Object.freeze({ classes, background: false, ...(synonyms && { synonyms }) })

export const against = (
  background: string,
  classes: readonly string[],
  synonyms?: readonly string[],
): DatasetWords =>
  Object.freeze({
    classes: Object.freeze([background, ...classes]),
    background: true,
    ...(synonyms && { synonyms }),
  })

/** One word per class: what SCLIP, NACLIP, ProxyCLIP and ClearCLIP share. */
export const PLAIN: WordTable = {
  voc20: foreground(VOC_PLAIN),
  context60: against('background', CONTEXT),
  context59: foreground(CONTEXT),
  'coco-stuff': foreground(STUFF_JOINED),
  'coco-stuff10k': foreground(STUFF_JOINED),
  ade20k: foreground(joined(ADE20K)),
  cityscapes: foreground(CITYSCAPES_JOINED),
}
