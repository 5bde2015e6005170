import { type Command, Option } from 'commander'
import { ahead } from '../base/ahead.js'
import type { CallOptions } from '../base/call.js'
import { DENSE_MODES, type DenseMode } from '../base/names.js'
import { callNative } from '../engine/call-native.js'
import { picturesInFlight } from '../engine/in-flight.js'
import { loadAddon } from '../engine/load-addon.js'
import type { Tensor } from '../engine/tensor.js'
import type { ImageInput } from '../image/decode.js'
import { CORRCLIP_FIELDS, SCCLIP_FIELDS } from '../methods/fields.js'
import { PROXY_MODES } from '../methods/proxy.js'
import type { Model } from '../model/model.js'
import { addBatchOptions, Batch, type BatchFlags, type Job } from './batch.js'
import { memberOptions, memberValues } from './field-options.js'
import { makeFolderOf, outputFolders, planOutputs } from './outputs.js'
import { PICTURES_ARGUMENT, type Picture } from './pictures.js'
import {
  addModelOptions,
  examplePicture,
  examples,
  type ModelFlags,
  openModel,
  type Run,
  usage,
} from './shared.js'

/** Options of `declip encode` as commander gives them. */
export interface EncodeFlags extends ModelFlags, BatchFlags {
  text?: string[]
  dense?: boolean
  mode?: DenseMode
  proxyModel?: string
  normalize: boolean
  out?: string
}

/** Adds `declip encode`. */
export function addEncode(program: Command, run: Run): void {
  const command = program
    .command('encode')
    .summary('write the features of pictures or of texts')
    .description('Computes the features of pictures, of their patches or of texts.')
    .argument('[image...]', PICTURES_ARGUMENT)
    .option('--text <text...>', 'texts instead of a picture: features [texts, D]')
    .option('--dense', 'features of every patch [1, D, h, w] instead of one vector [1, D]')
    .addOption(
      new Option('--mode <mode>', 'with --dense: how the last block makes them').choices(
        DENSE_MODES,
      ),
    )
    .option(
      '--proxy-model <source>',
      'with --mode proxyclip or corrclip: checkpoint of a DINO, DINOv2, DINOv3 or SAM that its attention comes from',
    )
    .option('--no-normalize', 'do not scale features to length 1')
  for (const option of [
    ...memberOptions('scclip', SCCLIP_FIELDS),
    ...memberOptions('corrclip', CORRCLIP_FIELDS),
  ]) {
    command.addOption(option)
  }
  addBatchOptions(command, true)
  addModelOptions(command)
    .optionsGroup('Output:')
    .option(
      '--out <file>',
      'write a safetensors file with the tensor "features"; of several pictures into a folder',
    )
    .option('--json', 'print { image, shape, dtype, data, model } per picture, data row by row')
    .addHelpText(
      'after',
      examples(
        'declip encode --text "a photo of a cat" "a photo of a sofa" --json',
        `declip encode ${examplePicture('table.png')} --dense --mode csa --out features.safetensors`,
        `declip encode "${examplePicture('*.png')}" --shard 1/6 --out features/ --skip-existing`,
      ),
    )
    .action((images: string[], flags: EncodeFlags) => encode(images, flags, run))
}

/** Checks how options go together. */
export function checkEncodeFlags(images: readonly string[], flags: EncodeFlags): void {
  const hasPictures = images.length > 0 || flags.from !== undefined
  if (hasPictures === (flags.text !== undefined)) {
    throw usage('Give one of the two: pictures, or --text.')
  }
  if (flags.text && flags.dense) throw usage('--dense needs a picture, not --text.')
  if (flags.mode && !flags.dense) throw usage('--mode needs --dense.')
  if (flags.proxyModel && !PROXY_MODES.some(mode => mode === flags.mode)) {
    throw usage(`--proxy-model needs --mode ${PROXY_MODES.join(' or ')}.`)
  }
  if (memberValues('scclip', SCCLIP_FIELDS, flags) && flags.mode !== 'scclip') {
    throw usage('Flags that begin with --scclip- need --mode scclip.')
  }
  if (memberValues('corrclip', CORRCLIP_FIELDS, flags) && flags.mode !== 'corrclip') {
    throw usage('Flags that begin with --corrclip- need --mode corrclip.')
  }
  if (flags.out === undefined && !flags.json) throw usage('Give --out <file>, --json or both.')
  if (flags.text && flags.out !== undefined && !flags.out.endsWith('.safetensors')) {
    throw usage(`--out writes .safetensors files, received '${flags.out}'.`)
  }
}

async function encode(images: string[], flags: EncodeFlags, run: Run): Promise<void> {
  checkEncodeFlags(images, flags)
  if (flags.text) await encodeTexts(flags.text, flags, run)
  else await encodePictures(images, flags, run)
}

async function encodeTexts(text: string[], flags: EncodeFlags, run: Run): Promise<void> {
  const { signal, progress } = run
  using opened = await openModel(flags, run)
  const { model, source } = opened
  const options = { normalize: normalizeOf(flags), signal, onProgress: progress.update }
  using features = await model.encodeText(text, options)
  if (flags.out !== undefined) await save(features, flags.out, run)
  run.print(await report(features, { model: source }, flags.json ? undefined : flags.out))
}

async function encodePictures(images: string[], flags: EncodeFlags, run: Run): Promise<void> {
  const { signal, progress } = run
  const target = {
    kind: 'features' as const,
    flag: 'out',
    extension: '.safetensors',
    inFolder: '{name}.safetensors',
    given: flags.out,
  }
  const plan = (pictures: readonly Picture[]) => planOutputs(pictures, [target])
  const avoid = await outputFolders([target])
  const batch = await Batch.open(images, { flags, plan, avoid }, run)
  if (batch.jobs.length === 0) return
  using opened = await openModel(flags, run)
  const { model, source } = opened
  const onProgress = batch.total === 1 ? progress.update : undefined
  const work = async ({ picture, outputs }: Job<'features'>) => {
    using features = await encodePicture(model, picture.input, flags, { signal, onProgress })
    const path = outputs.features
    if (path !== undefined) {
      await makeFolderOf(path).catch(batch.endWith)
      await save(features, path, run).catch(batch.endWith)
    }
    return report(features, { image: picture.name, model: source }, flags.json ? undefined : path)
  }
  await batch.take(ahead(batch.jobs.values(), work, { limit: picturesInFlight() }))
}

function encodePicture(
  model: Model,
  image: ImageInput,
  flags: EncodeFlags,
  call: CallOptions,
): Promise<Tensor> {
  const { dense, mode, proxyModel } = flags
  const options = { ...call, normalize: normalizeOf(flags) }
  if (!dense) return model.encodeImage(image, options)
  const proxy = proxyModel === undefined ? undefined : { model: proxyModel }
  const scclip = memberValues('scclip', SCCLIP_FIELDS, flags)
  const corrclip = memberValues('corrclip', CORRCLIP_FIELDS, flags)
  return model.encodeDense(image, { ...options, mode, proxy, scclip, corrclip })
}

/** Left to the model unless told: a foundation model's features keep their length. */
function normalizeOf({ normalize }: EncodeFlags): false | undefined {
  return normalize ? undefined : false
}

/** A line for people where a path was written, else JSON. */
async function report(
  features: Tensor,
  { image, model }: { image?: string; model: string },
  path: string | undefined,
): Promise<string> {
  const { shape, dtype } = features
  if (path !== undefined) return `features [${shape.join(', ')}] written to ${path}`
  const data = Array.from(await features.data(), Number)
  return JSON.stringify({ image, shape, dtype, data, model })
}

function save(features: Tensor, path: string, { signal }: Run): Promise<void> {
  const addon = loadAddon()
  const tensors = { features: features.native }
  return callNative(addon, { signal }, call =>
    addon.writeSafetensors({ ...call, path, tensors, metadata: {} }),
  )
}
