import { createHash } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { until } from '../base/abort.js'
import type { Call } from '../base/call.js'
import { ioError, toPath } from '../base/files.js'
import { nativePath } from '../base/native-path.js'
import type { NativeAddon, NativeModel, NativeTensor } from '../engine/addon-types.js'
import { callNative } from '../engine/call-native.js'
import { DeclipError, invalid } from '../errors.js'
import type { TextOptions } from '../methods/options.js'
import type { TextModel, TextSide } from './word-features.js'

/** Text sides through a projection: by the CLIP, then by the file and what it was then. */
const made = new WeakMap<object, Map<string, Promise<TextModel>>>()

/**
 * The text side of a DINOv2: words of a CLIP's text tower, brought into the DINOv2's space by Talk2DINO's
 * projection (arXiv 2411.19331). Made once for a model and a file.
 *
 * @param dino - whose patches the words are compared with
 * @param text - checked here; undefined: every word is refused, finished vocabularies are not
 * @throws DeclipError ERR_DECLIP_INVALID_ARG, ERR_DECLIP_IO, ERR_DECLIP_WEIGHTS for a file that is no such projection
 * @internal
 */
export async function projectedText(
  addon: NativeAddon,
  dino: TextModel,
  text: TextOptions | undefined,
  call: Call,
): Promise<TextModel> {
  if (text === undefined) return wordless(dino)
  const path = toPath('text.projection', text.projection ?? '')
  const clip = (text.model as Partial<TextSide> | undefined)?.textModel
  if (!clip?.native.info.text) {
    throw invalid(
      'text.model',
      'a CLIP with a text tower, loaded or as loadModel() takes it',
      clip?.native.info.family ?? text.model,
    )
  }
  const { size, mtimeMs } = await stat(path).catch(error => {
    throw ioError('read', path, error)
  })
  const all = made.get(clip.native) ?? new Map<string, Promise<TextModel>>()
  made.set(clip.native, all)
  const key = `${path}:${size}:${mtimeMs}`
  const known = all.get(key)
  const making = known ?? project(addon, clip, path)
  if (!known) {
    all.set(key, making)
    making.catch(() => all.delete(key))
  }
  // Others may wait for it, too.
  return fitting(await until(making, call.signal), dino, path)
}

async function project(addon: NativeAddon, clip: TextModel, path: string): Promise<TextModel> {
  const { weights, biases } = await callNative(addon, {}, job =>
    addon.readTextProjection({ ...job, path: nativePath(path) }),
  )
  const { info } = clip.native
  const width = (biases.at(-1) as NativeTensor).shape[0] as number
  const digest = createHash('sha256')
  for (const tensor of [...weights, ...biases]) digest.update(new Uint8Array(await tensor.data()))
  return {
    space: 'talk2dino',
    addon: clip.addon,
    tokenizer: clip.tokenizer,
    native: {
      info: {
        family: info.family,
        embedDim: width,
        text: info.text,
        textFingerprint: `${info.textFingerprint} ${digest.digest('base64')}`,
      },
      encodeWords: job =>
        addon.projectWords({ ...job, model: clip.native as NativeModel, weights, biases }),
    },
  }
}

function fitting(text: TextModel, dino: TextModel, path: string): TextModel {
  const { embedDim } = text.native.info
  if (embedDim === dino.native.info.embedDim) return text
  throw new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `${path} brings words into a space of ${embedDim} numbers, this ${dino.native.info.family} makes patches of ${dino.native.info.embedDim}: give the projection of its size (768 for ViT-B, 1024 for ViT-L).`,
  )
}

/** For vocabularies that are finished. */
function wordless(dino: TextModel): TextModel {
  const refuse = (): never => {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      "Method 'talk2dino' needs text: { model, projection } for words: a CLIP (ViT-B/16 for the authors' projections) and the file that brings its words into the space of this model. A Vocabulary that was made so needs neither.",
    )
  }
  return { ...dino, tokenizer: { key: undefined, tokenize: refuse, ready: refuse } }
}
