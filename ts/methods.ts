import { type DatasetName, unknown } from './datasets.js'
import { DeclipError, invalid } from './errors.js'
import type { NativeDense, NativePipeline, NativePostprocess } from './native.js'
import {
  DENSE_MODES,
  type DenseMode,
  METHOD_NAMES,
  type MethodName,
  type PamrOptions,
  type PipelineOptions,
  type Positions,
  type PostprocessOptions,
  type TemplateSetName,
  type VocabularyOptions,
} from './options.js'

/** Everything that a method's paper or code fixes. Sizes are pixels of the resized picture. */
export interface Preset {
  readonly denseMode: DenseMode
  readonly positions: Positions
  /** 'itaclip': blocks, counted from 1, whose attention maps are averaged with the last one's. */
  readonly layers?: readonly number[]
  /** 'itaclip': self-self attention maps. */
  readonly selfAttention?: boolean
  /** 'naclip': standard deviation of the neighbourhood, in patches. */
  readonly gaussianStd?: number
  /** 'proxyclip': shift of the similarities, as a multiple of their mean. */
  readonly beta?: number
  /** 'proxyclip': factor on the shifted similarities. */
  readonly gamma?: number
  readonly shortSide: number
  /** 0 for one pass over the whole picture. */
  readonly window: number
  readonly stride: number
  /** Windows are padded to a multiple of this; 'patch' for the model's patch size. */
  readonly padTo: number | 'patch'
  readonly augment: boolean
  readonly augmentWeight: number
  readonly templates: TemplateSetName
  readonly definitionWeight: number
  readonly logitScale: number
  readonly pamr: PamrOptions | false
  /** Used with a background class only. */
  readonly probThreshold: number
  /** Used with a background class only. */
  readonly areaThreshold: number
  readonly closing: boolean
}

/**
 * A published figure. `mark` says where it was read: 'P' in the DeCLIP paper (arXiv 2505.04410),
 * 'R' in the repository of the method's authors, 'M' recalled and not verified, so no target.
 */
export interface Published {
  /** Percent, over all classes of the set, background included where the set has one. */
  readonly mIoU: number
  readonly backbone: string
  readonly mark: 'P' | 'R' | 'M'
}

/** What a method changes for one benchmark, and what it is said to reach there. */
export interface Variant {
  readonly changes: Partial<Preset>
  readonly published: readonly Published[]
}

/** A method as data. */
export interface Method {
  /** Where the values come from. */
  readonly source: string
  /**
   * Values without a data set: those that all of the method's configurations share, else the
   * default of its code; the short side is the commonest one.
   */
  readonly preset: Preset
  /** The benchmarks that the method was run on. */
  readonly datasets: Readonly<Partial<Record<DatasetName, Variant>>>
}

type Changes = Partial<Record<DatasetName, Partial<Preset>>>
type Figures = readonly [
  backbone: string,
  mark: Published['mark'],
  mIoU: Partial<Record<DatasetName, number>>,
]

/** Pairs the settings of every benchmark with the figures of all backbones. */
function variants(changes: Changes, ...figures: Figures[]): Method['datasets'] {
  const names = Object.keys(changes) as DatasetName[]
  return Object.fromEntries(
    names.map(name => {
      const published = figures.flatMap(([backbone, mark, table]) => {
        const mIoU = table[name]
        return mIoU === undefined ? [] : [{ mIoU, backbone, mark }]
      })
      return [name, { changes: changes[name] ?? {}, published }]
    }),
  )
}

const CLIP_B = 'CLIP ViT-B/16'
const CLIP_L = 'CLIP ViT-L/14'
const EVA_B = 'EVA-CLIP ViT-B/16'
const PAMR: PamrOptions = { iterations: 10, dilations: [8, 16] }

/** No refinement, no thresholds, no image engineering. */
const BARE = {
  augment: false,
  augmentWeight: 0.75,
  templates: 'imagenet',
  definitionWeight: 0.2,
  logitScale: 40,
  pamr: false,
  probThreshold: 0,
  areaThreshold: 0,
  closing: false,
} as const satisfies Partial<Preset>

/**
 * The protocol of DeCLIP's Tables 5 and 10: short side 448, window 336, stride 112, ImageNet
 * prompts, no post-processing. Its code is not public; logit scale and padding are ClearCLIP's.
 */
const DECLIP_PROTOCOL = {
  ...BARE,
  positions: 'size',
  shortSide: 448,
  window: 336,
  stride: 112,
  padTo: 'patch',
  logitScale: 50,
} as const satisfies Partial<Preset>

const DECLIP_SOURCE = 'arXiv 2505.04410, Tables 5 and 10'

const DECLIP_SETS: Changes = {
  voc21: {},
  context60: {},
  'coco-object': {},
  voc20: {},
  cityscapes: {},
  context59: {},
  ade20k: {},
  'coco-stuff': {},
}

/**
 * The presets of every method.
 *
 * @example
 * ```ts
 * METHODS.itaclip.datasets.voc21?.published[0]?.mIoU // 67.9
 * ```
 */
export const METHODS: Readonly<Record<MethodName, Method>> = {
  declip: {
    source: DECLIP_SOURCE,
    preset: { ...DECLIP_PROTOCOL, denseMode: 'qq' },
    datasets: variants(DECLIP_SETS, [
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
    ]),
  },
  clipself: {
    source: 'arXiv 2310.01403; figures from arXiv 2505.04410, Table 1',
    preset: { ...DECLIP_PROTOCOL, denseMode: 'maskclip' },
    datasets: variants(DECLIP_SETS, [EVA_B, 'P', { context59: 29.4, cityscapes: 25.6 }]),
  },
  itaclip: {
    source: 'github.com/m-arda-aydn/ITACLIP, configs and README',
    preset: {
      ...BARE,
      denseMode: 'itaclip',
      positions: 'scale-factor',
      layers: [7, 8, 10],
      selfAttention: true,
      shortSide: 336,
      window: 224,
      stride: 28,
      padTo: 1,
      augment: true,
      pamr: PAMR,
      probThreshold: 0.1,
      closing: true,
    },
    datasets: variants(
      {
        'coco-stuff': {
          shortSide: 448,
          definitionWeight: 0.2,
          augmentWeight: 0.75,
          logitScale: 40,
          probThreshold: 0,
        },
        'coco-object': { definitionWeight: 0.1, augmentWeight: 0.75, logitScale: 50 },
        voc21: { definitionWeight: 0.05, augmentWeight: 0.7, logitScale: 60, areaThreshold: 0.1 },
        context60: { definitionWeight: 0.15, augmentWeight: 0.75, logitScale: 55 },
        cityscapes: {
          shortSide: 560,
          definitionWeight: 0.05,
          augmentWeight: 0.7,
          logitScale: 40,
          probThreshold: 0,
        },
      },
      [
        CLIP_B,
        'R',
        { 'coco-stuff': 27.0, 'coco-object': 37.7, voc21: 67.9, context60: 37.5, cityscapes: 40.2 },
      ],
    ),
  },
  sclip: {
    source: 'github.com/wangf3014/SCLIP, configs and README',
    preset: {
      ...BARE,
      denseMode: 'sclip',
      positions: 'scale-factor',
      shortSide: 336,
      window: 224,
      stride: 112,
      padTo: 1,
      probThreshold: 0.1,
    },
    datasets: variants(
      {
        voc21: { logitScale: 65, areaThreshold: 0.1 },
        voc20: { probThreshold: 0 },
        context60: { logitScale: 50 },
        context59: { probThreshold: 0 },
        'coco-object': { logitScale: 50 },
        'coco-stuff': { shortSide: 448, probThreshold: 0 },
        'coco-stuff10k': { probThreshold: 0 },
        ade20k: { probThreshold: 0 },
        cityscapes: { shortSide: 560, probThreshold: 0 },
      },
      [
        CLIP_B,
        'R',
        {
          voc21: 59.63,
          voc20: 81.54,
          context60: 31.74,
          context59: 34.46,
          'coco-object': 33.52,
          'coco-stuff': 22.77,
          'coco-stuff10k': 25.91,
          ade20k: 16.45,
          cityscapes: 32.34,
        },
      ],
    ),
  },
  clearclip: {
    source:
      'github.com/mc-lan/ClearCLIP, configs and results; sets with background: arXiv 2505.04410',
    preset: {
      ...BARE,
      denseMode: 'clearclip',
      positions: 'scale-factor',
      shortSide: 448,
      window: 448,
      stride: 224,
      padTo: 'patch',
      logitScale: 50,
    },
    datasets: variants(
      {
        voc21: { probThreshold: 0.5 },
        voc20: {},
        context60: { probThreshold: 0.15 },
        context59: {},
        'coco-object': { probThreshold: 0.4 },
        'coco-stuff': {},
        ade20k: {},
        cityscapes: { window: 224 },
      },
      [
        CLIP_B,
        'R',
        { voc20: 80.9, context59: 35.9, 'coco-stuff': 23.9, cityscapes: 30.0, ade20k: 16.7 },
      ],
      [CLIP_B, 'P', { voc21: 51.8, context60: 32.6, 'coco-object': 33.0 }],
      [
        'OpenCLIP ViT-B/16',
        'R',
        { voc20: 81.4, context59: 34.1, 'coco-stuff': 23.1, cityscapes: 31.8, ade20k: 18.9 },
      ],
      [
        'MetaCLIP ViT-B/16',
        'R',
        { voc20: 78.3, context59: 34.8, 'coco-stuff': 23.5, cityscapes: 27.9, ade20k: 17.4 },
      ],
      [
        CLIP_L,
        'R',
        { voc20: 80.0, context59: 29.6, 'coco-stuff': 19.9, cityscapes: 27.9, ade20k: 15.0 },
      ],
      [
        EVA_B,
        'P',
        {
          voc21: 47.0,
          context60: 29.7,
          'coco-object': 30.2,
          voc20: 78.3,
          cityscapes: 26.3,
          context59: 29.4,
          ade20k: 16.7,
          'coco-stuff': 20.4,
        },
      ],
    ),
  },
  naclip: {
    source: 'github.com/sinahmr/NACLIP, configs and README; the reduced architecture, with PAMR',
    preset: {
      ...BARE,
      denseMode: 'naclip',
      positions: 'scale-factor',
      gaussianStd: 5,
      shortSide: 336,
      window: 224,
      stride: 112,
      padTo: 1,
      pamr: PAMR,
      probThreshold: 0.1,
    },
    datasets: variants(
      {
        voc21: { window: 0 },
        context60: {},
        'coco-object': {},
        voc20: { window: 0, probThreshold: 0 },
        cityscapes: { shortSide: 560, probThreshold: 0 },
        context59: { probThreshold: 0 },
        ade20k: { probThreshold: 0 },
        'coco-stuff': { probThreshold: 0 },
      },
      [
        CLIP_B,
        'R',
        {
          voc21: 64.07,
          context60: 34.99,
          'coco-object': 36.19,
          voc20: 83.03,
          cityscapes: 38.27,
          context59: 38.35,
          ade20k: 19.05,
          'coco-stuff': 25.69,
        },
      ],
    ),
  },
  maskclip: {
    source: `arXiv 2112.01071; values and figures of ${DECLIP_SOURCE}`,
    preset: { ...DECLIP_PROTOCOL, denseMode: 'maskclip' },
    datasets: variants(DECLIP_SETS, [
      CLIP_B,
      'P',
      {
        voc21: 43.4,
        context60: 23.2,
        'coco-object': 20.6,
        voc20: 74.9,
        cityscapes: 24.9,
        context59: 26.4,
        ade20k: 11.9,
        'coco-stuff': 16.7,
      },
    ]),
  },
  proxyclip: {
    source: 'github.com/mc-lan/ProxyCLIP, configs; arXiv 2408.04883',
    preset: {
      ...BARE,
      denseMode: 'proxyclip',
      positions: 'scale-factor',
      beta: 1.2,
      gamma: 3,
      shortSide: 336,
      window: 336,
      stride: 112,
      // The least common multiple of the patch sizes 8 (DINO) and 14 (DINOv2).
      padTo: 56,
    },
    datasets: variants(
      {
        voc21: { probThreshold: 0.2 },
        voc20: {},
        context60: { probThreshold: 0.15 },
        context59: {},
        'coco-object': { probThreshold: 0.25 },
        'coco-stuff': {},
        ade20k: { shortSide: 448 },
        cityscapes: { shortSide: 448, window: 224 },
      },
      [
        'CLIP ViT-B/16 with DINO ViT-B/8',
        'M',
        {
          voc21: 61.3,
          voc20: 80.3,
          context60: 35.3,
          context59: 39.1,
          'coco-object': 37.5,
          'coco-stuff': 26.5,
          ade20k: 20.2,
          cityscapes: 38.1,
        },
      ],
    ),
  },
  vanilla: {
    source: `Plain CLIP; values and figures of ${DECLIP_SOURCE}`,
    preset: { ...DECLIP_PROTOCOL, denseMode: 'vanilla' },
    datasets: variants(
      DECLIP_SETS,
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
  },
}

/** What a preset needs to know of a model. @internal */
export interface ModelFacts {
  /** Side of the training pictures, pixels. */
  readonly imageSize: number
  /** Pixels. */
  readonly patchSize: number
  readonly family: 'clip' | 'eva'
  /** Mode that the checkpoint was fine-tuned for, where it says so. */
  readonly denseMode: DenseMode | null
  /** Blocks of the vision tower. */
  readonly layers: number
}

/** Options that a preset fills. @internal */
export type MethodOptions = PipelineOptions &
  PostprocessOptions &
  Pick<VocabularyOptions, 'templates' | 'definitionWeight'>

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
    : preset.denseMode
}

function resolveDense(
  mode: DenseMode,
  preset: Preset,
  options: MethodOptions,
  model: ModelFacts,
): NativeDense {
  const { proxy } = options
  if (mode === 'proxyclip' && !proxy?.features) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `Dense mode 'proxyclip' needs proxy.features, the patch features of a vision foundation model for every window; pass them or choose another method.`,
    )
  }
  // Settings of one mode's last block mean nothing to another mode.
  const own: Partial<Preset> = mode === preset.denseMode ? preset : {}
  return {
    mode,
    positions: options.positions ?? preset.positions,
    residual: options.residual,
    feedForward: options.feedForward,
    layers: options.layers ?? (own.layers && fitLayers(own.layers, model.layers)),
    selfAttention: options.selfAttention ?? own.selfAttention,
    gaussianStd: options.gaussianStd ?? own.gaussianStd,
    neighboursOnly: options.neighboursOnly,
    proxyFeatures: proxy?.features.native,
    proxyBeta: proxy?.beta ?? own.beta,
    proxyGamma: proxy?.gamma ?? own.gamma,
  }
}

/** The same relative depths in a tower with fewer blocks than the paper's; deeper ones keep the numbers. */
function fitLayers(layers: readonly number[], depth: number): readonly number[] {
  if (depth >= PAPER_LAYERS) return layers
  const fitted = layers.map(layer => Math.max(1, Math.round((layer * depth) / PAPER_LAYERS)))
  return [...new Set(fitted)]
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
  const padTo = small || preset.padTo === 'patch' ? model.patchSize : preset.padTo
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

function modeWarning(trained: DenseMode | null, mode: DenseMode): string | null {
  if (trained === null || trained === mode) return null
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
    if (!isRecord(options.proxy)) throw invalid('proxy', '{ features, beta, gamma }', options.proxy)
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
