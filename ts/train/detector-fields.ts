import type { ResolvedConfig } from './config-fields.js'

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

type Fields = Readonly<Record<string, unknown>>

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The configuration of a detector with the values of its released one below it; any other as it is. */
export function withReleased(config: unknown): unknown {
  if (!isFields(config) || config['objective'] !== 'fvit') return config
  const own = isFields(config['detector']) ? config['detector']['variant'] : undefined
  const variant = own === 'lvis' ? 'lvis' : 'coco'
  const filled = over(over(RELEASED, VARIANTS[variant]), config)
  const { schedule } = filled
  // Another course than the released one has no milestones.
  if (!isFields(schedule) || schedule['kind'] === 'step') return filled
  const given = isFields(config['schedule']) ? config['schedule'] : {}
  return { ...filled, schedule: { ...schedule, milestones: given['milestones'] } }
}

/** The fields of `above`, and those of `below` that it does not give. */
function over(below: Fields, above: Fields): Fields {
  const out: Record<string, unknown> = { ...below }
  for (const [key, value] of Object.entries(above)) {
    if (value === undefined) continue
    const under = out[key]
    out[key] = isFields(under) && isFields(value) ? over(under, value) : value
  }
  return out
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
  if (objective !== 'fvit' || !isFields(given)) return []
  return Object.entries(OTHERS)
    .filter(([field]) => given[field] !== undefined)
    .map(([field, why]) => `${field} is not for objective 'fvit': ${why}.`)
}
