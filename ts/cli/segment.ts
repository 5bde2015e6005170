import type { Command } from 'commander'
import { ahead } from '../base/ahead.js'
import { DeclipError } from '../errors.js'
import type { ImageInput } from '../image/decode.js'
import type { Segmentation } from '../result/segmentation.js'
import { type SegmentManyOptions, segmentMany } from '../segment/segment-many.js'
import { addBatchOptions, Batch, type BatchFlags, type Job } from './batch.js'
import {
  addMaskOptions,
  addMethodOptions,
  addWordOptions,
  type MaskFlags,
  type MethodFlags,
  maskOptions,
  methodOptions,
} from './method-options.js'
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
  shareTable,
} from './shared.js'

/** Options of `declip segment` as commander gives them. */
export interface SegmentFlags extends ModelFlags, ClassFlags, MethodFlags, MaskFlags, BatchFlags {
  out?: string
  overlay?: string
  logits?: string
}

/** What is written for a picture. */
type OutputKind = 'mask' | 'overlay' | 'logits'

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
  addWordOptions(command)
  addModelOptions(command)
  addMaskOptions(addMethodOptions(command))
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
        `declip segment ${examplePicture('table.png')} --classes "background; pizza; banana; coffee" --masks ${examplePicture('table-labels.png')} --refine vote --out voted.png`,
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
  const options = {
    ...(await methodOptions(flags, classes)),
    ...(await maskOptions(flags)),
    ...(flags.logits !== undefined && { logits: true }),
  }
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
