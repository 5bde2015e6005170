import type { DenseMode } from '../base/names.js'
import type { NativeDense, NativePipeline, NativePostprocess } from '../engine/addon-types.js'
import { DeclipError, invalid } from '../errors.js'
import type { TemplateSetName } from '../text/templates.js'
import { resolveBank } from './bank.js'
import { type DatasetName, unknown } from './benchmarks.js'
import { aggregatesCosts, catSeg } from './cat-seg.js'
import { catSegPipeline, checkCatSeg, resolveCatSeg } from './cat-seg-options.js'
import { resolveDense } from './dense.js'
import { ownWindow } from './families.js'
import { AGGREGATE_FIELDS, checkMethodOptions, METHOD_OPTIONS, modeOf } from './fields.js'
import { METHOD_NAMES, type MethodName } from './list.js'
import type { Preset } from './method.js'
import type { PipelineOptions, PostprocessOptions, PromptOptions } from './options.js'
import {
  checkMode,
  defaultMethod,
  type ModelFacts,
  methodsOf,
  presetFor,
  SMALLEST_PAPER_WINDOW,
} from './preset.js'
import { PROXY_MODES, proxyModel } from './proxy.js'
import { checkTalking, talks } from './talk2dino.js'

/** Options that a preset fills. @internal */
export type MethodOptions = PipelineOptions &
  PostprocessOptions &
  PromptOptions & {
    /** Where regions come from; here it only matters whether there are any. */
    readonly masks?: unknown
  }

/** A preset with the caller's values in place. @internal */
export interface ResolvedMethod {
  readonly method: MethodName
  readonly dataset: DatasetName | null
  readonly pipeline: NativePipeline
  /** What follows the scores, for a vocabulary whose background class has this index, -1 for none. */
  postprocess(background: number): NativePostprocess
  readonly templates: TemplateSetName | readonly string[]
  readonly definitionWeight: number
  /** Which words of a class are compared; the background's are always all. */
  readonly classWords: 'first' | 'all'
  /** Names of the options that the caller gave, sorted. */
  readonly fromCaller: readonly string[]
  /** What is likely a mistake, for one process warning. */
  readonly warning: string | null
  /** Whether anything looks at the regions of `masks`. */
  readonly usesRegions: boolean
}

/** Modes whose attention follows regions. */
const REGION_MODES: readonly string[] = ['corrclip']

/**
 * Short side of a picture for such a model, in windows. The bundled model's mIoU on its scenes is best at 2
 * to 2.5 windows, hardly less at 3 (the scenes' own size), and falls beyond: docs/bundled-model.md.
 */
const SMALL_MODEL_WINDOWS = 3

/**
 * Fills what the caller left out from the method's preset.
 *
 * Papers give window, stride and short side in pixels of pictures for models of 224 and more. For a
 * smaller model the window is its own image size, the stride keeps the paper's share of the window,
 * and the picture is shrunk to a short side of three windows; smaller ones keep their size. A preset's thresholds turn pixels into background, so they are
 * off without a background class; what the caller gives always stands.
 *
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG for a name that does not exist, a value of the
 *   wrong type or out of range, or values that exclude each other.
 * @internal
 */
export function resolveMethod(request: {
  model: ModelFacts
  options: MethodOptions
}): ResolvedMethod {
  const { model, options } = request
  const { method = defaultMethod(model) } = options
  if (!METHOD_NAMES.includes(method)) throw unknown('method', method, METHOD_NAMES)
  const { preset, dataset } = presetFor(method, options.dataset, model)
  checkMethodOptions(options)
  checkTalk(method, model, options)
  if (!aggregatesCosts(method) && options.catSeg !== undefined) {
    throw invalid('catSeg', "left out unless method is 'cat-seg'", options.catSeg)
  }
  if (options.regions !== undefined) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      'regions are those of the pictures that encodeDense() takes; a pipeline, which cuts windows, takes the regions of the whole picture as masks.',
    )
  }
  const pipeline = aggregatesCosts(method)
    ? resolveHead(options, model)
    : resolveTower(method, preset, options, model)
  const { mode } = pipeline.dense
  const votes = resolveVote(preset, options)
  return {
    method,
    dataset,
    pipeline,
    postprocess: background => ({
      ...resolvePostprocess(preset, options, background),
      ...(votes && { vote: true }),
      ...(pipeline.catSeg && { independent: true }),
    }),
    templates: options.templates ?? preset.templates,
    definitionWeight: options.definitionWeight ?? preset.definitionWeight,
    classWords: options.classWords ?? preset.classWords ?? 'all',
    fromCaller: METHOD_OPTIONS.filter(
      name => (options as Record<string, unknown>)[name] !== undefined,
    ).sort(),
    warning: pipeline.catSeg ? null : modeWarning(model.denseMode, mode),
    usesRegions: votes || options.bank !== undefined || REGION_MODES.includes(mode),
  }
}

/** How a picture becomes features that words are compared with. */
function resolveTower(
  method: MethodName,
  preset: Preset,
  options: MethodOptions,
  model: ModelFacts,
): NativePipeline {
  const given = modeOf(options)
  const mode = given ?? preset.mode
  checkMode(model, mode, given === undefined ? method : undefined)
  const dense = resolveDense({ ...options, mode }, preset.positions)
  return { ...resolveWindows(dense, preset, options, model), ...resolveBank(options) }
}

/** How CAT-Seg's head sees a picture. */
function resolveHead(options: MethodOptions, model: ModelFacts): NativePipeline {
  checkCatSeg(model, options, methodsOf(model))
  const settings = resolveCatSeg(model, options.catSeg)
  checkMode(model, settings.mode)
  const { shortSide = settings.canvas, longSide = LONG_SIDES * settings.canvas } = options
  return catSegPipeline(settings, { shortSide: shortSide ?? 0, longSide })
}

/** What the longer side may be at most, in canvases: published are 2560 pixels of 640. */
const LONG_SIDES = catSeg.preset.longSide / catSeg.preset.shortSide

/** A preset's vote needs masks and is none without; the caller's is refused then. */
function resolveVote(preset: Preset, { refine, masks }: MethodOptions): boolean {
  if (masks !== undefined) return (refine ?? preset.refine) === 'vote'
  if (refine === 'vote') {
    throw invalid('masks', "given for refine: 'vote', which gives every region one label", masks)
  }
  return false
}

/**
 * Refuses masks that nothing would look at.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG
 * @internal
 */
export function checkMasksUsed(method: ResolvedMethod, masks: unknown): void {
  if (masks === undefined || method.usesRegions) return
  throw new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `Nothing would look at masks: method '${method.method}' does not follow regions. Add refine: 'vote', which gives every region one label, take a method that follows them (${REGION_MODES.join(', ')}), or leave masks out.`,
  )
}

/** What belongs to method 'talk2dino' goes with no other, and the other way round. */
function checkTalk(method: MethodName, model: ModelFacts, options: MethodOptions): void {
  const name = (['text', 'backgroundCleaning'] as const).find(one => options[one] !== undefined)
  if (talks(method)) checkTalking(model.family, options, methodsOf(model))
  else if (name) throw invalid(name, "left out unless method is 'talk2dino'", options[name])
}

function resolvePostprocess(
  preset: Preset,
  options: MethodOptions,
  background: number,
): NativePostprocess {
  const { pamr = preset.pamr } = options
  const thresholds = background >= 0 ? preset : { probThreshold: 0, areaThreshold: 0 }
  return {
    logitScale: options.logitScale ?? preset.logitScale,
    pamrIterations: pamr ? pamr.iterations : 0,
    pamrDilations: pamr ? pamr.dilations : [],
    probThreshold: options.probThreshold ?? thresholds.probThreshold,
    areaThreshold: options.areaThreshold ?? thresholds.areaThreshold,
    ...(options.wordThreshold !== undefined && { wordThreshold: options.wordThreshold }),
    closing: options.closing ?? preset.closing,
    background,
    logits: options.logits ?? false,
    probabilities: options.probabilities ?? false,
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
  const own = ownWindow(model)
  // Windows are whole patches for both models; SAM's are resized for it.
  const seesPicture = options.proxy?.sees === 'picture' && PROXY_MODES.includes(dense.mode)
  const proxy =
    PROXY_MODES.includes(dense.mode) && !seesPicture ? proxyModel(options.proxy)?.info : undefined
  const cells = (pixels: number) =>
    proxy && proxy.family !== 'sam' ? commonMultiple(pixels, proxy.patchSize) : pixels
  const gain = gainOf(options.aggregate)
  // Joined windows are whole patches: a preset's numbers are rounded, the caller's own are checked.
  const fit = (pixels: number) =>
    gain === undefined ? pixels : nearestMultiple(pixels, cells(model.patchSize))
  const window = options.window ?? fit(small ? own : preset.window)
  const paperStride = fit(small ? Math.max(1, Math.round(own * share)) : preset.stride)
  // A preset's stride gives way to the caller's smaller window; the caller's own stride does not.
  const stride = options.stride ?? (window > 0 ? Math.min(paperStride, window) : paperStride)
  if (window > 0 && stride > window) {
    throw invalid('stride', `1 to ${window} (the window), so that no pixel is left out`, stride)
  }
  const ownPadTo = small || preset.padTo === 'patch' ? model.patchSize : preset.padTo
  const padTo = gain !== undefined && window > 0 ? 1 : cells(ownPadTo)
  const side = defaultSide(preset, model.imageSize, own)
  const given = options.shortSide !== undefined
  return {
    dense,
    shortSide: (given ? options.shortSide : side.shortSide) ?? 0,
    longSide: options.longSide ?? (given ? preset.longSide : side.longSide),
    enlarge: given || side.enlarge,
    window,
    stride,
    padTo: options.padTo ?? padTo,
    augment: options.augment ?? preset.augment,
    augmentWeight: options.augmentWeight ?? preset.augmentWeight,
    ...(seesPicture && { proxySeesPicture: true }),
    ...(preset.backgroundCleaning !== undefined && {
      talk2dino: { clean: options.backgroundCleaning ?? preset.backgroundCleaning },
    }),
    ...(gain !== undefined && { aggregateGain: gain }),
  }
}

/** Gain of the aggregation over the whole picture; undefined for none. */
function gainOf(aggregate: PipelineOptions['aggregate']): number | undefined {
  if (aggregate === undefined || aggregate === false) return undefined
  const { gain = Number(AGGREGATE_FIELDS.gain.default) } = aggregate === true ? {} : aggregate
  return gain
}

/** 0 stays 0; anything else is at least one unit. */
function nearestMultiple(pixels: number, unit: number): number {
  return pixels === 0 ? 0 : Math.max(1, Math.round(pixels / unit)) * unit
}

/** What a picture is resized to where the caller does not say. */
function defaultSide(
  { shortSide, longSide }: Preset,
  imageSize: number,
  window: number,
): Pick<NativePipeline, 'shortSide' | 'enlarge'> & { longSide: number } {
  if (imageSize >= SMALLEST_PAPER_WINDOW) return { shortSide, longSide, enlarge: true }
  const own = SMALL_MODEL_WINDOWS * window
  return { shortSide: own, longSide: Math.round((own * longSide) / shortSide), enlarge: false }
}

function commonMultiple(a: number, b: number): number {
  let multiple = a
  while (multiple % b !== 0) multiple += a
  return multiple
}

/** Modes that keep the last block's residual, as maskclip does: a model trained for that can use them. */
const KEEP_RESIDUAL: readonly DenseMode[] = ['vanilla', 'sclip', 'itaclip', 'scra']

function modeWarning(trained: DenseMode | null, mode: DenseMode): string | null {
  if (trained === null || trained === mode) return null
  if (trained === 'maskclip' && KEEP_RESIDUAL.includes(mode)) return null
  return `This checkpoint was fine-tuned for dense mode '${trained}' and is run with '${mode}', which usually costs accuracy; leave out method and mode to use '${trained}'.`
}
