import { clearclip } from './clearclip.js'
import { BARE, type Changes, type Method, type Preset } from './method.js'

/** Where the figures were read. @internal */
export const DECLIP_TABLES = 'arXiv 2505.04410, Tables 5 and 10'

/**
 * Settings of the methods that DeCLIP's tables compare: its sizes and prompts, no post-processing. Which
 * scale these rows ran with is not stated; it is ClearCLIP's.
 *
 * @internal
 */
export const COMPARED = {
  ...BARE,
  positions: 'size',
  shortSide: 448,
  window: 336,
  stride: 112,
  padTo: 'patch',
  logitScale: 50,
} as const satisfies Partial<Preset>

/** The benchmarks of these tables. @internal */
export const COMPARED_SETS: Changes = {
  voc21: {},
  context60: {},
  'coco-object': {},
  voc20: {},
  cityscapes: {},
  context59: {},
  ade20k: {},
  'coco-stuff': {},
}

/** ClearCLIP's, the code base that DeCLIP credits. @internal */
export const COMPARED_WORDS: Method['words'] = clearclip.words
