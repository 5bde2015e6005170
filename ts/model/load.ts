import { readdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Call, CallOptions } from '../base/call.js'
import { checkFields } from '../base/field.js'
import type { NativeConfig } from '../engine/addon-types.js'
import { admit } from '../engine/admission.js'
import { callNative } from '../engine/call-native.js'
import { loadAddon, prepareAddon } from '../engine/load-addon.js'
import { DeclipError, invalid } from '../errors.js'
import { sourceOrDefault } from '../hub/default-model.js'
import { type ResolvedSource, resolveSource } from '../hub/resolve-source.js'
import { openClipOf } from '../text/folder-kind.js'
import { FolderTokenizer, type TextTower } from '../text/folder-tokenizer.js'
import type { TextTokenizer } from '../text/text-tokenizer.js'
import { clipTokenizerOf, defaultTokenizer, Tokenizer } from '../text/tokenizer.js'
import { hintBfloat16 } from './bfloat16-hint.js'
import { CONFIG_FIELDS, LOAD_FIELDS } from './fields.js'
import { type CheckpointInfo, describeCheckpoint } from './info.js'
import { keptModel } from './kept-models.js'
import { Model } from './model.js'
import type { ConfigOptions, LoadOptions } from './options.js'

/**
 * Loads a checkpoint: a file or folder, a Hugging Face id (downloaded to its cache, only here), or
 * the bundled model's name. Nothing in a checkpoint is executed.
 *
 * @param source - default: DECLIP_MODEL, else what `declip model use` has kept, else the bundled model, with
 * a warning of code 'DECLIP_BUNDLED_MODEL'
 * @param options - where no `dtype` is named and bfloat16 would be faster on this processor, a warning of code
 * 'DECLIP_BFLOAT16_FASTER' says so once
 * @throws {@link DeclipError} ERR_DECLIP_WEIGHTS, ERR_DECLIP_IO, ERR_DECLIP_NETWORK, ERR_DECLIP_DEVICE,
 * ERR_DECLIP_INVALID_ARG, ERR_DECLIP_ABORTED, ERR_DECLIP_ADDON_NOT_FOUND, ERR_DECLIP_LIBTORCH
 *
 * @example
 * ```ts
 * const model = await loadModel('openai/clip-vit-base-patch16', { dtype: 'bfloat16' })
 * console.log(model.info.device, model.info.deviceReason)
 * ```
 */
export async function loadModel(source?: string | URL, options: LoadOptions = {}): Promise<Model> {
  const model = await admit(
    options,
    async call => {
      checkFields(call, LOAD_FIELDS)
      return load(async () => resolveSource(await sourceOrDefault(source), call), call)
    },
    { counts: false },
  )
  hintBfloat16(options.dtype, model.info, loadAddon().runtime())
  return model
}

/**
 * The model at a place that was found before: what is loaded is what was looked at there.
 *
 * @internal
 */
export function loadResolved(found: ResolvedSource, options: LoadOptions = {}): Promise<Model> {
  return load(async () => found, options)
}

async function load(
  find: () => Promise<ResolvedSource>,
  options: Call & LoadOptions,
): Promise<Model> {
  const { device = 'auto', dtype = 'auto' } = options
  const config = toNativeConfig(options.config)
  const addon = await prepareAddon()
  const { path, name, license } = await find()
  const native = await callNative(addon, options, call =>
    addon.loadModel({ ...call, path, config: { ...config, name }, device, dtype }),
  )
  try {
    const { info } = native
    const tokenizer = info.textSpace ? await tokenizerFor(path, info) : undefined
    return new Model({ native, tokenizer, license, loadProxy: modelNamed })
  } catch (error) {
    native.dispose()
    throw error
  }
}

/**
 * Reads what a checkpoint is without keeping its weights.
 *
 * @param source - as for {@link loadModel}
 * @throws {@link DeclipError} as {@link loadModel}
 */
export async function inspectCheckpoint(
  source: string | URL,
  options: CallOptions & { config?: ConfigOptions | undefined } = {},
): Promise<CheckpointInfo> {
  return admit(
    options,
    async call => {
      const config = toNativeConfig(call.config)
      const addon = await prepareAddon()
      const { path, name, license } = await resolveSource(source, call)
      const info = await callNative(addon, call, job =>
        addon.inspect({ ...job, path, config: { ...config, name } }),
      )
      return describeCheckpoint(info, license)
    },
    { counts: false },
  )
}

/**
 * The model of a source, loaded at the first call that names it and kept for those that follow.
 * The caller's signal does not reach it: other calls may wait for the same model.
 *
 * @internal
 */
export function modelNamed(source: string, options: LoadOptions): Promise<Model> {
  const { device = 'auto', dtype = 'auto', onProgress } = options
  return keptModel(source, device, dtype, () => loadModel(source, { device, dtype, onProgress }))
}

/**
 * The tokenizer that makes a checkpoint's texts: CLIP's own vocabulary, or the files beside the weights, which those
 * that are not CLIP's read when words are first needed.
 *
 * @throws DeclipError ERR_DECLIP_WEIGHTS for files that are no CLIP tokenizer's, and for a text tower that
 * looks for another end of a text than the tokenizer makes
 * @internal
 */
export async function tokenizerFor(
  path: string,
  { tokenizer: kind, text }: Pick<CheckpointInfo, 'tokenizer' | 'text'>,
): Promise<TextTokenizer> {
  const tower = text ?? undefined
  const contextLength = text?.contextLength ?? 77
  switch (kind) {
    case 'siglip':
    case 'siglip2':
    case 'xlm-v':
    case 'tips':
      return new FolderTokenizer(kind, await folderOf(path), { contextLength, tower })
    case 'open_clip':
    case 'open_clip-folder':
      return openClipTokenizer(path, contextLength, tower)
    default: {
      const folder = kind === 'folder' ? await tokenizerFolder(path) : undefined
      const tokenizer = folder ? await clipTokenizerOf(folder) : defaultTokenizer()
      return checkedEnd(path, tokenizer, tower, folder)
    }
  }
}

/** As open_clip_config.json beside the weights says; CLIP's without one. */
async function openClipTokenizer(
  path: string,
  contextLength: number,
  tower: TextTower | undefined,
): Promise<TextTokenizer> {
  const folder = await folderOf(path)
  let choice: Awaited<ReturnType<typeof openClipOf>>
  try {
    choice = await openClipOf(folder)
  } catch (error) {
    return refusing(error, contextLength) // pictures can be encoded all the same
  }
  const { own = false, clean = 'lower' } = choice ?? {}
  if (own) {
    return new FolderTokenizer('open_clip-folder', folder, { contextLength, tower, clean })
  }
  const tokenizer =
    clean === 'lower'
      ? defaultTokenizer('open_clip')
      : new Tokenizer({ specialTokens: 'open_clip', clean })
  try {
    return checkedEnd(path, tokenizer, tower, undefined)
  } catch (error) {
    return refusing(error, contextLength)
  }
}

/** Throws at the first text. */
function refusing(error: unknown, contextLength: number): TextTokenizer {
  const refuse = () => {
    throw error
  }
  return { contextLength, padId: 0, encode: refuse, tokenize: refuse }
}

function checkedEnd(
  path: string,
  tokenizer: Tokenizer,
  tower: TextTower | undefined,
  folder: string | undefined,
): Tokenizer {
  const wanted = tower?.endToken ?? tokenizer.endId
  if (wanted === tokenizer.endId) return tokenizer
  throw new DeclipError(
    'ERR_DECLIP_WEIGHTS',
    `${path}: its configuration pools token ${wanted} (eos_token_id), and ${folder ? `the tokenizer in ${folder}` : "CLIP's tokenizer"} ends a text with ${tokenizer.endId}. Put the model's own tokenizer files beside its weights, or correct the configuration.`,
  )
}

async function folderOf(path: string): Promise<string> {
  return (await stat(path)).isDirectory() ? path : dirname(path)
}

/** The folder of a checkpoint, if it holds a tokenizer. */
async function tokenizerFolder(path: string): Promise<string | undefined> {
  const folder = await folderOf(path)
  const files = await readdir(folder)
  const bringsOwn = files.some(name => name === 'vocab.json' || name === 'tokenizer.json')
  return bringsOwn ? folder : undefined
}

function toNativeConfig(config: ConfigOptions = {}): NativeConfig {
  if (typeof config !== 'object' || config === null) throw invalid('config', 'an object', config)
  checkFields(config, CONFIG_FIELDS, 'config.')
  const { preprocess, ...numbers } = config
  const { headWidth, textHeads, decoderHeads, activation, textActivation, layerNormEps } = numbers
  return {
    headWidth,
    textHeads,
    decoderHeads,
    activation,
    textActivation,
    layerNormEps,
    ...preprocess,
  }
}
