import type {
  NativeCatSegInfo,
  NativeCatSegOptions,
  NativePipeline,
} from '../engine/addon-types.js'
import { DeclipError, invalid } from '../errors.js'
import type { CatSegOptions } from './options.js'

/** The last blocks that CAT-Seg's heads were trained on, and those of the towers that it is trained from. @internal */
export const CAT_SEG_MODES = [
  'cat-seg',
  'csa',
  'qq',
  'kk',
  'vv',
  'all',
  'maskclip',
  'vanilla',
] as const satisfies readonly NonNullable<CatSegOptions['mode']>[]

/** {@link CatSegOptions} with the head's values in place. @internal */
export type CatSegSettings = { [K in keyof CatSegOptions]-?: NonNullable<CatSegOptions[K]> }

/** What has to be known of a model's tower beside its head. */
interface Tower {
  readonly patchSize: number
  /** Blocks; unknown of facts that are made by hand. */
  readonly layers?: number | undefined
  readonly catSeg?: NativeCatSegInfo | null | undefined
}

/**
 * Refuses models without a head, and options that mean nothing to method 'cat-seg'.
 *
 * @param others - methods that run on the model
 * @throws DeclipError ERR_DECLIP_INVALID_ARG
 * @internal
 */
export function checkCatSeg(
  model: Tower,
  options: object,
  others: readonly string[],
): asserts model is Tower & { readonly catSeg: NativeCatSegInfo } {
  const instead = `Methods that run on it: ${others.map(name => `'${name}'`).join(', ')}.`
  const { catSeg: head } = model
  if (!head) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `Method 'cat-seg' needs a checkpoint with CAT-Seg's trained head (tensors sem_seg_head.predictor.transformer.*), and this model has none: load such a file, or train one with declip train (objective 'cat-seg'). ${instead}`,
    )
  }
  if (head.prompts > 1) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `This CAT-Seg head takes ${head.prompts} prompts of a word as separate channels, which no published file does and words of one feature cannot feed; load a head of one prompt. ${instead}`,
    )
  }
  for (const [name, way] of Object.entries(MEANINGLESS)) {
    if ((options as Record<string, unknown>)[name] === undefined) continue
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `${name} does not go with method 'cat-seg': ${way}.`,
    )
  }
}

const LAST_BLOCK = 'its head fits the last block that it was trained on (catSeg.mode); leave it out'
const SQUARES = 'its windows are squares that fill the tower; leave it out'
const OWN_FEATURES = 'its head compares words by costs of its own tower; leave it out'
const SIGMOID = 'its scores are probabilities of each word on its own; leave it out'

/** Options of other methods, and what to do instead. */
const MEANINGLESS: Readonly<Record<string, string>> = {
  mode: "the form of the tower's last block is catSeg.mode",
  denseMode: "the form of the tower's last block is catSeg.mode",
  window:
    'the side of its windows is catSeg.cut, and catSeg.sliding: false takes the whole picture',
  stride: 'the step of its windows is catSeg.stride',
  padTo: SQUARES,
  positions: LAST_BLOCK,
  residual: LAST_BLOCK,
  feedForward: LAST_BLOCK,
  layers: LAST_BLOCK,
  selfAttention: LAST_BLOCK,
  gaussianStd: LAST_BLOCK,
  neighboursOnly: LAST_BLOCK,
  proxy: OWN_FEATURES,
  scclip: LAST_BLOCK,
  corrclip: LAST_BLOCK,
  augment: OWN_FEATURES,
  augmentWeight: OWN_FEATURES,
  aggregate: OWN_FEATURES,
  bank: OWN_FEATURES,
  bankNeighbours: OWN_FEATURES,
  bankShare: OWN_FEATURES,
  bankWords: OWN_FEATURES,
  logitScale: SIGMOID,
}

/**
 * How a head sees a picture and answers.
 *
 * @param options - checked by checkMethodOptions()
 * @throws DeclipError ERR_DECLIP_INVALID_ARG for sizes that do not fit each other, the tower or the head
 * @internal
 */
export function resolveCatSeg(
  model: Tower & { readonly catSeg: NativeCatSegInfo },
  options: CatSegOptions = {},
): CatSegSettings {
  const { catSeg: head, patchSize, layers } = model
  const settings = {
    sliding: options.sliding ?? true,
    side: options.side ?? head.side,
    canvas: options.canvas ?? head.canvas,
    cut: options.cut ?? head.cut,
    stride: options.stride ?? head.stride,
    blocks: options.blocks ?? (head.blocks as readonly [number, number]),
    mode: options.mode ?? (head.mode as CatSegSettings['mode']),
    pooling: options.pooling ?? 1,
    wordLimit: options.wordLimit ?? head.wordLimit,
  }
  const { side, canvas, cut, stride, blocks, pooling } = settings
  if (side % patchSize !== 0) {
    throw invalid('catSeg.side', `a multiple of ${patchSize}, the patch of this tower`, side)
  }
  const grid = side / patchSize
  if (grid > head.window && grid % head.window !== 0) {
    const unit = head.window * patchSize
    throw invalid(
      'catSeg.side',
      `a multiple of ${unit} (the aggregator's attention has windows of ${head.window} patches of ${patchSize} pixels), or less`,
      side,
    )
  }
  if (grid % pooling !== 0) {
    throw invalid('catSeg.pooling', `1, as a grid of ${grid} patches cannot be halved`, pooling)
  }
  if (cut > canvas) {
    throw invalid('catSeg.cut', `1 to ${canvas} (catSeg.canvas, from which windows are cut)`, cut)
  }
  if (stride > cut) {
    throw invalid('catSeg.stride', `1 to ${cut} (catSeg.cut), so that no pixel is left out`, stride)
  }
  if (layers !== undefined && blocks[1] >= layers) {
    throw invalid('catSeg.blocks', `two blocks of 0 to ${layers - 1}, the tower's`, blocks)
  }
  return settings
}

/** What the addon is told of it. @internal */
export function catSegPipeline(
  settings: CatSegSettings,
  sizes: Pick<NativePipeline, 'shortSide' | 'longSide'>,
): NativePipeline {
  return {
    dense: { mode: settings.mode },
    ...sizes,
    enlarge: true,
    window: 0,
    stride: 1,
    padTo: 1,
    augment: false,
    augmentWeight: 0.75,
    catSeg: settings satisfies NativeCatSegOptions,
  }
}
