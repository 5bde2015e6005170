/** What CAT-Seg asks its benchmarks with, and what was published for it there. */
import { ADE20K, CONTEXT, DATASETS, NOT_VOC, VOC } from './benchmarks.js'
import { foreground, reword, type WordTable } from './common-words.js'
import { ADE20K_847, CONTEXT_459 } from './large-benchmarks.js'
import { type Method, variants } from './method.js'

/** Where the values and most of the figures were read. @internal */
export const CAT_SEG_SOURCE =
  'github.com/cvlab-kaist/CAT-Seg, configs and README; with EVA-CLIP and DeCLIP arXiv 2505.04410 and github.com/xiaomoguhz/DeCLIP'

/**
 * Words of every benchmark. Of a line of words only the first is asked for; the background of VOC-20b is all of its
 * 39 words, so that a pixel on which one of them is best is background.
 *
 * @internal
 */
export const CAT_SEG_WORDS: WordTable = {
  ade20k: foreground(ADE20K),
  'ade20k-847': foreground(ADE20K_847),
  context59: foreground(reword(CONTEXT, { table: 'diningtable' })),
  context459: foreground(CONTEXT_459),
  voc20: foreground(VOC),
  voc20b: Object.freeze({
    classes: Object.freeze([...VOC, NOT_VOC.join(', ')]),
    background: VOC.length,
  }),
  'coco-stuff': foreground(DATASETS['coco-stuff'].labels),
}

/** Figures by the paper's names for the sets, in the order of its table. */
const row = (
  a847: number,
  pc459: number,
  a150: number,
  pc59: number,
  voc20: number,
  voc20b: number,
) => ({ 'ade20k-847': a847, context459: pc459, ade20k: a150, context59: pc59, voc20, voc20b })

/** CLIPSelf's tables: with the CAT-Seg of 2023, which had an encoder more and is another program. */
const row2023 = (a847: number, a150: number, pc59: number) => ({
  'ade20k-847': a847,
  ade20k: a150,
  context59: pc59,
})

/** @internal */
export const OF_2023 = 'CAT-Seg of 2023, another program: '

/**
 * The benchmarks with the published mIoU, which is detectron2's: the mean over the classes in the truth.
 *
 * @internal
 */
export const CAT_SEG_SETS: Method['datasets'] = variants(
  { 'ade20k-847': {}, context459: {}, ade20k: {}, context59: {}, voc20: {}, voc20b: {} },
  ['CLIP ViT-B/16', 'R', row(12.0, 19.0, 31.8, 57.5, 94.6, 77.3)],
  ['CLIP ViT-L/14@336', 'R', row(16.0, 23.8, 37.9, 63.3, 97.0, 82.5)],
  ['EVA-CLIP ViT-B/16', 'P', row(11.9, 17.6, 30.4, 52.3, 94.2, 74.2)],
  ['EVA-CLIP ViT-L/14', 'P', row(14.2, 21.3, 34.8, 56.2, 95.8, 80.1)],
  ['DeCLIP ViT-B/16', 'P', row(15.3, 21.4, 36.3, 60.6, 96.6, 81.3)],
  ['DeCLIP ViT-B/16, the released file', 'R', row(15.2, 21.47, 36.57, 60.89, 96.68, 81.54)],
  ['DeCLIP ViT-L/14', 'P', row(17.6, 25.9, 40.7, 63.9, 97.7, 83.9)],
  [`${OF_2023}CLIPSelf ViT-L/14`, 'S', row2023(12.4, 34.5, 62.3)],
  [`${OF_2023}CLIP ViT-L/14`, 'M', row2023(10.8, 31.5, 62.0)],
  [`${OF_2023}CLIPSelf ViT-B/16`, 'M', row2023(9.3, 29.0, 58.0)],
  [`${OF_2023}CLIP ViT-B/16`, 'M', row2023(8.4, 27.2, 57.5)],
)
