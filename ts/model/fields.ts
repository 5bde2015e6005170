import { type Field, field, flag, kind, oneOf, whole } from '../base/field.js'
import { type Device, MODEL_DTYPES, type ModelDType } from '../base/names.js'
import type { ConfigOptions } from './options.js'

/** Options of loading and encoding, once; as in methods/fields.ts. */

const triple = (value: unknown): boolean =>
  Array.isArray(value) && value.length === 3 && value.every(Number.isFinite)

/** See LoadOptions. @internal */
export const LOAD_FIELDS = {
  device: field(
    kind<Device>(
      "'auto', 'cpu', 'cuda' or 'cuda:N'",
      value => typeof value === 'string' && /^(auto|cpu|cuda(:\d+)?)$/.test(value),
    ),
    'Where the model computes',
    "'auto', which is CUDA where this build and machine have it, else the CPU",
  ),
  dtype: field(
    kind<ModelDType>(
      `${MODEL_DTYPES.map(name => `'${name}'`)
        .join(', ')
        .replace(/, ('[^']*')$/, ' or $1')}`,
      value => MODEL_DTYPES.some(name => name === value),
    ),
    'Number format of the towers',
    "'auto', which is float32 on the CPU and float16 on CUDA",
  ),
} as const

const FOUND = 'what the checkpoint says'
const activation = oneOf(['quick_gelu', 'gelu', 'gelu_tanh', 'relu'])

/** See ConfigOptions. @internal */
export const CONFIG_FIELDS = {
  headWidth: field(whole(1), 'Channels of a vision attention head', FOUND),
  textHeads: field(whole(1), 'Number of text attention heads', FOUND),
  decoderHeads: field(
    whole(1),
    "Number of attention heads of SAM's mask decoder, or of CAT-Seg's aggregator",
    '8 and 4, or what `config.json` or the file says',
  ),
  activation: field(activation, "Activation of the vision tower's MLP", FOUND),
  textActivation: field(activation, "Activation of the text tower's MLP", FOUND),
  layerNormEps: field(
    kind<number>(
      'a number between 0 and 1',
      value => typeof value === 'number' && value > 0 && value < 1,
    ),
    'Epsilon of every LayerNorm of both towers, or of a vision foundation model',
    FOUND,
  ),
  preprocess: field(
    kind<NonNullable<ConfigOptions['preprocess']>>(
      '{ mean, std } with three numbers each, std above 0',
      value => {
        const { mean, std } = (value ?? {}) as { mean?: unknown; std?: number[] }
        return triple(mean) && triple(std) && (std as number[]).every(v => v > 0)
      },
    ),
    'Pixel statistics on the 0..1 scale, RGB',
    FOUND,
  ),
} as const

const UNLESS_FOUNDATION = 'true; false for a vision foundation model'

/** See EncodeImageOptions and EncodeDenseOptions. @internal */
export const ENCODE_FIELDS = {
  normalize: field(flag, 'L2-normalises every vector', UNLESS_FOUNDATION),
} as const

/** See EncodeRegionOptions. `size` depends on the model: from one patch on. @internal */
export const REGION_FIELDS = {
  ...ENCODE_FIELDS,
  normalizeBeforePooling: field(
    flag,
    'L2-normalises every patch before pooling',
    "true, as CLIPSelf and the plain tower do; false for DeCLIP's EVA tower and vision foundation models",
  ),
  imageIndex: field(
    kind<readonly number[]>(
      'a list with the number of the picture of every region',
      value => Array.isArray(value) && value.every(i => Number.isInteger(i) && i >= 0),
    ),
    'Index of the picture in the batch for each box or mask',
    'all 0',
  ),
  size: regionSize(1),
} as const

/** See ClassifyOptions. @internal */
export const CLASSIFY_FIELDS = {
  normalizeBeforePooling: REGION_FIELDS.normalizeBeforePooling,
  pool: field(
    oneOf(['dense', 'crop', 'mean']),
    'What a region is compared by: dense features, its crop, or the mean of both',
    "'dense'",
  ),
  cropScale: field(
    kind<number>(
      'a number from 1 to 100',
      value => typeof value === 'number' && value >= 1 && value <= 100,
    ),
    'Enlarges the crops of boxes about their centre',
    '1.5',
  ),
  topK: field(whole(1), 'Classes for each region', '5'),
} as const

/** Side of the square for a model of this patch size. @internal */
export function regionSize(patchSize: number): Field<number> {
  return field(
    kind<number>(
      `${patchSize} (one patch) to 16384 pixels`,
      value =>
        Number.isInteger(value) && (value as number) >= patchSize && (value as number) <= 16384,
    ),
    'Side in pixels of the square that an encoded picture is fitted into',
    "the model's own",
  )
}
