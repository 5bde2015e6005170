import type { ResolvedConfig } from './config-fields.js'
import { type Fields, isFields, notOf, over } from './released.js'

/**
 * What a configuration of objective 'fvit' takes where it says nothing: CLIPSelf's released configurations for OV-COCO
 * and OV-LVIS (F-ViT/configs). Their batch is 8 pictures on each of 8 devices.
 */
const RELEASED = {
  batch: 8,
  templates: 'vild',
  schedule: { kind: 'step', rate: 1e-4, warmup: 250, warmupFrom: 0.001 },
  optimizer: { clipNorm: 1 },
} as const

const VARIANTS = {
  coco: {
    epochs: 3,
    detector: { masks: false, rpnNorm: false, backgroundWeight: 0.6, lowQualityBoxes: false },
  },
  lvis: {
    epochs: 48,
    schedule: { milestones: [32, 44] },
    detector: { masks: true, rpnNorm: true, backgroundWeight: 0.9, lowQualityBoxes: true },
  },
} as const

/** The configuration of a detector with the values of its released one below it. */
export function withReleasedDetector(config: Fields): Fields {
  const own = isFields(config['detector']) ? config['detector']['variant'] : undefined
  const variant = own === 'lvis' ? 'lvis' : 'coco'
  const filled = over(over(RELEASED, VARIANTS[variant]), config)
  const { schedule } = filled
  // Another course than the released one has no milestones.
  if (!isFields(schedule) || schedule['kind'] === 'step') return filled
  const given = isFields(config['schedule']) ? config['schedule'] : {}
  return { ...filled, schedule: { ...schedule, milestones: given['milestones'] } }
}

/** Fields that say nothing to a detector, with what does. */
const OTHERS: Readonly<Record<string, string>> = {
  pretrained: 'its tower stays as it is',
  alpha: 'its tower stays as it is',
  unlockedGroups: 'its tower stays as it is',
  checkpointActivations: 'nothing goes back through its tower',
  mode: 'it has detector.mode',
  augment: 'it has detector.jitter and detector.mirror',
  regions: 'it learns from all boxes of a picture',
  contentWeight: "that is for 'declip'",
  contextWeight: "that is for 'declip'",
  leastClasses: "that is for 'region-text'",
  regionLoss: "that is for 'region-text'",
  trainText: "that is for 'contrastive'",
}

/**
 * Sentences about fields that a configuration of objective 'fvit' gives and that do not apply to it.
 *
 * @param given - as it was written: defaults are no mistake
 */
export function notOfDetectors(given: unknown, { objective }: ResolvedConfig): string[] {
  return objective === 'fvit' ? notOf(given, objective, OTHERS) : []
}
