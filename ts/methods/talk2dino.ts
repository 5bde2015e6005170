import type { ModelFamily } from '../base/names.js'
import { DeclipError } from '../errors.js'
import { ADE20K, CITYSCAPES, COCO_THINGS, CONTEXT, DATASETS, VOC } from './benchmarks.js'
import { against, foreground, type WordTable } from './common-words.js'
import { BARE, type Method, type Preset, variants } from './method.js'

/** Models whose patches words can be compared with through a projection. @internal */
export const TALKING_FAMILIES: readonly ModelFamily[] = ['dinov2', 'dinov3']

/** One word per class, as mmsegmentation 0.x names them; the background's own word is not looked for. */
const WORDS: WordTable = {
  voc21: against('background', VOC),
  voc20: foreground(VOC),
  context60: against('background', CONTEXT),
  context59: foreground(CONTEXT),
  'coco-object': against('background', COCO_THINGS),
  'coco-stuff': foreground(DATASETS['coco-stuff'].labels),
  ade20k: foreground(ADE20K),
  cityscapes: foreground(CITYSCAPES),
}

/** CLIP's seven prompts as Talk2DINO spells them: one has 'a' for 'the'. */
const PROMPTS = Object.freeze([
  'itap of a {}.',
  'a bad photo of a {}.',
  'a origami {}.',
  'a photo of the large {}.',
  'a {} in a video game.',
  'art of the {}.',
  'a photo of the small {}.',
])

const CLEANED: Partial<Preset> = { backgroundCleaning: true }

/** Talk2DINO (ICCV 2025). @internal */
export const talk2dino: Method = {
  source: 'github.com/lorebianchi98/Talk2DINO, configs and README; arXiv 2411.19331; with PAMR',
  preset: {
    ...BARE,
    // What a DINOv2 makes patches by has no name of its own.
    mode: 'vanilla',
    positions: 'size',
    templates: PROMPTS,
    shortSide: 448,
    window: 448,
    stride: 224,
    padTo: 1,
    // Scores are numbers between 0 and 1 already.
    logitScale: 1,
    pamr: { iterations: 10, dilations: [1, 2, 4, 8, 12, 24] },
    // The background's constant score, with a DINOv2 ViT-B; ViT-L: 0.54.
    probThreshold: 0.55,
    backgroundCleaning: false,
  },
  datasets: variants(
    {
      voc21: CLEANED,
      voc20: {},
      context60: {},
      context59: {},
      'coco-object': CLEANED,
      'coco-stuff': {},
      ade20k: {},
      cityscapes: {},
    },
    [
      'DINOv2 ViT-B/14 with registers, words by CLIP ViT-B/16',
      'S',
      { voc21: 65.8, context59: 42.4, 'coco-stuff': 30.2, cityscapes: 38.1 },
    ],
  ),
  words: WORDS,
}

/** Whether a method compares words with the patches of a model that has no texts. @internal */
export function talks(method: string | undefined): boolean {
  return method === 'talk2dino'
}

/**
 * Refuses models that method 'talk2dino' is not about, and options that mean nothing to it.
 *
 * @param others - methods that run on the model
 * @throws DeclipError ERR_DECLIP_INVALID_ARG
 * @internal
 */
export function checkTalking(
  family: ModelFamily,
  options: object,
  others: readonly string[] = [],
): void {
  const instead =
    others.length > 0
      ? ` Methods that run on it: ${others.map(name => `'${name}'`).join(', ')}.`
      : ''
  if (!TALKING_FAMILIES.includes(family)) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `Method 'talk2dino' compares words with the patches of a DINOv2, received a model of family '${family}'. Give a DINOv2 with registers as model, and a CLIP as text: { model, projection }.${instead}`,
    )
  }
  const name = MEANINGLESS.find(option => (options as Record<string, unknown>)[option])
  if (name === undefined) return
  throw new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `${name} does not go with method 'talk2dino', whose windows go through a DINOv2 as they are; leave it out.`,
  )
}

/** Options of CLIP's towers and their windows. */
const MEANINGLESS = [
  'mode',
  'denseMode',
  'positions',
  'residual',
  'feedForward',
  'layers',
  'selfAttention',
  'gaussianStd',
  'neighboursOnly',
  'proxy',
  'scclip',
  'corrclip',
  'augment',
  'augmentWeight',
  'aggregate',
  'padTo',
  'bank',
  'wordThreshold',
]
