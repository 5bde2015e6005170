import { type Command, Option } from 'commander'
import { ahead } from '../base/ahead.js'
import { DENSE_MODES, type DenseMode } from '../base/names.js'
import { DeclipError } from '../errors.js'
import type { ImageInput } from '../image/decode.js'
import { DATASET_NAMES } from '../methods/benchmarks.js'
import {
  DENSE_FIELDS,
  PIPELINE_FIELDS,
  POSTPROCESS_FIELDS,
  PROMPT_FIELDS,
} from '../methods/fields.js'
import { METHOD_NAMES, type MethodName } from '../methods/list.js'
import { PAMR } from '../methods/method.js'
import type { Segmentation } from '../result/segmentation.js'
import type { SegmentOptions } from '../segment/options.js'
import { type SegmentManyOptions, segmentMany } from '../segment/segment-many.js'
import { parseClasses } from '../text/class-files.js'
import { addBatchOptions, Batch, type BatchFlags, type Job } from './batch.js'
import { fieldOptions } from './field-options.js'
import { makeFolderOf, type Outputs, outputFolders, planOutputs, type Target } from './outputs.js'
import { PICTURES_ARGUMENT, type Picture } from './pictures.js'
import {
  addClassOptions,
  addModelOptions,
  type ClassFlags,
  examplePicture,
  examples,
  type ModelFlags,
  openModel,
  type Run,
  readClasses,
  readTemplates,
  shareTable,
  side,
  usage,
  whole,
} from './shared.js'

/** Options of `declip segment` as commander gives them. */
export interface SegmentFlags extends ModelFlags, ClassFlags, BatchFlags {
  method?: MethodName
  dataset?: string
  mode?: DenseMode
  denseMode?: DenseMode
  proxyModel?: string
  /** 0 for the picture's own. */
  shortSide?: number
  longSide?: number
  window?: number
  stride?: number
  padTo?: number
  augment?: boolean
  augmentWeight?: number
  definitions?: string
  synonyms?: string
  definitionWeight?: number
  background?: string
  pamr?: number
  probThreshold?: number
  areaThreshold?: number
  logitScale?: number
  closing?: boolean
  out?: string
  overlay?: string
  logits?: string
}

/** What is written for a picture. */
type OutputKind = 'mask' | 'overlay' | 'logits'

/** Options of the API that are flags as they are. */
const FLAGS = Object.entries({
  ...PROMPT_FIELDS,
  ...PIPELINE_FIELDS,
  ...POSTPROCESS_FIELDS,
}).filter(([name]) => !['shortSide', 'pamr', 'logits', 'probabilities'].includes(name))

/** Pictures whose outputs are written at a time: PNGs are compressed on other threads. */
const WRITES = 4

/** Classes with a smaller share of the picture are not listed: it would print as 0.0 %. */
const SMALLEST_SHARE = 0.0005

/** Adds `declip segment`. */
export function addSegment(program: Command, run: Run): void {
  const command = program
    .command('segment')
    .summary('say for every pixel of a picture which of your classes it shows')
    .description(
      'Segments pictures by words and prints the share of every class. A folder stands for the pictures in it.',
    )
    .argument('[image...]', PICTURES_ARGUMENT)
  addBatchOptions(command, true)
  addClassOptions(command)
    .option(
      '--definitions <file>',
      "a line 'name >=text' per foreground class, mixed into its words",
    )
    .option('--synonyms <file>', 'like --definitions, with one synonym each')
    .option(
      '--background <class>',
      "a class by name or number, 'none', or words 'sky, wall' that become a class in front",
    )
  addModelOptions(command)
  command
    .optionsGroup('Method (what is left out comes from the preset):')
    .addOption(new Option('--method <name>', 'preset of a paper').choices(METHOD_NAMES))
    .addOption(
      new Option('--dataset <name>', "the preset's values for a benchmark").choices(DATASET_NAMES),
    )
    .addOption(new Option('--mode <mode>', DENSE_FIELDS.mode.text).choices(DENSE_MODES))
    .addOption(new Option('--dense-mode <mode>', 'another name of --mode').choices(DENSE_MODES))
    .option(
      '--proxy-model <source>',
      "for method 'proxyclip': checkpoint of a DINO, DINOv2, DINOv3 or SAM that its attention comes from",
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
  command
    .optionsGroup('Output:')
    .option('--out <file>', 'write the mask: a PNG whose palette indices are the classes')
    .option('--overlay <file>', 'write the picture under the colours of its classes')
    .option('--logits <file>', 'write the score of every class and pixel as safetensors [C, H, W]')
    .option('--json', 'print one JSON object per picture and line')
    .addHelpText(
      'after',
      '\n--out, --overlay and --logits take a file name, a folder, or a name with {name} in it, which stands for\nthe picture without its ending ({file}: with it). Parts of --shard are made by a hash of these names.',
    )
    .addHelpText(
      'after',
      examples(
        `declip segment ${examplePicture('table.png')} --classes "background; pizza; banana; coffee" --overlay overlay.png`,
        `declip segment ${examplePicture('park.png')} ${examplePicture('desk.png')} --classes "background; tree; laptop; dog, puppy" --out masks/ --json`,
        `declip segment ${examplePicture('.')} --recursive --shard 1/6 --classes "background; tree; pizza" --out masks/ --skip-existing --errors failed.jsonl`,
        'find photos -name "*.jpg" -print0 | declip segment --from - --recursive --classes "sky; house" --out masks/',
      ),
    )
    .action((images: string[], flags: SegmentFlags) => segmentImages(images, flags, run))
}

async function segmentImages(given: string[], flags: SegmentFlags, run: Run): Promise<void> {
  const classes = await readClasses(flags)
  const targets = targetsOf(flags)
  const plan = (pictures: readonly Picture[]) => planOutputs(pictures, targets)
  const avoid = await outputFolders(targets)
  const batch = await Batch.open(given, { flags, plan, avoid }, run)
  if (batch.jobs.length === 0) return
  const options = await segmentOptions(flags, classes)
  using opened = await openModel(flags, run)
  const { model, source } = opened
  const { signal, progress } = run
  // Several pictures are in flight at a time; the batch counts them instead.
  const onProgress = batch.total === 1 ? progress.update : undefined
  const done = segmentAll(batch.jobs, classes, { ...options, model, signal, onProgress })
  const { device, dtype } = model.info
  const work = async ({ picture, outputs, result }: Segmented) => {
    if (result instanceof DeclipError) throw result
    using segmentation = result
    await writeOutputs(segmentation, outputs).catch(batch.endWith)
    const report = { image: picture.name, model: source, device, dtype, outputs }
    return flags.json ? jsonReport(segmentation, report) : textReport(segmentation, report)
  }
  await batch.take(ahead(done, work, { limit: WRITES }))
}

/** A job and its labels, or why there are none. */
type Segmented = Job<OutputKind> & { readonly result: Segmentation | DeclipError }

/** The results of jobs in their order. */
async function* segmentAll(
  jobs: readonly Job<OutputKind>[],
  classes: readonly (readonly string[])[],
  options: SegmentManyOptions,
): AsyncGenerator<Segmented, void, undefined> {
  const job = (index: number) => jobs[index] as Job<OutputKind>
  const failed: Segmented[] = []
  const onError = (error: DeclipError, _: ImageInput, index: number) => {
    failed.push({ ...job(index), result: error })
  }
  const inputs = jobs.map(({ picture }) => picture.input)
  for await (const result of segmentMany(inputs, classes, { ...options, onError })) {
    yield* failed.splice(0)
    yield { ...job(result.index), result }
  }
  yield* failed
}

function targetsOf({ out, overlay, logits }: SegmentFlags): Target<OutputKind>[] {
  const png = { extension: '.png' }
  return [
    { kind: 'mask', flag: 'out', ...png, inFolder: '{name}.png', given: out },
    { kind: 'overlay', flag: 'overlay', ...png, inFolder: '{name}-overlay.png', given: overlay },
    {
      kind: 'logits',
      flag: 'logits',
      extension: '.safetensors',
      inFolder: '{name}.safetensors',
      given: logits,
    },
  ]
}

/** The options of segment() that flags stand for; `classes` are needed to find the background. */
export async function segmentOptions(
  flags: SegmentFlags,
  classes: readonly (readonly string[])[],
): Promise<SegmentOptions> {
  const { method, dataset, mode, denseMode, shortSide, longSide, window, stride, padTo } = flags
  const { augment, augmentWeight, closing } = flags
  const { definitions, synonyms, definitionWeight, proxyModel } = flags
  const { probThreshold, areaThreshold, logitScale, pamr } = flags
  if (definitions !== undefined && synonyms !== undefined) {
    throw usage('--definitions and --synonyms exclude each other; give one of them.')
  }
  if (proxyModel !== undefined && (mode ?? denseMode ?? method) !== 'proxyclip') {
    throw usage('--proxy-model needs --method proxyclip.')
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
    closing,
    definitions,
    synonyms,
    definitionWeight,
    probThreshold,
    areaThreshold,
    logitScale,
    background: backgroundOf(flags.background, classes),
    templates: await readTemplates(flags.templates),
    ...(pamr !== undefined && {
      pamr: pamr > 0 && { iterations: pamr, dilations: PAMR.dilations },
    }),
    ...(flags.logits !== undefined && { logits: true }),
    ...(proxyModel !== undefined && { proxy: { model: proxyModel } }),
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

async function writeOutputs(
  segmentation: Segmentation,
  outputs: Outputs<OutputKind>,
): Promise<void> {
  for (const path of Object.values(outputs) as string[]) await makeFolderOf(path)
  if (outputs.mask) await segmentation.savePNG(outputs.mask)
  if (outputs.overlay) await segmentation.savePNG(outputs.overlay, { overlay: true })
  if (outputs.logits) await segmentation.saveLogits(outputs.logits)
}

interface Report {
  image: string
  model: string
  device: string
  dtype: string
  outputs: Outputs<OutputKind>
}

function jsonReport(segmentation: Segmentation, report: Report): string {
  const { classes, areas, width, height, timings } = segmentation
  const { image, ...rest } = report
  return JSON.stringify({ image, classes, areas, size: { width, height }, timings, ...rest })
}

function textReport(segmentation: Segmentation, { image, outputs }: Report): string {
  const { classes, areas, width, height, timings } = segmentation
  const time = Math.round(timings.totalMs ?? timings.encodeMs + timings.pixelsMs)
  const lines = [
    `${image}  ${width} x ${height}, ${time} ms`,
    shareTable(classes, areas, SMALLEST_SHARE),
  ]
  for (const [kind, path] of Object.entries(outputs)) lines.push(`  ${kind} written to ${path}`)
  return lines.join('\n')
}
