import { checkFields, field, flag, fraction, type Kind, kind, whole } from '../base/field.js'
import { DeclipError, invalid } from '../errors.js'

/** Points of one grid: x and y from 0 to 1, of the picture's or a crop's width and height. */
export type PointGrid = readonly (readonly [x: number, y: number])[]

const atLeastZero: Kind<number> = kind(
  'a finite number of at least 0',
  value => typeof value === 'number' && value >= 0 && value < Number.POSITIVE_INFINITY,
)

const isPoint = (point: unknown): boolean =>
  Array.isArray(point) && point.length === 2 && point.every(at => at >= 0 && at <= 1)

const grids: Kind<readonly PointGrid[]> = kind(
  'a list with one list of points [x, y] for the picture and one for each layer of crops, x and y from 0 to 1',
  value =>
    Array.isArray(value) &&
    value.length > 0 &&
    value.every(grid => Array.isArray(grid) && grid.every(isPoint)),
)

/** Settings under a name; see {@link MASK_PRESETS}. */
export type MaskPresetName = 'sam' | 'corrclip' | 'corrclip-8'

/** Options of {@link Model.generateMasks}, and what stands where they are left out. @internal */
export const GENERATOR_FIELDS = {
  pointsPerSide: field(
    whole(1, 256),
    'Points along each side of the grid that is laid over the picture; the time goes with its square',
    '32',
  ),
  pointsPerBatch: field(
    whole(1, 1024),
    'Points that go through the decoder together; memory goes with it, masks do not',
    '64',
  ),
  predIouThreshold: field(
    atLeastZero,
    "Masks must have a predicted overlap above it; 0 for all. The model's own guess, which may exceed 1",
    '0.88',
  ),
  stabilityThreshold: field(
    atLeastZero,
    'Least stability of a mask: pixels above the offset by those above minus the offset; 0 for all',
    '0.95',
  ),
  stabilityOffset: field(atLeastZero, 'Of the logits, for the stability', '1'),
  boxNmsThreshold: field(
    fraction,
    'Of two masks of a crop whose boxes overlap by more, the one with the lower predicted overlap is dropped',
    '0.7',
  ),
  cropLayers: field(
    whole(0, 4),
    'Layers of crops that are looked at beside the picture: layer l has 4^l, each with a pass of the encoder',
    '0',
  ),
  cropNmsThreshold: field(
    fraction,
    'Of two masks of different crops whose boxes overlap by more, that of the larger crop is dropped',
    '0.7',
  ),
  cropOverlap: field(
    kind<number>(
      'a number from 0 to below 1',
      value => typeof value === 'number' && value >= 0 && value < 1,
    ),
    "Part of the picture's short side that crops of the first layer have in common",
    '512/1500',
  ),
  cropPointsDownscale: field(
    whole(1, 256),
    'Divides pointsPerSide for every layer of crops: layer l has pointsPerSide / it^l points a side',
    '1',
  ),
  minRegionArea: field(
    whole(0, 2 ** 31 - 1),
    'Holes of fewer pixels are filled and islands of fewer removed; 0 for none',
    '0',
  ),
  multimask: field(
    flag,
    'Three masks for every point (whole, part, part of a part), or the one that SAM has for clear prompts',
    'true',
  ),
  points: field(
    grids,
    'Points of your own in place of grids; goes with neither pointsPerSide nor cropPointsDownscale',
  ),
} as const

/** See {@link Model.generateMasks}. */
export interface MaskGeneratorOptions {
  /**
   * Settings under a name, which the other options override. 'sam': the authors' own, chosen for ViT-H. 'corrclip':
   * `predIouThreshold` and `stabilityThreshold` 0.7, with which CorrCLIP's banks are built; 'corrclip-8': what it
   * segments with where speed counts, 8 points a side, both thresholds 0.4, one mask a point. Default: 'sam'.
   */
  preset?: MaskPresetName | undefined
  /**
   * Points along each side of the grid that is laid over the picture; the time goes with its square: a whole number,
   * 1 to 256. Default: 32.
   */
  pointsPerSide?: number | undefined
  /**
   * Points that go through the decoder together; memory goes with it, masks do not: a whole number, 1 to 1024.
   * Default: 64.
   */
  pointsPerBatch?: number | undefined
  /**
   * Masks must have a predicted overlap above it; 0 for all. The model's own guess, which may exceed 1: a finite
   * number of at least 0. Default: 0.88.
   */
  predIouThreshold?: number | undefined
  /**
   * Least stability of a mask: pixels above the offset by those above minus the offset; 0 for all: a finite number of
   * at least 0. Default: 0.95.
   */
  stabilityThreshold?: number | undefined
  /** Of the logits, for the stability: a finite number of at least 0. Default: 1. */
  stabilityOffset?: number | undefined
  /**
   * Of two masks of a crop whose boxes overlap by more, the one with the lower predicted overlap is dropped: a number
   * from 0 to 1. Default: 0.7.
   */
  boxNmsThreshold?: number | undefined
  /**
   * Layers of crops that are looked at beside the picture: layer l has 4^l, each with a pass of the encoder: a whole
   * number, 0 to 4. Default: 0.
   */
  cropLayers?: number | undefined
  /**
   * Of two masks of different crops whose boxes overlap by more, that of the larger crop is dropped: a number from 0
   * to 1. Default: 0.7.
   */
  cropNmsThreshold?: number | undefined
  /**
   * Part of the picture's short side that crops of the first layer have in common: a number from 0 to below 1.
   * Default: 512/1500.
   */
  cropOverlap?: number | undefined
  /**
   * Divides pointsPerSide for every layer of crops: layer l has pointsPerSide / it^l points a side: a whole number, 1
   * to 256. Default: 1.
   */
  cropPointsDownscale?: number | undefined
  /**
   * Holes of fewer pixels are filled and islands of fewer removed; 0 for none: a whole number, 0 to 2147483647.
   * Default: 0.
   */
  minRegionArea?: number | undefined
  /**
   * Three masks for every point (whole, part, part of a part), or the one that SAM has for clear prompts. Default:
   * true.
   */
  multimask?: boolean | undefined
  /**
   * Points of your own in place of grids; goes with neither pointsPerSide nor cropPointsDownscale: a list with one
   * list of points [x, y] for the picture and one for each layer of crops, x and y from 0 to 1.
   */
  points?: readonly PointGrid[] | undefined
}

/** All settings of a generator. @internal */
export type MaskGeneratorSettings = {
  readonly [K in Exclude<keyof MaskGeneratorOptions, 'preset' | 'points'>]-?: NonNullable<
    MaskGeneratorOptions[K]
  >
} & { readonly points?: readonly PointGrid[] | undefined }

const STANDARD: MaskGeneratorSettings = {
  pointsPerSide: 32,
  pointsPerBatch: 64,
  predIouThreshold: 0.88,
  stabilityThreshold: 0.95,
  stabilityOffset: 1,
  boxNmsThreshold: 0.7,
  cropLayers: 0,
  cropNmsThreshold: 0.7,
  cropOverlap: 512 / 1500,
  cropPointsDownscale: 1,
  minRegionArea: 0,
  multimask: true,
}

/** What the names of {@link MaskGeneratorOptions.preset} stand for, where it differs from SAM's own settings. */
export const MASK_PRESETS: Readonly<Record<MaskPresetName, MaskGeneratorOptions>> = {
  sam: {},
  corrclip: { predIouThreshold: 0.7, stabilityThreshold: 0.7 },
  'corrclip-8': {
    pointsPerSide: 8,
    predIouThreshold: 0.4,
    stabilityThreshold: 0.4,
    multimask: false,
  },
}

/**
 * Checks a generator's options and fills in the others.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG
 * @internal
 */
export function generatorSettings(options: MaskGeneratorOptions): MaskGeneratorSettings {
  const { preset = 'sam', points } = options
  const named = Object.hasOwn(MASK_PRESETS, preset) ? MASK_PRESETS[preset] : undefined
  if (named === undefined) {
    throw invalid('preset', `one of ${Object.keys(MASK_PRESETS).join(', ')}`, preset)
  }
  checkFields(options, GENERATOR_FIELDS)
  const settings: Record<string, unknown> = { ...STANDARD, ...named }
  for (const name of Object.keys(GENERATOR_FIELDS) as (keyof typeof GENERATOR_FIELDS)[]) {
    if (options[name] !== undefined) settings[name] = options[name]
  }
  const all = settings as unknown as MaskGeneratorSettings
  if (points !== undefined) checkPoints(points, options, all)
  else checkLastLayer(all)
  return all
}

function checkPoints(
  points: readonly PointGrid[],
  { pointsPerSide, cropPointsDownscale }: MaskGeneratorOptions,
  { cropLayers }: MaskGeneratorSettings,
): void {
  if (pointsPerSide !== undefined || cropPointsDownscale !== undefined) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      'points takes the place of the grids that pointsPerSide and cropPointsDownscale describe; give one or the other.',
    )
  }
  if (points.length !== cropLayers + 1) {
    throw invalid(
      'points',
      `a list of ${cropLayers + 1} lists of points, for the picture and ${cropLayers} layers of crops`,
      `one of ${points.length}`,
    )
  }
}

function checkLastLayer(settings: MaskGeneratorSettings): void {
  const { pointsPerSide, cropLayers, cropPointsDownscale } = settings
  if (pointsOfLayer(settings, cropLayers) >= 1) return
  throw new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `pointsPerSide ${pointsPerSide} divided by cropPointsDownscale ${cropPointsDownscale} for each of ${cropLayers} layers leaves no point; make pointsPerSide larger, or one of the others smaller.`,
  )
}

/** Points along a side of the crops of a layer. @internal */
export function pointsOfLayer(
  { pointsPerSide, cropPointsDownscale }: MaskGeneratorSettings,
  layer: number,
): number {
  return Math.trunc(pointsPerSide / cropPointsDownscale ** layer)
}
