import { COMPARED, COMPARED_SETS, COMPARED_WORDS, DECLIP_TABLES } from './compared.js'
import { DECLIP_HEADS } from './families.js'
import { EVA_B, type Method, variants } from './method.js'

/**
 * DeCLIP (CVPR 2025). Its class files separate a class's words by "; "; which words they hold is not
 * known here, so they are ClearCLIP's.
 *
 * @internal
 */
export const declip: Method = {
  source: `github.com/xiaomoguhz/DeCLIP, zero-shot segmentation configs; figures of ${DECLIP_TABLES}`,
  preset: { ...COMPARED, mode: 'csa', logitScale: 40, longSide: 4096 },
  families: DECLIP_HEADS,
  datasets: variants(
    {
      ...COMPARED_SETS,
      voc21: { logitScale: 80, probThreshold: 0.4 },
      context60: { probThreshold: 0.15 },
      'coco-object': { probThreshold: 0.2, longSide: 2048 },
      cityscapes: { shortSide: 560 },
    },
    [
      EVA_B,
      'P',
      {
        voc21: 59.7,
        context60: 35.3,
        'coco-object': 36.4,
        voc20: 85.0,
        cityscapes: 32.8,
        context59: 39.2,
        ade20k: 21.9,
        'coco-stuff': 25.3,
      },
    ],
  ),
  words: COMPARED_WORDS,
}
