/**
 * F-ViT's settings at test time (Wu et al., CLIPSelf, arXiv 2310.01403; github.com/wusize/CLIPSelf, folder F-ViT,
 * configs/ov_coco, configs/ov_lvis and configs/transfer): by what a detector was trained on, and what it is run on.
 * Published figures of these are in ts/evaluate/published.ts.
 */
import { COCO_THINGS } from './benchmarks.js'
import { LVIS_NAMES, LVIS_RARE } from './lvis.js'
import { NOVEL, OV_COCO } from './ov-coco.js'

/** Names of the presets: open-vocabulary COCO and LVIS, and the LVIS detector on other sets, unchanged. */
export const DETECTOR_PRESETS = [
  'coco',
  'lvis',
  'transfer-coco',
  'transfer-objects365',
  'transfer-voc',
] as const

/** One of {@link DETECTOR_PRESETS}. */
export type DetectorPresetName = (typeof DETECTOR_PRESETS)[number]

/** How scores are made and which boxes are kept. @internal */
export interface DetectorPreset {
  /** The vote's share for base classes and the background. */
  readonly alpha: number
  /** And for novel classes. */
  readonly beta: number
  /** Factor on the vote's cosines: tau_vlm. */
  readonly temperature: number
  /** Factor on the box head's cosines: tau_det; undefined: the one that it learned. */
  readonly detectorTemperature?: number
  readonly scoreThreshold: number
  readonly nmsThreshold: number
  readonly limit: number
}

/** What tells the settings. @internal */
export interface DetectorKind {
  /** A mask head, or batch norms in the RPN: the LVIS variant. */
  readonly masks: boolean
  readonly rpnNorm: boolean
}

const LVIS = { temperature: 50, scoreThreshold: 1e-4, nmsThreshold: 0.5, limit: 300 } as const

/** One exponent for all classes and the background, fixed temperatures. */
const transfer = (exponent: number): DetectorPreset => ({
  ...LVIS,
  temperature: 120,
  detectorTemperature: 50,
  alpha: exponent,
  beta: exponent,
})

/** @param patch - of the tower in pixels: the ViT-L/14's LVIS configuration has a smaller beta. @internal */
export function detectorPreset(name: DetectorPresetName, patch: number): DetectorPreset {
  switch (name) {
    case 'coco':
      return {
        alpha: 0.1,
        beta: 0.8,
        temperature: 75,
        scoreThreshold: 0.01,
        nmsThreshold: 0.4,
        limit: 100,
      }
    case 'lvis':
      return { ...LVIS, alpha: 0.1, beta: patch === 14 ? 0.4 : 0.6 }
    case 'transfer-coco':
      return transfer(0.2)
    case 'transfer-objects365':
    case 'transfer-voc':
      return transfer(0.3)
  }
}

/** The preset of a detector where the caller names none. @internal */
export function presetOf({ masks, rpnNorm }: DetectorKind): DetectorPresetName {
  return masks || rpnNorm ? 'lvis' : 'coco'
}

/** Names in the order of stored words, where a file without names has as many as a published set. @internal */
export function namesOfCount(count: number): readonly string[] | undefined {
  if (count === OV_COCO.length) return OV_COCO.map(({ name }) => name)
  return count === LVIS_NAMES.length ? LVIS_NAMES : undefined
}

/** Two spellings of one name: 'Traffic_light' and 'traffic light'. @internal */
export function sameName(name: string): string {
  return name.replaceAll('_', ' ').trim().toLowerCase()
}

const spelled = (names: Iterable<string>): ReadonlySet<string> => new Set([...names].map(sameName))
const OV_COCO_NAMES = spelled(OV_COCO.map(({ name }) => name))
const OV_COCO_NOVEL = spelled(NOVEL)
const ALL_LVIS = spelled(LVIS_NAMES)
const RARE = spelled(LVIS_RARE)

/**
 * Which of a detector's own names it did not learn: those of the split that all of its names belong to.
 *
 * @returns their spelling as {@link sameName} has it; undefined for names of no known split
 * @internal
 */
export function publishedNovel(
  names: readonly string[],
  kind: DetectorKind,
): ReadonlySet<string> | undefined {
  const [all, novel] = presetOf(kind) === 'lvis' ? [ALL_LVIS, RARE] : [OV_COCO_NAMES, OV_COCO_NOVEL]
  return names.every(name => all.has(sameName(name))) ? novel : undefined
}

/** Ids of COCO's 80 things: 1 to 90, of which ten were never used. */
const COCO_IDS = ((unused: readonly number[]) =>
  Array.from({ length: 90 }, (_, i) => i + 1).filter(id => !unused.includes(id)))([
  12, 26, 29, 30, 45, 66, 68, 69, 71, 83,
])

const idsBy = (names: readonly string[], ids: readonly number[]) =>
  new Map(names.map((name, i) => [sameName(name), ids[i] as number]))
const COCO_ID = idsBy(COCO_THINGS, COCO_IDS)
const LVIS_ID = idsBy(
  LVIS_NAMES,
  LVIS_NAMES.map((_, i) => i + 1),
)

/**
 * Ids that COCO's or LVIS's files have for these classes; undefined where one of them is in neither set.
 *
 * @internal
 */
export function categoryIdsOf(
  classes: readonly string[],
  kind: DetectorKind,
): readonly number[] | undefined {
  const tables = presetOf(kind) === 'lvis' ? [LVIS_ID, COCO_ID] : [COCO_ID, LVIS_ID]
  for (const table of tables) {
    const ids = classes.map(name => table.get(sameName(name)))
    if (ids.every(id => id !== undefined)) return ids as number[]
  }
  return undefined
}
