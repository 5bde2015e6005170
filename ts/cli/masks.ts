import { extname } from 'node:path'
import { type Command, Option } from 'commander'
import { ahead } from '../base/ahead.js'
import type { CallOptions } from '../base/call.js'
import { writeFileAtomic } from '../base/files.js'
import { picturesInFlight } from '../engine/in-flight.js'
import { DeclipError } from '../errors.js'
import { toRegionMap } from '../masks/provider.js'
import { encodeNpz } from '../masks/write-npz.js'
import type { GeneratedMasks } from '../model/generate-masks.js'
import { vocColor } from '../result/palette.js'
import { encodeLabelPng } from '../result/png.js'
import { addBatchOptions, Batch, type BatchFlags, type Job } from './batch.js'
import { addGeneratorOptions, type GeneratorFlags, generatorOptions } from './mask-options.js'
import {
  addPromptOptions,
  describeMasks,
  hasPrompts,
  type PromptFlags,
  readPrompts,
  writeMasks,
} from './mask-prompts.js'
import { makeFolderOf, outputFolders, planOutputs } from './outputs.js'
import { PICTURES_ARGUMENT, type Picture } from './pictures.js'
import { addModelOptions, examples, type ModelFlags, openModel, type Run, usage } from './shared.js'

/** Files that masks are written as. */
const FORMATS = ['png', 'npz', 'json'] as const
type Format = (typeof FORMATS)[number]

/** Options of `declip masks` as commander gives them. */
export interface MasksFlags extends ModelFlags, BatchFlags, GeneratorFlags, PromptFlags {
  out?: string
  format?: Format
}

/** Labels of a PNG of 8 bits. */
const LABELS_OF_8_BITS = 256
const LABELS_OF_16_BITS = 65536

/** Adds `declip masks`. */
export function addMasks(program: Command, run: Run): void {
  const command = program
    .command('masks')
    .summary('find the masks of whatever is in a picture, without words (SAM)')
    .description(
      "Makes Segment Anything's automatic masks. --model must be a SAM with its prompt encoder and mask decoder.",
    )
    .argument('[image...]', PICTURES_ARGUMENT)
  addBatchOptions(command, true)
  addModelOptions(command)
  addGeneratorOptions(command)
  addPromptOptions(command)
  command
    .optionsGroup('Output:')
    .option(
      '--out <file>',
      'write the masks: a file name, a folder, or a name with {name} in it; its ending says the format',
    )
    .addOption(
      new Option(
        '--format <format>',
        'png and npz: a map of regions, 0 outside, larger masks over smaller ones; json: every mask as COCO run lengths. Default: png',
      ).choices(FORMATS),
    )
    .option('--json', 'print one JSON object per picture and line, with every mask')
    .addHelpText(
      'after',
      examples(
        'declip masks photo.jpg --model sam_vit_b_01ec64.pth --out photo-masks.png',
        'declip masks photo.jpg --model sam_vit_b_01ec64.pth --point 320,240 --point 400,250,0 --out cup.png --json',
        'declip masks photos/ --recursive --model sam_vit_b_01ec64.pth --points-per-side 16 --out masks/ --format npz --skip-existing',
        'declip masks photos/ --model facebook/sam-vit-base --preset corrclip-8 --out masks/ --shard 1/6 --errors failed.jsonl',
      ),
    )
    .action((images: string[], flags: MasksFlags) => makeMasks(images, flags, run))
}

async function makeMasks(given: string[], flags: MasksFlags, run: Run): Promise<void> {
  const { signal, progress } = run
  if (flags.out === undefined && !flags.json) throw usage('Give --out <file>, --json or both.')
  if (flags.model === undefined) {
    throw usage(
      'Give --model: a SAM with its prompt encoder and mask decoder, such as sam_vit_b_01ec64.pth or facebook/sam-vit-base.',
    )
  }
  const format = formatOf(flags)
  const target = {
    kind: 'masks' as const,
    flag: 'out',
    extension: `.${format}`,
    inFolder: `{name}.${format}`,
    given: flags.out,
  }
  const plan = (pictures: readonly Picture[]) => planOutputs(pictures, [target])
  const batch = await Batch.open(given, { flags, plan, avoid: await outputFolders([target]) }, run)
  if (batch.jobs.length === 0) return
  using opened = await openModel(flags, run)
  const { model, source } = opened
  const prompts = hasPrompts(flags) ? readPrompts(flags) : undefined
  if (prompts && format !== 'png') {
    throw usage(
      '--point and --box write .png files, one for every mask; --json prints run lengths.',
    )
  }
  const options = generatorOptions(flags)
  const call = { signal, onProgress: batch.total === 1 ? progress.update : undefined }
  const work = async ({ picture, outputs }: Job<'masks'>) => {
    const start = performance.now()
    if (prompts) {
      using found = await model.masksAt(picture.input, { ...prompts, ...call })
      const ms = Math.round(performance.now() - start)
      const path = outputs.masks
      if (path !== undefined) await makeFolderOf(path).catch(batch.endWith)
      const out = path === undefined ? [] : await writeMasks(found, path).catch(batch.endWith)
      if (flags.json) {
        return JSON.stringify({ image: picture.name, ...found.toJSON(), ms, model: source, out })
      }
      return `${picture.name}  ${ms} ms\n${describeMasks(found)}\nwritten to ${out.join(', ')}`
    }
    const found = await model.masksAndSize(picture.input, { ...options, ...call })
    const ms = Math.round(performance.now() - start)
    const path = outputs.masks
    if (path !== undefined) {
      const bytes = await ENCODERS[format](found, { signal })
      await makeFolderOf(path).catch(batch.endWith)
      await writeFileAtomic(path, bytes).catch(batch.endWith)
    }
    const { name: image } = picture
    if (flags.json) return JSON.stringify({ image, ...found, ms, model: source, out: path })
    const { masks, size } = found
    return `${image}  ${size.width} x ${size.height}, ${masks.length} masks, ${ms} ms, written to ${path}`
  }
  await batch.take(ahead(batch.jobs.values(), work, { limit: picturesInFlight() }))
}

function formatOf({ format, out }: MasksFlags): Format {
  const ending = extname(out ?? '').slice(1)
  return format ?? FORMATS.find(one => one === ending) ?? 'png'
}

const ENCODERS: Readonly<
  Record<Format, (found: GeneratedMasks, call: CallOptions) => Promise<Uint8Array>>
> = {
  png: encodePng,
  npz: async (found, call) => {
    const map = await regionMap(found, call)
    try {
      const { width, height } = found.size
      return await encodeNpz('instance_mask', new Int32Array(await map.data()), [height, width])
    } finally {
      map.dispose()
    }
  },
  json: async ({ size, masks }) => Buffer.from(`${JSON.stringify({ ...size, masks })}\n`),
}

/** Masks from the smallest to the largest, numbered from 1 on. */
function regionMap({ size, masks }: GeneratedMasks, call: CallOptions) {
  const picture = {
    ...size,
    pixels: () => Promise.reject(new Error('The masks are there.')),
  }
  return toRegionMap({ masks: masks.map(({ rle }) => rle), order: 'area' }, picture, call)
}

async function encodePng(found: GeneratedMasks, call: CallOptions): Promise<Uint8Array> {
  const labels = found.masks.length + 1
  if (labels > LABELS_OF_16_BITS) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `A PNG has at most ${LABELS_OF_16_BITS - 1} regions, and there are ${labels - 1}; give --format npz, or higher thresholds.`,
    )
  }
  const map = await regionMap(found, call)
  const dtype = labels <= LABELS_OF_8_BITS ? 'uint8' : 'uint16'
  const small = await map.to({ dtype }).finally(() => map.dispose())
  try {
    const palette = Array.from({ length: LABELS_OF_8_BITS }, (_, i) => vocColor(i))
    return await encodeLabelPng(small, palette)
  } finally {
    small.dispose()
  }
}
