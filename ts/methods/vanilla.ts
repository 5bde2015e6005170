import { COMPARED, COMPARED_SETS, COMPARED_WORDS, DECLIP_TABLES } from './compared.js'
import { TIPS_WINDOWS } from './families.js'
import { CLIP_B, EVA_B, type Method, variants } from './method.js'

/** Plain CLIP. @internal */
export const vanilla: Method = {
  source: `Plain CLIP; values and figures of ${DECLIP_TABLES}`,
  preset: { ...COMPARED, mode: 'vanilla' },
  families: { tips: TIPS_WINDOWS },
  datasets: variants(
    COMPARED_SETS,
    [
      CLIP_B,
      'P',
      {
        voc21: 18.8,
        context60: 9.9,
        'coco-object': 8.1,
        voc20: 49.4,
        cityscapes: 6.5,
        context59: 11.1,
        ade20k: 3.1,
        'coco-stuff': 5.7,
      },
    ],
    [
      EVA_B,
      'P',
      {
        voc21: 23.4,
        context60: 12.8,
        'coco-object': 15.3,
        voc20: 55.9,
        cityscapes: 12.8,
        context59: 13.9,
        ade20k: 7.7,
        'coco-stuff': 9.7,
      },
    ],
  ),
  words: COMPARED_WORDS,
}
