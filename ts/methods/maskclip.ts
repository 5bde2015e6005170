import { COMPARED, COMPARED_SETS, COMPARED_WORDS, DECLIP_TABLES } from './compared.js'
import { TIPS_WINDOWS } from './families.js'
import { CLIP_B, type Method, variants } from './method.js'

/** MaskCLIP (ECCV 2022). @internal */
export const maskclip: Method = {
  source: `arXiv 2112.01071; values and figures of ${DECLIP_TABLES}`,
  preset: { ...COMPARED, mode: 'maskclip' },
  families: { tips: TIPS_WINDOWS },
  datasets: variants(COMPARED_SETS, [
    CLIP_B,
    'P',
    {
      voc21: 43.4,
      context60: 23.2,
      'coco-object': 20.6,
      voc20: 74.9,
      cityscapes: 24.9,
      context59: 26.4,
      ade20k: 11.9,
      'coco-stuff': 16.7,
    },
  ]),
  words: COMPARED_WORDS,
}
