/** Values of label files as data sets publish them, and the labels that the papers' framework makes of them. */
import { IGNORED, type LabelTable, UNKNOWN } from './label-table.js'

/** Ids that COCO's 182 things and stuff leave out (mmsegmentation, coco_stuff164k.py; one less than in the JSON). */
const COCO_MISSING: ReadonlySet<number> = new Set([11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90])
const LAST_COCO = 181
/** Larger ones are stuff. */
const LAST_COCO_THING = 90
const THINGS = 80
const CLASSES_171 = 171
const UNLABELLED = 255

/** Consecutive numbers of what is not missing; {@link UNKNOWN} for what is. */
function cocoTrainId(value: number): number {
  if (value > LAST_COCO || COCO_MISSING.has(value)) return UNKNOWN
  let below = 0
  for (const id of COCO_MISSING) if (id < value) below++
  return value - below
}

const STUFF_VALUES =
  '0 to 181 without 11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90; 255 is unlabelled'

/** `stuffthingmaps` as published, to COCO-Stuff's 171 labels. */
export const STUFF_OF_STUFFTHING: LabelTable = {
  classes: CLASSES_171,
  of: value => (value === UNLABELLED ? IGNORED : cocoTrainId(value)),
  values: STUFF_VALUES,
}

/** `stuffthingmaps` as published, to 80 things and 0 for all else, what is unlabelled included (cvt_coco_object.py). */
export const OBJECTS_OF_STUFFTHING: LabelTable = {
  classes: THINGS + 1,
  of: value => {
    if (value === UNLABELLED) return 0
    const id = cocoTrainId(value)
    if (id === UNKNOWN) return UNKNOWN
    return value <= LAST_COCO_THING ? id + 1 : 0
  },
  values: STUFF_VALUES,
}

/** The same of files that mmsegmentation's converter made for COCO-Stuff. */
export const OBJECTS_OF_TRAIN_IDS: LabelTable = {
  classes: THINGS + 1,
  of: value => {
    if (value === UNLABELLED) return 0
    if (value >= CLASSES_171) return UNKNOWN
    return value < THINGS ? value + 1 : 0
  },
  values: '0 to 170, and 255',
}

/** Ids of Cityscapes' 19 evaluated classes in label order (cityscapesScripts, helpers/labels.py). */
const CITYSCAPES_IDS = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]

/** Cityscapes' `labelIds`; ids that are not evaluated are not counted. */
export const CITYSCAPES_OF_IDS: LabelTable = {
  classes: CITYSCAPES_IDS.length,
  of: value => {
    const label = CITYSCAPES_IDS.indexOf(value)
    if (label >= 0) return label
    return value <= 33 || value === UNLABELLED ? IGNORED : UNKNOWN
  },
  values: '0 to 33, and 255',
}

/** Ids of PASCAL Context's 59 classes and of nothing among its 459 (mmsegmentation, pascal_context.py), sorted. */
export const CONTEXT_IDS: readonly number[] = [
  0, 2, 9, 18, 19, 22, 23, 25, 31, 33, 34, 44, 45, 46, 59, 65, 68, 72, 80, 85, 98, 104, 105, 113,
  115, 144, 158, 159, 162, 187, 189, 207, 220, 232, 258, 259, 260, 284, 295, 296, 308, 324, 326,
  347, 349, 354, 355, 360, 366, 368, 397, 415, 416, 420, 424, 427, 440, 445, 454, 458,
]
const LAST_CONTEXT = 459
const CONTEXT_LABELS: ReadonlyMap<number, number> = new Map(CONTEXT_IDS.map((id, i) => [id, i]))

/** The 459 classes of PASCAL Context to its 60 labels; what is none of the 59 is background. */
export const CONTEXT_OF_459: LabelTable = {
  classes: CONTEXT_IDS.length,
  of: value => (value <= LAST_CONTEXT ? (CONTEXT_LABELS.get(value) ?? 0) : UNKNOWN),
  values: '0 to 459',
}

/** PASCAL Context's `LabelMap`: 1 to 459 are the classes, 0 and 460 none of them. */
export const CONTEXT_459_ORIGINAL: LabelTable = {
  classes: LAST_CONTEXT,
  of: value => {
    if (value === 0 || value === LAST_CONTEXT + 1) return IGNORED
    return value <= LAST_CONTEXT ? value - 1 : UNKNOWN
  },
  values: '0 to 460',
}

/** The same less 1, as CAT-Seg prepares it: 459 is not counted, nor is 65535, what 0 less 1 is in 16 bits. */
export const CONTEXT_459_PREPARED: LabelTable = {
  classes: LAST_CONTEXT,
  of: value => {
    if (value === LAST_CONTEXT || value === 65535) return IGNORED
    return value < LAST_CONTEXT ? value : UNKNOWN
  },
  values: '0 to 459, and 65535',
}

const LAST_VOC = 20

/** VOC's labels with the background behind the 20 classes. */
export const VOC_BACKGROUND_LAST: LabelTable = {
  classes: LAST_VOC + 1,
  of: value => {
    if (value === UNLABELLED) return IGNORED
    if (value > LAST_VOC) return UNKNOWN
    return value === 0 ? LAST_VOC : value - 1
  },
  values: '0 to 20, and 255',
}
