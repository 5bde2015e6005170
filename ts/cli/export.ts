import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import type { Outcome } from '../base/ahead.js'
import { runExport } from '../export/export-dataset.js'
import type { Exported } from '../export/exporter.js'
import { EXPORT_FORMATS, type ExportFormat, FORMATS } from '../export/formats.js'
import { exportedNames } from '../export/merge.js'
import { fileNames } from '../export/names.js'
import { EXPORT_FIELDS } from '../export/options.js'
import { PICTURE_WAYS, type PictureWay } from '../export/pictures.js'
import { addBatchOptions, Batch, type BatchFlags, type Job } from './batch.js'
import { fieldOptions } from './field-options.js'
import {
  addMaskOptions,
  addMethodOptions,
  addWordOptions,
  type MaskFlags,
  type MethodFlags,
  maskOptions,
  methodOptions,
} from './method-options.js'
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
  usage,
} from './shared.js'

/** Options of `declip export` as commander gives them. */
export interface ExportFlags extends ModelFlags, ClassFlags, MethodFlags, MaskFlags, BatchFlags {
  to: ExportFormat
  out: string
  semantic?: boolean
  minArea?: number
  pictures?: PictureWay
  validation?: number
  prefix?: string
  overwrite?: boolean
}

type FileJob = Job<'file'>

/** Adds `declip export`. */
export function addExport(program: Command, run: Run): void {
  const command = program
    .command('export')
    .summary('annotate a folder of pictures by words: a data set for annotation tools and trainers')
    .description(
      'Segments pictures by words and writes the objects as a data set. Where none of the classes is the background, common words (sky, wall, road, ...) are put against them; --background none leaves these out.',
    )
    .argument('[image...]', PICTURES_ARGUMENT)
  addBatchOptions(command, true)
  addClassOptions(command)
  addWordOptions(command)
  addModelOptions(command)
  addMaskOptions(addMethodOptions(command))
  command
    .optionsGroup('Output:')
    .addOption(
      new Option('--to <format>', 'format of the data set, see below')
        .choices(EXPORT_FORMATS)
        .makeOptionMandatory(),
    )
    .requiredOption('--out <folder>', 'folder of the data set')
    .option('--semantic', 'one annotation per class of a picture instead of one per object')
    .addOption(
      new Option(
        '--pictures <way>',
        'how pictures come into the data set; default: copy, for geojson and label-studio none',
      ).choices(PICTURE_WAYS),
    )
  const { minArea, validation } = EXPORT_FIELDS
  for (const [name, field] of Object.entries({ minArea, validation })) {
    for (const option of fieldOptions(name, field)) command.addOption(option)
  }
  command
    .option(
      '--prefix <text>',
      "label-studio: what stands in front of a picture's name in its address",
    )
    .option('--overwrite', 'begin a data set that is there anew')
    .option('--json', 'print one JSON object per picture and line')
    .addHelpText('after', `\nFormats:\n${formats()}`)
    .addHelpText(
      'after',
      '\n--skip-existing goes on with a data set, whatever ended the run before. Parts of --shard are put together by\ndeclip merge.',
    )
    .addHelpText(
      'after',
      examples(
        `declip export ${examplePicture('.')} --classes "dog; tree; pizza; banana" --to coco --out found/`,
        `declip export ${examplePicture('table.png')} ${examplePicture('park.png')} --classes "dog; tree; pizza; banana" --to yolo --out yolo/ --skip-existing --errors failed.jsonl`,
        `declip export ${examplePicture('.')} --classes "background; dog; tree" --to masks --out part-1/ --shard 1/6`,
      ),
    )
    .action((images: string[], flags: ExportFlags) => exportPictures(images, flags, run))
}

function formats(): string {
  const width = Math.max(...EXPORT_FORMATS.map(name => name.length))
  return EXPORT_FORMATS.map(name => `  ${name.padEnd(width)}  ${FORMATS[name].text}`).join('\n')
}

async function exportPictures(given: string[], flags: ExportFlags, run: Run): Promise<void> {
  const classes = await readClasses(flags)
  const out = resolve(flags.out)
  const plan = async (pictures: readonly Picture[]) => planFiles(pictures, flags.to)
  const done = flags.skipExisting ? await exportedNames(out) : undefined
  const isDone = (place: string) => done?.has(place) === true
  const batch = await Batch.open(given, { flags, plan, avoid: new Set([out]), isDone }, run)
  const method = { ...(await methodOptions(flags, classes)), ...(await maskOptions(flags)) }
  const { to, semantic, minArea, pictures, validation, prefix, overwrite, skipExisting } = flags
  const { signal } = run
  using opened = await openModel(flags, run)
  const jobs = new Map(batch.jobs.map(job => [job.picture.place, job as FileJob]))
  const images = batch.jobs.map(({ picture, outputs }) => ({
    image: picture.input,
    name: picture.place,
    file: (outputs as FileJob['outputs']).file,
  }))
  const result = await runExport(
    images,
    classes,
    {
      ...method,
      model: opened.model,
      to,
      out,
      semantic,
      minArea,
      pictures,
      validation,
      prefix,
      overwrite,
      skipExisting,
      shard: flags.shard && `${flags.shard.index}/${flags.shard.count}`,
      signal,
    },
    outcomes => batch.take(reports(outcomes, jobs, flags.json === true)),
  )
  const { files, pictures: count } = result
  const inAll = `${count} ${count === 1 ? 'picture' : 'pictures'}`
  if (flags.shard)
    run.tell(`${inAll} of this part in ${flags.out}; declip merge puts parts together`)
  else
    run.tell(
      `a data set of ${inAll} is in ${flags.out}${files.length > 0 ? ':' : ''} ${files.map(shown(out)).join(', ')}`.trimEnd(),
    )
}

function shown(out: string): (path: string) => string {
  return path => path.slice(out.length + 1)
}

/** What every picture is called in the data set. */
function planFiles(pictures: readonly Picture[], to: ExportFormat): FileJob['outputs'][] {
  const seen = new Map<string, string>()
  for (const { name, place } of pictures) {
    const other = seen.get(place)
    if (other !== undefined) {
      throw usage(
        `'${other}' and '${name}' would both be called '${place}' in the data set. --recursive keeps folders apart.`,
      )
    }
    seen.set(place, name)
  }
  const files = fileNames([...seen.keys()], FORMATS[to].usesStems)
  return pictures.map(({ place }) => ({ file: files.get(place) ?? place }))
}

/** The outcomes with a line to print for every picture that was annotated. */
async function* reports(
  outcomes: AsyncIterable<Outcome<{ readonly name: string }, Exported>>,
  jobs: ReadonlyMap<string, FileJob>,
  json: boolean,
): AsyncGenerator<Outcome<FileJob, string>, void, undefined> {
  for await (const { item, index, result } of outcomes) {
    const job = jobs.get(item.name) as FileJob
    if (result.status === 'rejected') yield { item: job, index, result }
    else {
      const value = line(job.picture.name, result.value, json)
      yield { item: job, index, result: { status: 'fulfilled', value } }
    }
  }
}

function line(image: string, { annotations, files }: Exported, json: boolean): string {
  if (json) return JSON.stringify({ image, annotations, files })
  return `${image}  ${annotations} ${annotations === 1 ? 'annotation' : 'annotations'}`
}
