import type { DenseMode, ModelFamily } from '../base/names.js'
import type { NativeCatSegInfo } from '../engine/addon-types.js'
import { DeclipError } from '../errors.js'
import { type DatasetName, unknown } from './benchmarks.js'
import { aggregatesCosts } from './cat-seg.js'
import { fitted, isFitted } from './families.js'
import { METHOD_NAMES, METHODS, type MethodName } from './list.js'
import type { Preset } from './method.js'
import { TALKING_FAMILIES, talks } from './talk2dino.js'

/** What a preset needs to know of a model. @internal */
export interface ModelFacts {
  /** Side of the training pictures, pixels. */
  readonly imageSize: number
  /** Pixels. */
  readonly patchSize: number
  readonly family: ModelFamily
  /** Mode that the checkpoint was fine-tuned for, where it says so. */
  readonly denseMode: DenseMode | null
  /** Modes that the model has. */
  readonly denseModes: readonly DenseMode[]
  /** Blocks of the tower, where they are known. */
  readonly layers?: number | undefined
  /** CAT-Seg's head, where it has one. */
  readonly catSeg?: NativeCatSegInfo | null | undefined
}

/** Models for smaller pictures than this (pixels) are run with windows of their own size. @internal */
export const SMALLEST_PAPER_WINDOW = 224

/** The preset of a model that the caller names no method for. @internal */
export function defaultMethod(model: Omit<ModelFacts, 'denseModes'>): MethodName {
  if (model.catSeg) return 'cat-seg'
  const mode = model.denseMode
  if (mode === 'maskclip') return 'clipself'
  const sameName = METHOD_NAMES.find(name => name === mode)
  if (sameName) return sameName
  if (mode || model.family === 'eva') return 'declip'
  if (isFitted(model.family)) return 'maskclip'
  return model.imageSize < SMALLEST_PAPER_WINDOW ? 'vanilla' : 'naclip'
}

const HEAD = 'its patch features come from an attention pooling head behind the last block'

/** Why families have other modes than a plain tower. */
const REASONS: Readonly<Partial<Record<ModelFamily, string>>> = {
  siglip: HEAD,
  pe: HEAD,
  tips: "its authors' code makes patches as they are, or with values in place of attention",
}

/** A method's values for a benchmark and a model. @internal */
export function presetFor(
  method: MethodName,
  name: string | undefined,
  model: ModelFacts,
): { preset: Preset; dataset: DatasetName | null } {
  const { preset, datasets, families }: (typeof METHODS)[MethodName] = METHODS[method]
  const dataset = name === undefined ? null : datasetOf(method, name)
  const changes = dataset && datasets[dataset]?.changes
  const own = families?.[model.family]?.changes
  const merged = { ...preset, ...changes, ...own }
  return { preset: { ...fitted(merged, model), ...ownValues(method, merged, model) }, dataset }
}

function datasetOf(method: MethodName, name: string): DatasetName {
  const { datasets } = METHODS[method]
  const dataset = (Object.keys(datasets) as DatasetName[]).find(known => known === name)
  if (!dataset) throw unknown(`dataset of method '${method}'`, name, Object.keys(datasets))
  return dataset
}

/**
 * What checkpoints say themselves: DeCLIP's which of its modes they were trained for, CAT-Seg's what their heads fit.
 */
function ownValues(
  method: MethodName,
  preset: Preset,
  { denseMode, catSeg }: ModelFacts,
): Pick<Preset, 'mode'> & Partial<Preset> {
  if (aggregatesCosts(method) && catSeg) {
    const { mode, prompt, canvas, cut, stride } = catSeg
    return { mode, templates: [prompt], shortSide: canvas, window: cut, stride }
  }
  const trained = denseMode && ['qq', 'kk', 'vv', 'csa', 'all', 'declip'].includes(denseMode)
  return { mode: method === 'declip' && trained ? denseMode : preset.mode }
}

/** The methods that run on a model: those whose dense mode it has. @internal */
export function methodsOf(model: ModelFacts): MethodName[] {
  return METHOD_NAMES.filter(method => {
    if (talks(method)) return TALKING_FAMILIES.includes(model.family)
    if (aggregatesCosts(method)) return model.catSeg?.prompts === 1
    return model.denseModes.includes(presetFor(method, undefined, model).preset.mode)
  })
}

/**
 * Refuses a dense mode that a model does not have.
 *
 * @param method - the method that asks for it; without one the caller does
 * @throws DeclipError ERR_DECLIP_INVALID_ARG with the reason and what there is instead
 * @internal
 */
export function checkMode(model: ModelFacts, mode: DenseMode, method?: MethodName): void {
  const { denseModes, family } = model
  if (denseModes.length === 0 || denseModes.includes(mode)) return
  const what = method && method !== mode ? `Method '${method}' (dense mode '${mode}')` : undefined
  const subject = what ?? (method ? `Method '${mode}'` : `Dense mode '${mode}'`)
  const why = REASONS[family] ?? 'it has no attention pooling head, which the mode is about'
  const list = (names: readonly string[]) => names.map(name => `'${name}'`).join(', ')
  const instead = method
    ? `Methods that run on it: ${list(methodsOf(model))}`
    : `Dense modes that it has: ${list(denseModes)}`
  throw new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `${subject} is not defined for this model (${family}): ${why}. ${instead}.`,
  )
}
