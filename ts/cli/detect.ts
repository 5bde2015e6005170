import type { Command } from 'commander'
import { ahead } from '../base/ahead.js'
import { writeFileAtomic } from '../base/files.js'
import { detect } from '../detect/detect.js'

import { DETECT_FIELDS, type DetectOptions } from '../detect/options.js'
import { picturesInFlight } from '../engine/in-flight.js'
import { countText } from '../masks/count-text.js'
import type { CocoResult, Detections } from '../result/detections.js'
import { addBatchOptions, Batch, type BatchFlags, type Job } from './batch.js'
import { addDetectorOptions, type DetectorFlags, detectorOptions } from './detector-options.js'
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
export interface DetectFlags
  extends ModelFlags,
    ClassFlags,
    MethodFlags,
    DetectorFlags,
    BatchFlags {
  scoreThreshold?: number
  limit?: number
  minArea?: number
  masks?: boolean
  overlay?: string
  coco?: string
}

/** Adds `declip detect`. */
export function addDetect(program: Command, run: Run): void {
  const command = program
    .command('detect')
    .summary('find the things that you name in a picture: boxes, scores, masks')
    .description(
      'Finds things by words and prints their boxes, the best first. A detector checkpoint (F-ViT) has words of its own, which are taken where none are given. With any other model every connected region of a class is an object; where none of the classes is the background, common words (sky, wall, road, ...) are put against them, and --background none leaves these out.',
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
  addDetectorOptions(command)
  command
    .optionsGroup('Output:')
    .option('--overlay <file>', 'write the picture with boxes, masks, names and scores')
    .option('--masks', 'with --json and --coco: also the masks, as COCO run lengths')
    .option(
      '--coco <file>',
      "write the objects of all pictures as COCO's results: image_id is the number that a picture is called, else its name",
    )
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
  if (flags.masks && !flags.json && flags.coco === undefined) {
    throw usage('--masks needs --json, which prints them, or --coco, which writes them.')
  }
  if (flags.coco !== undefined && flags.skipExisting) {
    throw usage(
      '--coco writes one file for all pictures, and --skip-existing would leave some out.',
    )
  }
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
  const { scoreThreshold, limit, minArea, masks, overlay, coco } = flags
  const method = await methodOptions(flags, classes ?? [], { detector: true })
  using opened = await openModel(flags, run)
  const { detector } = opened.model.info
  if (detector === null) checkPlain(flags, classes)
  const { signal, progress } = run
  const options: DetectOptions = {
    ...method,
    ...detectorOptions(flags),
    model: opened.model,
    scoreThreshold,
    limit,
    minArea,
    // An overlay shows the masks that there are.
    masks: masks ?? ((overlay !== undefined && detector?.masks) || undefined),
    signal,
    onProgress: batch.total === 1 ? progress.update : undefined,
  }
  const { device, dtype } = opened.model.info
  const results = new Map<string, readonly CocoResult[]>()
  const work = async ({ picture, outputs }: Job<'overlay'>) => {
    using found = await detect(picture.input, classes, options)
    const { overlay } = outputs
    if (overlay !== undefined) {
      const png = await found.toPNG({ overlay: true })
      await write(overlay, png).catch(batch.endWith)
    }
    const image = picture.name
    if (coco !== undefined)
      results.set(picture.place, withTextCounts(found.toCoco(imageId(picture.place))))
    if (!flags.json) return textReport(image, found, overlay)
    const json = found.toJSON()
    const objects = masks ? json.objects : json.objects.map(({ mask: _, ...rest }) => rest)
    return JSON.stringify({ image, ...json, objects, model: opened.source, device, dtype, outputs })
  }
  const taking = batch.take(ahead(batch.jobs.values(), work, { limit: picturesInFlight() }))
  if (coco === undefined) return await taking
  // Pictures that failed are reported after the others are written.
  const outcome = await taking.then(
    () => undefined,
    (error: unknown) => ({ error }),
  )
  if (!signal.aborted) {
    const lines = batch.jobs.flatMap(({ picture }) => results.get(picture.place) ?? [])
    await write(coco, Buffer.from(`${JSON.stringify(lines)}\n`))
  }
  if (outcome) throw outcome.error
}

/** Undefined for the words that a detector stores. */
async function classesOf(flags: DetectFlags): Promise<string[][] | undefined> {
  const isGiven = flags.classes !== undefined || flags.classesFile !== undefined
  return isGiven ? readClasses(flags) : undefined
}

/** @throws DeclipError for what only a detector has */
function checkPlain({ textModel, method }: DetectFlags, classes: unknown): void {
  if (classes === undefined) {
    throw usage(
      'Classes are missing, and only a detector checkpoint has words of its own; give --classes "dog; cup" or --classes-file.',
    )
  }
  if (textModel !== undefined && method !== 'talk2dino') {
    throw usage('--text-model needs --method talk2dino, or a detector.')
  }
}

/** The picture's id in COCO's files, where it is called by it: 139 for 000000000139.jpg. */
function imageId(place: string): number | string {
  const stem = place.replace(/\.[^./\\]*$/, '')
  const name = stem.slice(stem.search(/[^/\\]*$/))
  return /^\d{1,15}$/.test(name) ? Number(name) : stem
}

/** Masks with pycocotools' compressed counts, as its files have them. */
function withTextCounts(results: readonly CocoResult[]): CocoResult[] {
  return results.map(({ segmentation, ...rest }) => {
    if (segmentation === undefined) return rest
    const { size, counts } = segmentation
    return {
      ...rest,
      segmentation: { size, counts: typeof counts === 'string' ? counts : countText(counts) },
    }
  })
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
