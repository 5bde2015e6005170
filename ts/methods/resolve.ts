import { DENSE_MODES, type DenseMode, type ModelFamily } from '../base/names.js'
import type { NativeDense, NativePipeline, NativePostprocess } from '../engine/addon-types.js'
import { DeclipError, invalid } from '../errors.js'
import type { TemplateSetName } from '../text/templates.js'
import { type DatasetName, unknown } from './benchmarks.js'
import { METHOD_NAMES, METHODS, type MethodName } from './list.js'
import type { PamrOptions, Preset } from './method.js'
import type { PamrOptions, PipelineOptions, PostprocessOptions, PromptOptions } from './options.js'
import { proxyModel, toNativeProxy } from './proxy.js'

/** What a preset needs to know of a model. @internal */
export interface ModelFacts {
  /** Side of the training pictures, pixels. */
  readonly imageSize: number
  /** Pixels. */
  readonly patchSize: number
  readonly family: ModelFamily
  /** Mode that the checkpoint was fine-tuned for, where it says so. */
  readonly denseMode: DenseMode | null
  /** Blocks of the vision tower. */
  readonly layers: number
}

/** Options that a preset fills. @internal */
export type MethodOptions = PipelineOptions & PostprocessOptions & PromptOptions

/** A preset with the caller's values in place. @internal */
export interface ResolvedMethod {
  readonly method: MethodName
  readonly dataset: DatasetName | null
  readonly pipeline: NativePipeline
  readonly post: NativePostprocess
  readonly templates: TemplateSetName | readonly string[]
  readonly definitionWeight: number
  /** Names of the options that the caller gave, sorted. */
  readonly fromCaller: readonly string[]
  /** What is likely a mistake, for one process warning. */
  readonly warning: string | null
}

/** Models for smaller pictures than this (pixels) are run with windows of their own size. */
const SMALLEST_PAPER_WINDOW = 224

/** The blocks of the towers that ITACLIP's layer numbers are meant for. */
const PAPER_LAYERS = 12

/** The preset of a model that the caller names no method for. @internal */
export function defaultMethod(model: ModelFacts): MethodName {
  const mode = model.denseMode
  if (mode === 'maskclip') return 'clipself'
  const sameName = METHOD_NAMES.find(name => name === mode)
  if (sameName) return sameName
  if (mode || model.family === 'eva') return 'declip'
  return model.imageSize < SMALLEST_PAPER_WINDOW ? 'vanilla' : 'naclip'
}

/**
 * Fills what the caller left out from the method's preset.
 *
 * Papers give window, stride and short side in pixels of pictures for models of 224 and more. For a
 * smaller model the window is its own image size, the stride keeps the paper's share of the window,
 * and the picture keeps its size. A preset's thresholds turn pixels into background, so they are
 * off without a background class; what the caller gives always stands.
 *
 * @param request.background - Index of the vocabulary's background class, -1 for none.
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG for a name that does not exist, a value of the
 *   wrong type or out of range, or values that exclude each other.
 * @internal
 */
export function resolveMethod(request: {
  model: ModelFacts
  options: MethodOptions
  background?: number
}): ResolvedMethod {
  const { model, options, background = -1 } = request
  const { method = defaultMethod(model) } = options
  if (!METHOD_NAMES.includes(method)) throw unknown('method', method, METHOD_NAMES)
  const { preset, dataset } = presetFor(method, options.dataset)
  checkOptions(options)

  const mode = options.denseMode ?? options.mode ?? presetMode(method, preset, model)
  const dense = resolveDense(mode, preset, options, model)
  const { pamr = preset.pamr } = options
  const hasBackground = background >= 0
  return {
    method,
    dataset,
    pipeline: resolveWindows(dense, preset, options, model),
    post: {
      logitScale: options.logitScale ?? preset.logitScale,
      pamrIterations: pamr ? pamr.iterations : 0,
      pamrDilations: pamr ? pamr.dilations : [],
      probThreshold: options.probThreshold ?? (hasBackground ? preset.probThreshold : 0),
      areaThreshold: options.areaThreshold ?? (hasBackground ? preset.areaThreshold : 0),
      closing: options.closing ?? preset.closing,
      background,
      logits: options.logits ?? false,
      probabilities: options.probabilities ?? false,
    },
    templates: options.templates ?? preset.templates,
    definitionWeight: options.definitionWeight ?? preset.definitionWeight,
    fromCaller: Object.entries(options)
      .filter(([name, value]) => value !== undefined && RESOLVED.has(name))
      .map(([name]) => name)
      .sort(),
    warning: modeWarning(model.denseMode, mode),
  }
}

function presetFor(
  method: MethodName,
  name: string | undefined,
): { preset: Preset; dataset: DatasetName | null } {
  const { preset, datasets } = METHODS[method]
  if (name === undefined) return { preset, dataset: null }
  const dataset = (Object.keys(datasets) as DatasetName[]).find(known => known === name)
  if (!dataset) throw unknown(`dataset of method '${method}'`, name, Object.keys(datasets))
  return { preset: { ...preset, ...datasets[dataset]?.changes }, dataset }
}

/** DeCLIP's checkpoints say which of its five modes they were trained for. */
function presetMode(method: MethodName, preset: Preset, model: ModelFacts): DenseMode {
  const trained = model.denseMode
  return method === 'declip' && trained && ['qq', 'kk', 'vv', 'csa', 'all'].includes(trained)
    ? trained
    : preset.mode
}

function resolveDense(
  mode: DenseMode,
  preset: Preset,
  options: MethodOptions,
  model: ModelFacts,
): NativeDense {
  const { proxy } = options
  if (mode === 'proxyclip' && !proxy?.features && !proxy?.model) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `Dense mode 'proxyclip' needs proxy.features, the patch features of a vision foundation model for every window, or proxy.model, which makes them; pass one of them or choose another method.`,
    )
  }
  // Settings of one mode's last block mean nothing to another mode.
  const own: Partial<Preset> = mode === preset.mode ? preset : {}
  return {
    mode,
    positions: options.positions ?? preset.positions,
    residual: options.residual,
    feedForward: options.feedForward,
    layers: options.layers ?? (model.layers >= PAPER_LAYERS ? own.layers : undefined),
    selfAttention: options.selfAttention ?? own.selfAttention,
    gaussianStd: options.gaussianStd ?? own.gaussianStd,
    neighboursOnly: options.neighboursOnly,
    ...toNativeProxy(proxy),
    proxyBeta: proxy?.beta ?? own.beta,
    proxyGamma: proxy?.gamma ?? own.gamma,
  }
}

function resolveWindows(
  dense: NativeDense,
  preset: Preset,
  options: MethodOptions,
  model: ModelFacts,
): NativePipeline {
  const small = model.imageSize < SMALLEST_PAPER_WINDOW
  const share = preset.window > 0 ? preset.stride / preset.window : 1 / 2
  const window = options.window ?? (small ? model.imageSize : preset.window)
  const paperStride = small ? Math.max(1, Math.round(model.imageSize * share)) : preset.stride
  // A preset's stride gives way to the caller's smaller window; the caller's own stride does not.
  const stride = options.stride ?? (window > 0 ? Math.min(paperStride, window) : paperStride)
  if (window > 0 && stride > window) {
    throw invalid('stride', `1 to ${window} (the window), so that no pixel is left out`, stride)
  }
  const ownPadTo = small || preset.padTo === 'patch' ? model.patchSize : preset.padTo
  // Windows are whole patches for both models; SAM's are resized for it.
  const proxy = dense.mode === 'proxyclip' ? proxyModel(options.proxy)?.info : undefined
  const padTo =
    proxy && proxy.family !== 'sam' ? commonMultiple(ownPadTo, proxy.patchSize) : ownPadTo
  const shortSide =
    options.shortSide === undefined ? (small ? null : preset.shortSide) : options.shortSide
  return {
    dense,
    shortSide: shortSide ?? 0,
    window,
    stride,
    padTo: options.padTo ?? padTo,
    augment: options.augment ?? preset.augment,
    augmentWeight: options.augmentWeight ?? preset.augmentWeight,
  }
}

function commonMultiple(a: number, b: number): number {
  let multiple = a
  while (multiple % b !== 0) multiple += a
  return multiple
}

/** Modes that keep the last block's residual, as maskclip does: a model trained for that can use them. */
const KEEP_RESIDUAL: readonly DenseMode[] = ['vanilla', 'sclip', 'itaclip']

function modeWarning(trained: DenseMode | null, mode: DenseMode): string | null {
  if (trained === null || trained === mode) return null
  if (trained === 'maskclip' && KEEP_RESIDUAL.includes(mode)) return null
  return `This checkpoint was fine-tuned for dense mode '${trained}' and is run with '${mode}', which usually costs accuracy; leave out method and denseMode to use '${trained}'.`
}

type Check = readonly [expected: string, holds: (value: never) => boolean]

const integer = (min: number, max = Number.MAX_SAFE_INTEGER): Check => [
  max === Number.MAX_SAFE_INTEGER
    ? `a whole number of at least ${min}`
    : `a whole number, ${min} to ${max}`,
  (value: unknown) =>
    Number.isInteger(value) && (value as number) >= min && (value as number) <= max,
]
const fraction: Check = [
  'a number from 0 to 1',
  (value: unknown) => typeof value === 'number' && value >= 0 && value <= 1,
]
const positive: Check = [
  'a finite number above 0',
  (value: unknown) => typeof value === 'number' && value > 0 && value < Number.POSITIVE_INFINITY,
]
const boolean: Check = ['true or false', (value: unknown) => typeof value === 'boolean']
const mode: Check = [
  `one of ${DENSE_MODES.join(', ')}`,
  (value: unknown) => DENSE_MODES.some(name => name === value),
]
const listOf = (item: Check): Check => [
  `a list with at least one item, each ${item[0]}`,
  (value: unknown) =>
    Array.isArray(value) && value.length > 0 && value.every(v => item[1](v as never)),
]

/** Largest side in pixels that a picture may be resized to, and the largest window. */
const MAX_SIDE = 65_535

const CHECKS: Readonly<Record<string, Check>> = {
  mode,
  denseMode: mode,
  positions: [
    "'scale-factor' or 'size'",
    (value: unknown) => value === 'scale-factor' || value === 'size',
  ],
  residual: boolean,
  feedForward: boolean,
  layers: listOf(integer(1)),
  selfAttention: boolean,
  gaussianStd: positive,
  neighboursOnly: boolean,
  shortSide: [
    `null or a whole number of pixels, 1 to ${MAX_SIDE}`,
    (value: unknown) => value === null || integer(1, MAX_SIDE)[1](value as never),
  ],
  window: integer(0, MAX_SIDE),
  stride: integer(1, MAX_SIDE),
  padTo: integer(1, MAX_SIDE),
  augment: boolean,
  augmentWeight: fraction,
  definitionWeight: fraction,
  logitScale: positive,
  pamr: [
    'false or { iterations, dilations }',
    (value: unknown) => value === false || isRecord(value),
  ],
  probThreshold: fraction,
  areaThreshold: fraction,
  closing: boolean,
  logits: boolean,
  probabilities: boolean,
}

/** Options that appear in {@link ResolvedMethod.fromCaller}. */
const RESOLVED = new Set([...Object.keys(CHECKS), 'method', 'dataset', 'proxy', 'templates'])

/** Types and ranges of what the caller gave. */
function checkOptions(options: MethodOptions): void {
  check(options, CHECKS, '')
  if (options.pamr) {
    const required = { iterations: integer(1, 1000), dilations: listOf(integer(1)) }
    const { iterations = null, dilations = null } = options.pamr as Partial<PamrOptions>
    check({ iterations, dilations }, required, 'pamr.')
  }
  if (options.proxy !== undefined) {
    if (!isRecord(options.proxy)) throw invalid('proxy', '{ model, beta, gamma }', options.proxy)
    const finite: Check = ['a finite number', (value: unknown) => Number.isFinite(value)]
    check(options.proxy, { beta: finite, gamma: positive }, 'proxy.')
  }
}

function check(values: object, checks: Readonly<Record<string, Check>>, prefix: string): void {
  for (const [name, [expected, holds]] of Object.entries(checks)) {
    const value = (values as Record<string, unknown>)[name]
    if (value !== undefined && !holds(value as never)) throw invalid(prefix + name, expected, value)
  }
}

const isRecord = (value: unknown): boolean => typeof value === 'object' && value !== null
