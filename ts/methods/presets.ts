import type { DenseMode, Positions } from '../base/names.js'
import type { TemplateSetName } from '../text/templates.js'
import type { DatasetName } from './benchmarks.js'
import type { MethodName } from './names.js'
import type { PamrOptions } from './options.js'

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
