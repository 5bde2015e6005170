import { type Command, Option } from 'commander'
import { ahead } from '../base/ahead.js'
import { DENSE_MODES, type DenseMode } from '../base/names.js'
import { picturesInFlight } from '../engine/in-flight.js'
import { DENSE_FIELDS } from '../methods/fields.js'
import type { Classification, ClassifiedRegion, RegionPool } from '../model/classify.js'
import { CLASSIFY_FIELDS } from '../model/fields.js'
import { Vocabulary } from '../words/vocabulary.js'
import { addBatchOptions, Batch, type BatchFlags, type Job } from './batch.js'
import { fieldOptions, flagOf } from './field-options.js'
import { PICTURES_ARGUMENT, type Picture } from './pictures.js'
import { readBoxFile, readMaskFile } from './region-files.js'
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
  usage,
  whole,
} from './shared.js'

/** Options of `declip classify` as commander gives them. */
export interface ClassifyFlags extends ModelFlags, ClassFlags, BatchFlags {
  vocabulary?: string
  boxes?: string
  masks?: string
  pool?: RegionPool
  cropScale?: number
  size?: number
  mode?: DenseMode
  denseMode?: DenseMode
  top: number
}

/** Adds `declip classify`. */
export function addClassify(program: Command, run: Run): void {
  const command = program
    .command('classify')
    .summary('say which of your classes pictures, or regions of them, show')
    .description(
      'Classifies pictures, or boxes and masks in them, by words (zero-shot) and prints the most probable classes.',
    )
    .argument('[image...]', PICTURES_ARGUMENT)
  addBatchOptions(command, false)
  addClassOptions(command)
  command.option(
    '--vocabulary <file>',
    'published text embeddings (.npy, .pt, .safetensors) in place of words; --classes names their rows',
  )
  command
    .optionsGroup('Regions:')
    .option(
      '--boxes <file>',
      'JSON: a list of [x1, y1, x2, y2] in pixels, such lists by file name, or COCO',
    )
    .option(
      '--masks <file>',
      'a folder with <name>.npz or <name>.png for every picture, such a file, or COCO JSON',
    )
    .addOption(
      new Option('--pool <how>', CLASSIFY_FIELDS.pool.text).choices(['dense', 'crop', 'mean']),
    )
    .addOption(fieldOptions('cropScale', CLASSIFY_FIELDS.cropScale)[0] as Option)
    .addOption(
      new Option(
        '--size <n>',
        'side in pixels of the square that pictures are fitted into',
      ).argParser(whole(1)),
    )
    .addOption(new Option('--mode <mode>', DENSE_FIELDS.mode.text).choices(DENSE_MODES))
    .addOption(new Option('--dense-mode <mode>', 'another name of --mode').choices(DENSE_MODES))
  addModelOptions(command)
    .optionsGroup('Output:')
    .addOption(new Option('--top <n>', 'how many classes to print').argParser(whole(1)).default(5))
    .option('--json', 'print one JSON object per picture and line')
    .addHelpText(
      'after',
      examples(
        `declip classify ${examplePicture('music.png')} --classes "guitar; pizza; elephant" --top 2`,
        `declip classify ${examplePicture('table.png')} --boxes "[[10, 60, 190, 230], [220, 40, 370, 200]]" --classes "pizza; banana; coffee" --top 1`,
        `declip classify "${examplePicture('*.png')}" --shard 2/6 --classes "guitar; pizza; elephant" --json`,
      ),
    )
    .action((images: string[], flags: ClassifyFlags) => classify(images, flags, run))
}

async function classify(given: string[], flags: ClassifyFlags, run: Run): Promise<void> {
  const { signal, progress } = run
  const { boxes, masks, pool, cropScale, size, mode, denseMode, top: topK } = flags
  checkFlags(flags)
  const names = flags.vocabulary === undefined ? undefined : await rowNames(flags)
  const words = flags.vocabulary === undefined ? await readClasses(flags) : []
  const templates = await readTemplates(flags.templates)
  const ofBoxes = boxes === undefined ? undefined : await readBoxFile(boxes)
  const ofMasks = masks === undefined ? undefined : await readMaskFile(masks)
  const plan = async (pictures: readonly Picture[]) => pictures.map(() => ({}))
  const batch = await Batch.open(given, { flags, plan }, run)
  if (batch.jobs.length === 0) return
  using opened = await openModel(flags, run)
  const { model, source } = opened
  const call = { signal, onProgress: progress.update }
  using vocabulary =
    flags.vocabulary === undefined
      ? await model.vocabulary(words, { templates, background: false, ...call })
      : await Vocabulary.fromFile(flags.vocabulary, names, { background: false, ...call })
  const { device, dtype } = model.info
  const options = { pool, cropScale, size, mode, denseMode, topK }
  const each = { ...options, ...(batch.total === 1 ? call : { signal }) }
  const work = async ({ picture }: Job) => {
    const { name: image, input } = picture
    const regions = { boxes: await ofBoxes?.of(picture), masks: await ofMasks?.of(picture) }
    const found = await model.classify(input, vocabulary, { ...each, ...regions })
    if (flags.json)
      return JSON.stringify({ image, ...reportOf(found), model: source, device, dtype })
    return [image, ...found.regions.map(regionTable)].join('\n')
  }
  await batch.take(ahead(batch.jobs.values(), work, { limit: picturesInFlight() }))
}

function checkFlags(flags: ClassifyFlags): void {
  const { boxes, masks, mode, denseMode, templates, vocabulary } = flags
  if (mode !== undefined && denseMode !== undefined && mode !== denseMode) {
    throw usage('--mode and --dense-mode are one option; give one of them.')
  }
  if (templates !== undefined && vocabulary !== undefined) {
    throw usage('--templates makes prompts of words, of which --vocabulary has none; leave it out.')
  }
  if (boxes !== undefined || masks !== undefined) return
  const name = OF_REGIONS.find(one => flags[one] !== undefined)
  if (name === undefined) return
  throw usage(`${flagOf(name)} is about regions; give --boxes or --masks, or leave it out.`)
}

const OF_REGIONS = ['pool', 'cropScale', 'size', 'mode', 'denseMode'] as const

/** Names of a vocabulary's rows; none where the file has them. */
async function rowNames(flags: ClassifyFlags): Promise<string[] | undefined> {
  if (flags.classes === undefined && flags.classesFile === undefined) return undefined
  return (await readClasses(flags)).map(([name]) => name as string)
}

/** As the API has it; of a whole picture its classes by name and probability, too. */
function reportOf({ classes, regions }: Classification): object {
  const [whole] = regions
  if (regions.length !== 1 || whole?.box !== undefined) return { classes, regions }
  const guesses = whole?.ranked.map(({ class: name, probability }) => ({ name, probability }))
  return { classes: guesses, regions }
}

function regionTable({ box, value, ranked }: ClassifiedRegion, index: number): string {
  const names = ranked.map(({ class: name }) => name)
  const shares = ranked.map(({ probability }) => probability)
  const table = shareTable(names, shares)
  if (box === undefined) return table
  const corners = box.map(edge => Number(edge.toFixed(1))).join(', ')
  const label = value === undefined ? '' : ` (value ${value})`
  return `  region ${index + 1}${label}: ${corners}\n${table.replace(/^/gm, '  ')}`
}
