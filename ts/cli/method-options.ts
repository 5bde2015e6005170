/** The method's and pipeline's options as flags, for every command that labels pixels. */
import { type Command, Option } from 'commander'
import { Bank } from '../bank/bank.js'
import { DENSE_MODES, type DenseMode } from '../base/names.js'
import { DATASET_NAMES } from '../methods/benchmarks.js'
import {
  AGGREGATE_FIELDS,
  BANK_FIELDS,
  CAT_SEG_FIELDS,
  CORRCLIP_FIELDS,
  DENSE_FIELDS,
  PIPELINE_FIELDS,
  POSTPROCESS_FIELDS,
  PROMPT_FIELDS,
  PROXY_FIELDS,
  SCCLIP_FIELDS,
} from '../methods/fields.js'
import { METHOD_NAMES, type MethodName } from '../methods/list.js'
import { PAMR } from '../methods/method.js'
import { PROXY_MODES } from '../methods/proxy.js'
import type { SegmentOptions } from '../segment/options.js'
import { parseClasses } from '../text/class-files.js'
import { fieldOptions, memberOptions, memberValues } from './field-options.js'
import { addMaskModelOptions, type MaskModelFlags, maskModelOf } from './mask-options.js'
import { readMaskProvider } from './region-files.js'
import { type ClassFlags, readTemplates, side, usage, whole } from './shared.js'

/** Flags of method, pipeline and words as commander gives them; beside them those of members: --scclip-gain, --corrclip-gain, --cat-seg-cut, --proxy-part ... */
export interface MethodFlags {
  method?: MethodName
  dataset?: string
  mode?: DenseMode
  denseMode?: DenseMode
  proxyModel?: string
  textModel?: string
  textProjection?: string
  backgroundCleaning?: boolean
  bank?: string
  bankNeighbours?: number
  bankShare?: number
  /** 0 for the picture's own. */
  shortSide?: number
  longSide?: number
  window?: number
  stride?: number
  padTo?: number
  augment?: boolean
  augmentWeight?: number
  aggregate?: boolean
  aggregateGain?: number
  definitions?: string
  synonyms?: string
  definitionWeight?: number
  classWords?: 'first' | 'all'
  background?: string
  pamr?: number
  probThreshold?: number
  areaThreshold?: number
  wordThreshold?: number
  logitScale?: number
  closing?: boolean
}

/** Flags of regions as commander gives them. */
export interface MaskFlags extends MaskModelFlags {
  masks?: string
  refine?: 'vote' | 'none'
}

/** Options of the API that are flags as they are. */
const FLAGS = Object.entries({
  ...PROMPT_FIELDS,
  ...PIPELINE_FIELDS,
  aggregateGain: AGGREGATE_FIELDS.gain,
  ...BANK_FIELDS,
  ...POSTPROCESS_FIELDS,
}).filter(
  ([name]) =>
    !['shortSide', 'pamr', 'refine', 'logits', 'probabilities', 'aggregate'].includes(name),
)

/** Adds those of {@link MethodFlags} that say more of words. */
export function addWordOptions(command: Command): Command {
  return command
    .option(
      '--definitions <file>',
      "a line 'name >=text' per foreground class, mixed into its words",
    )
    .option('--synonyms <file>', 'like --definitions, with one synonym each')
    .option(
      '--background <class>',
      "a class by name or number, 'none', or words 'sky, wall' that become a class in front",
    )
}

/**
 * Adds all other {@link MethodFlags}.
 *
 * @param dataset - false where the command has an option of this name that says more
 */
export function addMethodOptions(command: Command, { dataset = true } = {}): Command {
  command
    .optionsGroup('Method (what is left out comes from the preset):')
    .addOption(new Option('--method <name>', 'preset of a paper').choices(METHOD_NAMES))
  if (dataset) {
    command.addOption(
      new Option('--dataset <name>', "the preset's values for a benchmark").choices(DATASET_NAMES),
    )
  }
  command
    .addOption(new Option('--mode <mode>', DENSE_FIELDS.mode.text).choices(DENSE_MODES))
    .addOption(new Option('--dense-mode <mode>', 'another name of --mode').choices(DENSE_MODES))
    .option(
      '--proxy-model <source>',
      "for methods 'proxyclip' and 'corrclip': checkpoint of a DINO, DINOv2, DINOv3 or SAM that its attention comes from",
    )
    .option(
      '--text-model <source>',
      "for method 'talk2dino' and detectors: the CLIP whose text tower embeds the words",
    )
    .option(
      '--text-projection <file>',
      "for method 'talk2dino': what brings these into the space of the model, a DINOv2",
    )
    .option(
      '--aggregate',
      'joins the windows and lets every patch attend to all that are like it (--aggregate-gain)',
    )
    .option(
      '--bank <file>',
      'regions of other pictures that take part: see declip bank; needs --masks',
    )
    .addOption(
      new Option('--pamr <n>', 'rounds of refinement along edges, 0 for none').argParser(whole(0)),
    )
    .addOption(
      new Option(
        '--short-side <n>',
        "shorter side in pixels that the picture is resized to, 'none' for its own size",
      ).argParser(side),
    )
  for (const [name, field] of FLAGS) {
    for (const option of fieldOptions(name, field)) command.addOption(option)
  }
  for (const option of [
    ...memberOptions('scclip', SCCLIP_FIELDS),
    ...memberOptions('corrclip', CORRCLIP_FIELDS),
    ...memberOptions('catSeg', CAT_SEG_FIELDS),
    ...memberOptions('proxy', PROXY_FIELDS),
  ]) {
    command.addOption(option)
  }
  return command
}

/** Adds {@link MaskFlags}. */
export function addMaskOptions(command: Command): Command {
  command.option(
    '--masks <folder|file>',
    'regions: a folder with <name>.npz or <name>.png for every picture, such a file, or COCO JSON',
  )
  addMaskModelOptions(command)
  return command.addOption(
    new Option('--refine <how>', "'vote': every region gets its most frequent label").choices([
      'vote',
      'none',
    ]),
  )
}

/**
 * The options of segment() that flags stand for; `classes` are needed to find the background.
 *
 * @param options - `detector`: whether the model may be one with heads of its own
 */
export async function methodOptions(
  flags: MethodFlags & Pick<ClassFlags, 'templates'>,
  classes: readonly (readonly string[])[],
  { detector = false } = {},
): Promise<SegmentOptions> {
  const { method, dataset, mode, denseMode, shortSide, longSide, window, stride, padTo } = flags
  const { augment, augmentWeight, closing } = flags
  const { definitions, synonyms, definitionWeight, classWords, proxyModel } = flags
  const { probThreshold, areaThreshold, wordThreshold, logitScale, pamr } = flags
  const { aggregate, aggregateGain } = flags
  if (definitions !== undefined && synonyms !== undefined) {
    throw usage('--definitions and --synonyms exclude each other; give one of them.')
  }
  const { bank, bankNeighbours, bankShare } = flags
  if (
    proxyModel !== undefined &&
    bank === undefined &&
    !PROXY_MODES.some(one => one === (mode ?? denseMode ?? method))
  ) {
    throw usage(`--proxy-model needs --method ${PROXY_MODES.join(' or ')}.`)
  }
  const scclip = memberValues('scclip', SCCLIP_FIELDS, flags)
  const { textModel, textProjection, backgroundCleaning } = flags
  if (textProjection !== undefined && method !== 'talk2dino') {
    throw usage('--text-projection needs --method talk2dino.')
  }
  if (textModel !== undefined && method !== 'talk2dino' && !detector) {
    throw usage('--text-model needs --method talk2dino, or a detector.')
  }
  const corrclip = memberValues('corrclip', CORRCLIP_FIELDS, flags)
  const catSeg = memberValues('catSeg', CAT_SEG_FIELDS, flags)
  const proxy = memberValues('proxy', PROXY_FIELDS, flags)
  if (proxy && proxyModel === undefined) {
    throw usage('Flags that begin with --proxy- need --proxy-model.')
  }
  return {
    method,
    dataset,
    mode,
    denseMode,
    shortSide: shortSide === 0 ? null : shortSide,
    longSide,
    window,
    stride,
    padTo,
    augment,
    augmentWeight,
    aggregate: aggregateGain === undefined ? aggregate : { gain: aggregateGain },
    closing,
    definitions,
    synonyms,
    definitionWeight,
    classWords,
    probThreshold,
    areaThreshold,
    wordThreshold,
    logitScale,
    background: backgroundOf(flags.background, classes),
    templates: await readTemplates(flags.templates),
    ...(pamr !== undefined && {
      pamr: pamr > 0 && { iterations: pamr, dilations: PAMR.dilations },
    }),
    bankNeighbours,
    bankShare,
    ...(bank !== undefined && { bank: await Bank.open(bank) }),
    ...(proxyModel !== undefined && { proxy: { model: proxyModel, ...proxy } }),
    ...(scclip && { scclip }),
    ...((textModel ?? textProjection) !== undefined && {
      text: { model: textModel, projection: textProjection },
    }),
    backgroundCleaning,
    ...(corrclip && { corrclip }),
    ...(catSeg && { catSeg }),
  }
}

/** The options of segment() that {@link MaskFlags} stand for. */
export async function maskOptions(
  flags: MaskFlags,
): Promise<Pick<SegmentOptions, 'masks' | 'refine'>> {
  const { masks: given, refine } = flags
  const made = maskModelOf(flags)
  if (given !== undefined && made !== undefined) {
    throw usage('--masks and --mask-model both give regions; give one of them.')
  }
  const masks = given === undefined ? made : await readMaskProvider(given)
  return {
    ...(masks !== undefined && { masks }),
    ...(refine !== undefined && { refine: refine === 'vote' && refine }),
  }
}

/** A class's name or number, 'none', or words for a class of their own. */
function backgroundOf(
  text: string | undefined,
  classes: readonly (readonly string[])[],
): number | false | string[] | undefined {
  if (text === undefined) return undefined
  if (text === 'none') return false
  if (/^\d+$/.test(text)) {
    if (Number(text) < classes.length) return Number(text)
    throw usage(`--background must be 0 to ${classes.length - 1} (the classes), received ${text}.`)
  }
  const named = classes.findIndex(words => words[0] === text || words.join(', ') === text)
  if (named >= 0) return named
  return parseClasses([text], undefined, '--background')[0]
}
