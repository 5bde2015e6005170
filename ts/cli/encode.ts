import { type Command, Option } from 'commander'
import { DENSE_MODES, type DenseMode } from '../base/names.js'
import { callNative } from '../engine/call-native.js'
import { loadAddon } from '../engine/load-addon.js'
import type { Tensor } from '../engine/tensor.js'
import type { ImageInput } from '../image/decode.js'
import type { Model } from '../model/model.js'
import { Batch } from './pictures.js'
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
export interface EncodeFlags extends ModelFlags {
  text?: string[]
  dense?: boolean
  mode?: DenseMode
  proxyModel?: string
  normalize: boolean
  out?: string
  json?: boolean
}

/** Adds `declip encode`. */
export function addEncode(program: Command, run: Run): void {
  const command = program
    .command('encode')
    .summary('write the features of a picture or of texts')
    .description('Computes the features of a picture, of its patches or of texts.')
    .argument('[image]', "a picture, or '-' for standard input")
    .option('--text <text...>', 'texts instead of a picture: features [texts, D]')
    .option('--dense', 'features of every patch [1, D, h, w] instead of one vector [1, D]')
    .addOption(
      new Option('--mode <mode>', 'with --dense: how the last block makes them').choices(
        DENSE_MODES,
      ),
    )
    .option(
      '--proxy-model <source>',
      'with --mode proxyclip: checkpoint of a DINO, DINOv2 or SAM that its attention comes from',
    )
    .option('--no-normalize', 'do not scale features to length 1')
  addModelOptions(command)
    .optionsGroup('Output:')
    .option('--out <file>', 'write a safetensors file with the tensor "features"')
    .option('--json', 'print { shape, dtype, data, model }, data row by row')
    .addHelpText(
      'after',
      examples(
        'declip encode --text "a photo of a cat" "a photo of a sofa" --json',
        `declip encode ${examplePicture('table.png')} --dense --mode csa --out features.safetensors`,
      ),
    )
    .action((image: string | undefined, flags: EncodeFlags) => encode(image, flags, run))
}

/** Checks how options go together. */
export function checkEncodeFlags(image: string | undefined, flags: EncodeFlags): void {
  if ((image === undefined) === (flags.text === undefined)) {
    throw usage('Give one of the two: a picture, or --text.')
  }
  if (flags.text && flags.dense) throw usage('--dense needs a picture, not --text.')
  if (flags.mode && !flags.dense) throw usage('--mode needs --dense.')
  if (flags.proxyModel && flags.mode !== 'proxyclip') {
    throw usage('--proxy-model needs --mode proxyclip.')
  }
  if (flags.out === undefined && !flags.json) throw usage('Give --out <file>, --json or both.')
  if (flags.out !== undefined && !flags.out.endsWith('.safetensors')) {
    throw usage(`--out writes .safetensors files, received '${flags.out}'.`)
  }
}

async function encode(image: string | undefined, flags: EncodeFlags, run: Run): Promise<void> {
  checkEncodeFlags(image, flags)
  const input = image === undefined ? undefined : await onePicture(image, run)
  using opened = await openModel(flags, run)
  using features = await encodeInput(opened.model, input, flags, run)
  if (flags.out !== undefined) await save(features, flags.out, run)
  if (flags.json) {
    const { shape, dtype } = features
    const data = Array.from(await features.data(), Number)
    run.print(JSON.stringify({ shape, dtype, data, model: opened.source }))
  } else {
    run.print(`features [${features.shape.join(', ')}] written to ${flags.out}`)
  }
}

async function onePicture(image: string, run: Run): Promise<ImageInput> {
  const { pictures } = await Batch.open([image], run)
  const [picture] = pictures
  if (picture && pictures.length === 1) return picture.input
  throw usage(`encode takes one picture; '${image}' holds ${pictures.length}.`)
}

function encodeInput(
  model: Model,
  image: ImageInput | undefined,
  { text = [], dense, mode, proxyModel, normalize }: EncodeFlags,
  { signal, progress }: Run,
): Promise<Tensor> {
  // Left to the model unless told: a foundation model's features keep their length.
  const options = {
    normalize: normalize ? undefined : false,
    signal,
    onProgress: progress.update,
  }
  if (image === undefined) return model.encodeText(text, options)
  if (!dense) return model.encodeImage(image, options)
  const proxy = proxyModel === undefined ? undefined : { model: proxyModel }
  return model.encodeDense(image, { ...options, mode, proxy })
}

function save(features: Tensor, path: string, { signal }: Run): Promise<void> {
  const addon = loadAddon()
  const tensors = { features: features.native }
  return callNative(addon, { signal }, call =>
    addon.writeSafetensors({ ...call, path, tensors, metadata: {} }),
  )
}
