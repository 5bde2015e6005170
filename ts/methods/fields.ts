import {
  checkFields,
  field,
  finite,
  flag,
  fraction,
  kind,
  listOf,
  oneOf,
  positive,
  span,
  whole,
} from '../base/field.js'
import { DENSE_MODES, type Positions } from '../base/names.js'
import { DeclipError, invalid } from '../errors.js'
import { CAT_SEG_MODES } from './cat-seg-options.js'
import { itaclip } from './itaclip.js'
import type { PamrOptions } from './method.js'
import { naclip } from './naclip.js'
import type { AggregateOptions } from './options.js'
import { proxyclip } from './proxyclip.js'
import { SCCLIP_NUMBERS } from './scclip.js'

/**
 * Every option of the last block, the pipeline and what follows it: its type, range and default, once.
 * The comments of the interfaces in options.ts, the checks, the flags of the command line and the
 * tables of docs/guides/methods.md are tested against these. "The preset's" is the value of the
 * method's file, whose `source` says where it was read.
 */

/** Largest side in pixels that a picture may be resized to, and the largest window. */
const MAX_SIDE = 65_535

const PRESET = "the preset's"
const OWN = "as the mode's paper"

const side = whole(1, MAX_SIDE)
const object = (value: unknown): boolean => typeof value === 'object' && value !== null

/** The last block; see DenseOptions. @internal */
export const DENSE_FIELDS = {
  mode: field(
    oneOf(DENSE_MODES),
    'Dense mode: how the last block makes patch features',
    "the mode the checkpoint was fine-tuned for, else the preset's or 'vanilla'",
  ),
  positions: field(
    kind<Positions>(
      "'scale-factor' or 'size'",
      value => value === 'scale-factor' || value === 'size',
    ),
    'How the positional table is resized to another grid',
    "the rule of the mode's own code base",
  ),
  residual: field(
    flag,
    'Keeps (true) or drops (false) the residual connection around the last attention',
    OWN,
  ),
  feedForward: field(flag, "Keeps (true) or drops (false) the last block's MLP", OWN),
  layers: field(
    listOf(whole(1)),
    "'itaclip': blocks, counted from 1, whose attention maps are averaged with the last one's",
    `[${itaclip.preset.layers?.join(', ')}], in towers of fewer than 12 blocks those at the same relative depths`,
  ),
  selfAttention: field(
    flag,
    "'itaclip': true for self-self attention maps, false for ordinary q-k maps",
    String(itaclip.preset.selfAttention),
  ),
  gaussianStd: field(
    positive,
    "'naclip': standard deviation of the Gaussian neighbourhood, in patches",
    String(naclip.preset.gaussianStd),
  ),
  neighboursOnly: field(
    flag,
    "'naclip': true leaves only the neighbourhood term in the attention logits",
    'false',
  ),
} as const

/** See ProxyOptions. @internal */
export const PROXY_FIELDS = {
  beta: field(
    finite,
    'Shift of the similarities, as a multiple of their mean',
    String(proxyclip.preset.beta),
  ),
  gamma: field(positive, 'Factor on the shifted similarities', String(proxyclip.preset.gamma)),
  part: field(
    oneOf(['patches', 'query-key']),
    "Which of the model's features patches are compared by: those it gives, or q + k of its last block (DINO, DINOv2 and DINOv3)",
    "'query-key' for CorrCLIP on windows with a DINO, else 'patches'",
  ),
  sees: field(
    oneOf(['window', 'picture']),
    "What the model is shown: every window, or the whole picture once, in its own size, with features on twice the patch grid of a window (CorrCLIP's second version)",
    "'window'",
  ),
} as const

/** See CorrClipOptions; cpp/include/declip/dense.h has the same defaults. @internal */
export const CORRCLIP_FIELDS = {
  merge: field(flag, 'Regions whose features are alike become one', 'true'),
  mergeDistance: field(
    positive,
    "Most that two regions' mean directions may be apart to become one, in cosine",
    '0.2',
  ),
  gain: field(positive, 'Factor on the similarities before the softmax', '4'),
  spatialWeight: field(
    finite,
    'Weight of the mean of earlier blocks; 0 leaves that branch out',
    '1',
  ),
  semanticWeight: field(finite, 'Weight of the class token of every region', '0.5'),
  spatialBlocks: field(
    whole(1),
    'How many blocks before the last but one are averaged for the spatial branch',
    '5 of 12 blocks, 12 of 24, 28 of 32, else all but 4',
  ),
  unsegmented: field(
    oneOf(['zero', 'smallest']),
    "What is not segmented: 'zero' for pixels of region 0, 'smallest' for the smallest number of a window, as the authors' code has it",
    "'zero'",
  ),
} as const

/** See ScClipOptions. @internal */
export const SCCLIP_FIELDS = {
  middleBlock: field(
    whole(1),
    'Block whose similarities patches are averaged and attend by',
    '9 of 12 blocks, 17 of 24',
  ),
  earlyBlock: field(
    whole(1),
    'Block whose similarities what comes out is averaged by',
    '4 of 12 blocks, 7 of 24',
  ),
  fusedBlocks: field(
    span(1),
    'Blocks whose sum goes through the last block too',
    '[4, 10] of 12 blocks, [9, 19] of 24',
  ),
  classWeight: field(
    finite,
    'Share of the class token in every patch',
    '0.3 with 12 blocks, 0.1 with 24',
  ),
  threshold: field(
    finite,
    'Cosines that are lower have no weight in averages',
    String(SCCLIP_NUMBERS.threshold),
  ),
  gain: field(
    positive,
    'Factor on the similarities that patches attend by',
    String(SCCLIP_NUMBERS.gain),
  ),
  neighbours: field(
    whole(1),
    "Nearest tokens that a token's loneliness is measured by",
    String(SCCLIP_NUMBERS.neighbours),
  ),
  anomalousShare: field(
    fraction,
    'Share of the tokens that are made again of those around them',
    String(SCCLIP_NUMBERS.anomalousShare),
  ),
} as const

const HEAD = "the head's"

/** See CatSegOptions. @internal */
export const CAT_SEG_FIELDS = {
  sliding: field(
    flag,
    'Sees windows and the whole picture, as published figures have it; false: the whole picture alone, about five times as fast',
    'true',
  ),
  side: field(side, 'Side in pixels of what goes through the tower', HEAD),
  canvas: field(side, 'Side in pixels of the square that windows are cut from', HEAD),
  cut: field(side, 'Side in pixels of a window, before it is resized to `side`', HEAD),
  stride: field(side, 'Step of the windows in pixels', HEAD),
  blocks: field(span(0), 'Blocks of the tower, counted from 0, whose maps guide the decoder', HEAD),
  mode: field(oneOf(CAT_SEG_MODES), "Form of the tower's last block", HEAD),
  pooling: field(
    kind<1 | 2>('1 or 2', value => value === 1 || value === 2),
    'Side in patches of what is averaged before words attend to each other: 1 as published figures have it, 2 as heads were trained, which is faster',
    '1',
  ),
  wordLimit: field(
    whole(0, 65_536),
    "Words of a window that are aggregated, those that its patches are most like; others cannot be found there. Fewer are filled up to as many by the head's own padding; 0: all words, and no padding",
    HEAD,
  ),
} as const

/** From a picture to windows; see PipelineOptions. @internal */
export const PIPELINE_FIELDS = {
  shortSide: field(
    kind<number | null>(
      `null or a whole number of pixels, 1 to ${MAX_SIDE}`,
      value => value === null || side.holds(value),
    ),
    'Shorter side in pixels that the picture is resized to; null for its own size',
    "the preset's; of models under 224 pixels three times their size, and smaller pictures keep theirs",
  ),
  longSide: field(
    side,
    'What the longer side of a resized picture may be at most, in pixels; the shorter one is smaller then',
    PRESET,
  ),
  window: field(
    whole(0, MAX_SIDE),
    'Side of the sliding window in pixels; 0 for one pass over the whole picture',
    PRESET,
  ),
  stride: field(side, 'Step of the sliding window in pixels', PRESET),
  padTo: field(
    side,
    'Windows are padded with zeros to a multiple of this many pixels; 1 for none',
    PRESET,
  ),
  augment: field(
    flag,
    "ITACLIP's image engineering: grey, blurred and flipped copies of every window",
    PRESET,
  ),
  augmentWeight: field(
    fraction,
    'Share of original, grey and blurred copies against the flipped ones',
    PRESET,
  ),
  backgroundCleaning: field(
    flag,
    "'talk2dino': adds what the attention heads look at that look at a word, which separates it from the background",
    PRESET,
  ),
  aggregate: field(
    kind<boolean | AggregateOptions>(
      'true, false or { gain }',
      value => typeof value === 'boolean' || object(value),
    ),
    "Joins the windows' features on one grid, where every patch then attends to all that are like it",
    'false',
  ),
} as const

/** See AggregateOptions. @internal */
export const AGGREGATE_FIELDS = {
  gain: field(
    positive,
    'Factor on the similarities, less their mean, before the softmax over patches',
    '10',
  ),
} as const

/** How a bank takes part; see BankOptions. @internal */
export const BANK_FIELDS = {
  bankNeighbours: field(
    whole(1, 65_536),
    'Regions of the bank whose mean stands for a region of the picture',
    '20',
  ),
  bankShare: field(fraction, 'Share of the bank in the scores of every pixel', '0.5'),
} as const

/** From scores to labels; see PostprocessOptions. @internal */
export const POSTPROCESS_FIELDS = {
  logitScale: field(
    positive,
    'Factor on the cosine similarities before the softmax over words',
    PRESET,
  ),
  pamr: field(
    kind<PamrOptions | false>(
      'false or { iterations, dilations }',
      value => value === false || object(value),
    ),
    "Refinement along the picture's edges; false for none",
    PRESET,
  ),
  probThreshold: field(
    fraction,
    'Pixels whose best probability is lower become background',
    "the preset's with a background class, else 0",
  ),
  areaThreshold: field(
    fraction,
    'Foreground classes with a smaller share of the foreground pixels are removed; 0 for none',
    "the preset's with a background class, else 0",
  ),
  wordThreshold: field(
    fraction,
    "Words whose probability is nowhere in the picture this high are left out, the background's excepted; 0 for none",
    '0',
  ),
  closing: field(flag, '3 x 3 morphological closing of the label map', PRESET),
  refine: field(
    kind<'vote' | false>("'vote' or false", value => value === 'vote' || value === false),
    "'vote': last of all, every region of `masks` gets its most frequent label",
    "the preset's, else false",
  ),
  logits: field(
    flag,
    'Also return the scores of every class and pixel; costs classes x H x W x 4 bytes',
    'false',
  ),
  probabilities: field(
    flag,
    'Also return the class probabilities of every pixel; costs classes x H x W x 4 bytes',
    'false',
  ),
} as const

/** See PamrOptions. @internal */
export const PAMR_FIELDS = {
  iterations: field(whole(1, 1000), 'Number of smoothing rounds'),
  dilations: field(listOf(whole(1)), 'Neighbour distances in pixels'),
} as const

/** See PromptOptions; `templates` is checked by templateList(). @internal */
export const PROMPT_FIELDS = {
  definitionWeight: field(
    fraction,
    "Share of the definitions or synonyms in a word's features",
    PRESET,
  ),
  classWords: field(
    oneOf(['first', 'all']),
    "Which words of a class are compared: its first one alone, or all, of which the best counts; the background's always all",
    "the preset's, else 'all'",
  ),
} as const

/** Names that {@link ResolvedMethod.fromCaller} may hold. @internal */
export const METHOD_OPTIONS: readonly string[] = [
  ...Object.keys({
    ...DENSE_FIELDS,
    ...PIPELINE_FIELDS,
    ...BANK_FIELDS,
    ...POSTPROCESS_FIELDS,
    ...PROMPT_FIELDS,
  }),
  'corrclip',
  'bank',
  'catSeg',
  'denseMode',
  'method',
  'dataset',
  'masks',
  'proxy',
  'scclip',
  'templates',
  'text',
]

/**
 * The dense mode that the caller names: `mode`, or `denseMode`, its other name.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG where they differ
 * @internal
 */
export function modeOf<T>({ mode, denseMode }: { mode?: T; denseMode?: T }): T | undefined {
  if (mode !== undefined && denseMode !== undefined && mode !== denseMode) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `mode and denseMode are two names of one option, received '${mode}' and '${denseMode}'; give one of them.`,
    )
  }
  return mode ?? denseMode
}

/**
 * Types and ranges of the options of the last block, ProxyCLIP's, CorrCLIP's and SC-CLIP's included.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG
 * @internal
 */
export function checkDense(options: object): void {
  const { proxy, corrclip, scclip } = options as {
    proxy?: unknown
    corrclip?: unknown
    scclip?: unknown
  }
  checkFields(options, { ...DENSE_FIELDS, denseMode: DENSE_FIELDS.mode })
  if (scclip !== undefined) {
    if (!object(scclip)) throw invalid('scclip', '{ middleBlock, earlyBlock, ... }', scclip)
    checkFields(scclip as object, SCCLIP_FIELDS, 'scclip.')
  }
  if (corrclip !== undefined) {
    if (!object(corrclip)) throw invalid('corrclip', '{ merge, gain, ... }', corrclip)
    checkFields(corrclip as object, CORRCLIP_FIELDS, 'corrclip.')
  }
  if (proxy === undefined) return
  if (!object(proxy)) throw invalid('proxy', '{ model, beta, gamma }', proxy)
  checkFields(proxy as object, PROXY_FIELDS, 'proxy.')
}

/**
 * Types and ranges of everything that a preset fills.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG
 * @internal
 */
export function checkMethodOptions(options: object): void {
  checkDense(options)
  checkFields(options, {
    ...PIPELINE_FIELDS,
    ...BANK_FIELDS,
    ...POSTPROCESS_FIELDS,
    ...PROMPT_FIELDS,
  })
  const { pamr, aggregate, catSeg } = options as {
    pamr?: PamrOptions | false
    aggregate?: unknown
    catSeg?: unknown
  }
  if (catSeg !== undefined) {
    if (!object(catSeg)) throw invalid('catSeg', '{ sliding, side, canvas, ... }', catSeg)
    checkFields(catSeg as object, CAT_SEG_FIELDS, 'catSeg.')
  }
  if (object(aggregate)) checkFields(aggregate as object, AGGREGATE_FIELDS, 'aggregate.')
  if (!pamr) return
  const { iterations = null, dilations = null } = pamr as Partial<PamrOptions>
  checkFields({ iterations, dilations }, PAMR_FIELDS, 'pamr.')
}
