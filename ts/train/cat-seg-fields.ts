import type { ResolvedConfig } from './config-fields.js'
import { type Fields, isFields, notOf, over } from './released.js'

/**
 * What a configuration of objective 'cat-seg' takes where it says nothing: CAT-Seg's released configurations
 * (github.com/cvlab-kaist/CAT-Seg, configs/vitb_384.yaml and vitl_336.yaml). Their batch is 4 pictures in all.
 */
const RELEASED = {
  batch: 4,
  steps: 80_000,
  schedule: { kind: 'cosine', rate: 2e-4, warmup: 0 },
  optimizer: { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 1e-4, clipNorm: 0.01 },
  catSeg: {},
} as const

/** The configuration of a CAT-Seg with the values of the released one below it. */
export function withReleasedCatSeg(config: Fields): Fields {
  const filled = over(RELEASED, config)
  // Who counts in epochs does not count in steps.
  return config['epochs'] === undefined ? filled : { ...filled, steps: config['steps'] }
}

/** Fields that say nothing to CAT-Seg, with what does. */
const OTHERS: Readonly<Record<string, string>> = {
  pretrained: 'nothing is mixed with it',
  alpha: 'nothing is mixed with what was learned',
  unlockedGroups: 'it has catSeg.clip',
  mode: 'it has catSeg.mode',
  augment: 'it has catSeg.scale, catSeg.jitter and catSeg.mirror',
  regions: 'it learns from all pixels of a picture',
  templates: 'it has catSeg.prompt',
  contentWeight: "that is for 'declip'",
  contextWeight: "that is for 'declip'",
  leastClasses: "that is for 'region-text'",
  regionLoss: "that is for 'region-text'",
  trainText: "that is for 'contrastive'",
}

/** Data sets that `evaluate` of an objective may name. */
const DETECTION_SETS: readonly string[] = ['folder', 'coco-ov', 'lvis']

/**
 * Sentences about what does not fit objective 'cat-seg' in a configuration, or is for it alone.
 *
 * @param given - as it was written: defaults are no mistake
 */
export function notOfCatSeg(given: unknown, config: ResolvedConfig): string[] {
  const { objective, data, evaluate } = config
  const isLabels = data.kind === 'labels' || data.kind === 'coco-stuff'
  if (objective !== 'cat-seg') {
    const rules: [boolean, string][] = [
      [config.catSeg !== undefined, "catSeg is for objective 'cat-seg'."],
      [isLabels, `data.kind '${data.kind}' is for objective 'cat-seg'.`],
      [
        evaluate !== undefined && !DETECTION_SETS.includes(evaluate.dataset),
        `evaluate.dataset '${evaluate?.dataset}' is for objective 'cat-seg'.`,
      ],
    ]
    return rules.filter(([holds]) => holds).map(([, text]) => text)
  }
  const rules: [boolean, string][] = [
    [
      !isLabels,
      "objective 'cat-seg' needs a label for every pixel: data.kind 'labels' or 'coco-stuff'.",
    ],
    [
      data.kind === 'coco-stuff' && config.classes !== undefined,
      "classes are for data.kind 'labels'; 'coco-stuff' has its own 171.",
    ],
    [
      data.kind === 'coco-stuff' && (data.labelMap !== undefined || data.reduceZero === true),
      "data.labelMap and data.reduceZero are for data.kind 'labels'; 'coco-stuff' has its own values.",
    ],
    [
      data.labelMap !== undefined && data.reduceZero === true,
      'Give either data.labelMap or data.reduceZero: both say what values mean.',
    ],
    [
      evaluate !== undefined && ['coco-ov', 'lvis'].includes(evaluate.dataset),
      `evaluate.dataset '${evaluate?.dataset}' is for objective 'fvit'.`,
    ],
    [evaluate?.kind !== undefined, "evaluate.kind is for objective 'fvit'."],
    [
      config.classFeatures !== undefined,
      "classFeatures are for objectives 'region-text' and 'fvit'; the words of 'cat-seg' are learned with it.",
    ],
  ]
  return [
    ...rules.filter(([holds]) => holds).map(([, text]) => text),
    ...notOf(given, objective, OTHERS),
    ...(isFields(given) ? promptProblem(config.catSeg?.prompt) : []),
  ]
}

function promptProblem(prompt: string | undefined): string[] {
  if (prompt === undefined || prompt.split('{}').length === 2) return []
  return [`catSeg.prompt must have {} once, where the class name goes, received '${prompt}'.`]
}
