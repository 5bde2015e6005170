/**
 * Where the segmentation benchmarks' files lie: as mmsegmentation's "prepare datasets" lays them out, and as they come
 * out of the archives that they are published in.
 */
import type { DatasetName } from '../../methods/benchmarks.js'
import { type LabelTable, plainTable, reduced } from './label-table.js'
import {
  CITYSCAPES_OF_IDS,
  CONTEXT_459_ORIGINAL,
  CONTEXT_459_PREPARED,
  CONTEXT_OF_459,
  OBJECTS_OF_STUFFTHING,
  OBJECTS_OF_TRAIN_IDS,
  STUFF_OF_STUFFTHING,
  VOC_BACKGROUND_LAST,
} from './label-values.js'

/** One form in which a set's labels are found. */
export interface LabelForm {
  readonly folder: string
  /** What follows the stem. */
  readonly ending: string
  readonly table: LabelTable
  /** Said where labels are converted: what of. */
  readonly converted?: string
  /** Pictures without a label file are no part of the set, and no list file is looked for: detectron2's way. */
  readonly listed?: true
}

/** Folders of a set; paths are below its root. */
export interface Layout {
  /** What messages call it. */
  readonly title: string
  /** Where the root may be below the folder that is given. */
  readonly roots: readonly string[]
  /** Where pictures may be. */
  readonly images: readonly string[]
  /** What follows the stem of a picture. */
  readonly imageEnding: string
  /** The first form that is there is read. */
  readonly labels: readonly LabelForm[]
  /** Files with the stems, the first that is there; without one all pictures of the folder. */
  readonly lists?: readonly string[]
  /** How many pictures the published figures are of. */
  readonly pictures: readonly number[]
}

/** Sets whose labels are pictures. */
export type SemanticName = Exclude<DatasetName, 'coco-panoptic'>

const VOC: Omit<Layout, 'labels'> = {
  title: 'PASCAL VOC 2012',
  roots: ['', 'VOC2012', 'VOCdevkit/VOC2012'],
  images: ['JPEGImages'],
  imageEnding: '.jpg',
  lists: ['ImageSets/Segmentation/val.txt'],
  pictures: [1449],
}

/** Labels as CAT-Seg's scripts prepare them for detectron2. */
const prepared = (folder: string, table: LabelTable, ending = '.png'): LabelForm => ({
  folder: `annotations_detectron2${folder}`,
  ending,
  table,
  listed: true,
})

/** Labels of the pictures of VOC 2012, and the same with those of SBD beside them. */
const voc = (table: LabelTable, ...more: LabelForm[]): Layout => ({
  ...VOC,
  labels: [
    ...['SegmentationClass', 'SegmentationClassAug'].map(folder => ({
      folder,
      ending: '.png',
      table,
    })),
    ...more,
  ],
})

const CONTEXT_459 = 'the original 459 classes'
const CONTEXT_FOLDERS = ['SegmentationContext459', 'trainval']
const CONTEXT_ENDINGS = ['.mat', '.png', '.tif', '.tiff']

const VOC_2010: Omit<Layout, 'labels'> = {
  title: 'PASCAL Context',
  roots: ['', 'VOC2010', 'VOCdevkit/VOC2010'],
  images: ['JPEGImages'],
  imageEnding: '.jpg',
  lists: [
    'ImageSets/SegmentationContext/val.txt',
    'pascalcontext_val.txt',
    'ImageSets/Main/val.txt',
  ],
  pictures: [5104, 5105],
}

/** Labels of the original release. */
const contextForms = (table: LabelTable, converted?: string): LabelForm[] =>
  CONTEXT_FOLDERS.flatMap(folder =>
    CONTEXT_ENDINGS.map(ending => ({ folder, ending, table, ...(converted && { converted }) })),
  )

const context = (change: (table: LabelTable) => LabelTable, ...more: LabelForm[]): Layout => ({
  ...VOC_2010,
  labels: [
    { folder: 'SegmentationClassContext', ending: '.png', table: change(plainTable(60)) },
    ...contextForms(change(CONTEXT_OF_459), CONTEXT_459),
    ...more,
  ],
})

const STUFF_FOLDERS = [
  'annotations/val2017',
  'stuffthingmaps/val2017',
  'stuffthingmaps_trainval2017/val2017',
]
const STUFFTHING = 'stuffthingmaps'

const COCO: Omit<Layout, 'labels' | 'title'> = {
  roots: ['', 'coco_stuff164k', 'coco_object', 'coco', 'coco-stuff'],
  images: ['images/val2017', 'val2017'],
  imageEnding: '.jpg',
  pictures: [5000],
}

const cocoForms = (ending: string, table: LabelTable, converted?: string): LabelForm[] =>
  STUFF_FOLDERS.map(folder => ({ folder, ending, table, ...(converted && { converted }) }))

/** By the name of the set. */
export const LAYOUTS: Readonly<Record<SemanticName, Layout>> = {
  voc21: voc(plainTable(21)),
  voc20: voc(reduced(plainTable(21)), prepared('/val', plainTable(20))),
  voc20b: voc(VOC_BACKGROUND_LAST, prepared('_bg/val', plainTable(21))),
  context60: context(table => table),
  context59: context(reduced, prepared('/pc59_val', plainTable(59))),
  context459: {
    ...VOC_2010,
    title: 'PASCAL Context 459',
    labels: [
      prepared('/pc459_val', CONTEXT_459_PREPARED, '.tif'),
      ...contextForms(CONTEXT_459_ORIGINAL),
    ],
    pictures: [5104],
  },
  'coco-object': {
    ...COCO,
    title: 'COCO-Object',
    labels: [
      ...cocoForms('_instanceTrainIds.png', plainTable(81)),
      ...cocoForms('_labelTrainIds.png', OBJECTS_OF_TRAIN_IDS, "COCO-Stuff's 171 labels"),
      ...cocoForms('.png', OBJECTS_OF_STUFFTHING, STUFFTHING),
    ],
  },
  'coco-stuff': {
    ...COCO,
    title: 'COCO-Stuff164k',
    labels: [
      ...cocoForms('_labelTrainIds.png', plainTable(171)),
      ...cocoForms('.png', STUFF_OF_STUFFTHING, STUFFTHING),
      prepared('/val2017', plainTable(171)),
    ],
  },
  'coco-stuff10k': {
    title: 'COCO-Stuff10k',
    roots: ['', 'coco_stuff10k'],
    images: ['images/test2014'],
    imageEnding: '.jpg',
    labels: [
      {
        folder: 'annotations/test2014',
        ending: '_labelTrainIds.png',
        table: reduced(plainTable(172)),
      },
    ],
    pictures: [1000],
  },
  ade20k: {
    title: 'ADE20K',
    roots: ['', 'ADEChallengeData2016', 'ade/ADEChallengeData2016'],
    images: ['images/validation'],
    imageEnding: '.jpg',
    labels: [
      { folder: 'annotations/validation', ending: '.png', table: reduced(plainTable(151)) },
      prepared('/validation', plainTable(150)),
    ],
    pictures: [2000],
  },
  'ade20k-847': {
    title: 'ADE20K with 847 classes',
    roots: ['', 'ADE20K_2021_17_01'],
    images: ['images_detectron2/validation'],
    imageEnding: '.jpg',
    labels: [prepared('/validation', plainTable(847), '.tif')],
    pictures: [2000],
  },
  cityscapes: {
    title: 'Cityscapes',
    roots: ['', 'cityscapes'],
    images: ['leftImg8bit/val'],
    imageEnding: '_leftImg8bit.png',
    labels: [
      { folder: 'gtFine/val', ending: '_gtFine_labelTrainIds.png', table: plainTable(19) },
      {
        folder: 'gtFine/val',
        ending: '_gtFine_labelIds.png',
        table: CITYSCAPES_OF_IDS,
        converted: 'labelIds',
      },
    ],
    pictures: [500],
  },
}
