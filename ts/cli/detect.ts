import type { Command } from 'commander'
import { ahead } from '../base/ahead.js'
import { writeFileAtomic } from '../base/files.js'
import { detect } from '../detect/detect.js'
import type { Detections } from '../result/detections.js'
import { DETECT_FIELDS, type DetectOptions } from '../detect/options.js'
import { picturesInFlight } from '../engine/in-flight.js'
import { addBatchOptions, Batch, type BatchFlags, type Job } from './batch.js'
import { fieldOptions } from './field-options.js'
import {
  addMethodOptions,
  addWordOptions,
  type MethodFlags,
  methodOptions,
} from './method-options.js'
import { makeFolderOf, outputFolders, planOutputs, type Target } from './outputs.js'
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

/** Options of `declip detect` as commander gives them. */
export interface DetectFlags extends ModelFlags, ClassFlags, MethodFlags, BatchFlags {
  scoreThreshold?: number
  limit?: number
  minArea?: number
  masks?: boolean
  overlay?: string
}

/** Adds `declip detect`. */
export function addDetect(program: Command, run: Run): void {
  const command = program
    .command('detect')
    .summary('find the things that you name in a picture: boxes, scores, masks')
    .description(
      'Finds things by words and prints their boxes, the best first. Where none of the classes is the background, common words (sky, wall, road, ...) are put against them; --background none leaves these out.',
    )
    .argument('[image...]', PICTURES_ARGUMENT)
  addBatchOptions(command, true)
  addClassOptions(command)
  addWordOptions(command)
  addModelOptions(command)
  addMethodOptions(command)
  command.optionsGroup('Objects:')
  const { scoreThreshold, limit, minArea } = DETECT_FIELDS
  for (const [name, field] of Object.entries({ scoreThreshold, limit, minArea })) {
    for (const option of fieldOptions(name, field)) command.addOption(option)
  }
  command
    .optionsGroup('Output:')
    .option('--overlay <file>', 'write the picture with boxes, names and scores')
    .option('--masks', 'with --json: also print the masks, as COCO run lengths')
    .option('--json', 'print one JSON object per picture and line')
    .addHelpText(
      'after',
      '\n--overlay takes a file name, a folder, or a name with {name} in it, which stands for the picture without its\nending ({file}: with it).',
    )
    .addHelpText(
      'after',
      examples(
        `declip detect ${examplePicture('table.png')} --classes "pizza; banana; coffee" --overlay found.png`,
        `declip detect ${examplePicture('park.png')} ${examplePicture('street.png')} --classes "dog; tree; car; bus" --score-threshold 0.5 --json`,
      ),
    )
    .action((images: string[], flags: DetectFlags) => detectImages(images, flags, run))
}

async function detectImages(given: string[], flags: DetectFlags, run: Run): Promise<void> {
  const classes = await classesOf(flags)
  if (flags.masks && !flags.json) throw usage('--masks needs --json, which prints them.')
  const targets: Target<'overlay'>[] = [
    {
      kind: 'overlay',
      flag: 'overlay',
      extension: '.png',
      inFolder: '{name}-found.png',
      given: flags.overlay,
    },
  ]
  const plan = (pictures: readonly Picture[]) => planOutputs(pictures, targets)
  const avoid = await outputFolders(targets)
  const batch = await Batch.open(given, { flags, plan, avoid }, run)
  if (batch.jobs.length === 0) return
  const { scoreThreshold, limit, minArea, masks } = flags
  const method = await methodOptions(flags, classes)
  using opened = await openModel(flags, run)
  const { signal, progress } = run
  const options: DetectOptions = {
    ...method,
    model: opened.model,
    scoreThreshold,
    limit,
    minArea,
    masks,
    signal,
    onProgress: batch.total === 1 ? progress.update : undefined,
  }
  const { device, dtype } = opened.model.info
  const work = async ({ picture, outputs }: Job<'overlay'>) => {
    using found = await detect(picture.input, classes, options)
    const { overlay } = outputs
    if (overlay !== undefined) {
      const png = await found.toPNG({ overlay: true })
      await write(overlay, png).catch(batch.endWith)
    }
    const image = picture.name
    return flags.json
      ? JSON.stringify({ image, ...found.toJSON(), model: opened.source, device, dtype, outputs })
      : textReport(image, found, overlay)
  }
  await batch.take(ahead(batch.jobs.values(), work, { limit: picturesInFlight() }))
}

/** @throws DeclipError where there are none: only a detector has words of its own */
async function classesOf(flags: DetectFlags): Promise<string[][]> {
  if (flags.classes !== undefined || flags.classesFile !== undefined) return readClasses(flags)
  throw usage(
    'Classes are missing, and only a detector checkpoint has words of its own; give --classes "dog; cup" or --classes-file.',
  )
}

async function write(path: string, bytes: Uint8Array): Promise<void> {
  await makeFolderOf(path)
  await writeFileAtomic(path, bytes)
}

/** A table: class, score, left, top, width and height. */
function textReport(image: string, found: Detections, overlay: string | undefined): string {
  const { width, height, timings } = found
  const { objects } = found.toJSON()
  const time = Math.round(timings.totalMs ?? timings.encodeMs + timings.pixelsMs)
  const count = `${objects.length} ${objects.length === 1 ? 'object' : 'objects'}`
  const names = Math.max(0, ...objects.map(({ class: name }) => name.length))
  const rows = objects.map(({ class: name, score, box: [x1, y1, x2, y2] }) => {
    const numbers = [x1, y1, x2 - x1, y2 - y1].map(value => String(Math.round(value)).padStart(6))
    return `  ${name.padEnd(names)}  ${`${(100 * score).toFixed(1)} %`.padStart(7)}${numbers.join('')}`
  })
  const head = `  ${'class'.padEnd(names)}  ${'score'.padStart(7)}     x     y width height`
  return [
    `${image}  ${width} x ${height}, ${count}, ${time} ms`,
    ...(objects.length > 0 ? [head, ...rows] : []),
    ...(overlay === undefined ? [] : [`  overlay written to ${overlay}`]),
  ].join('\n')
}
