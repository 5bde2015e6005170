import { readdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type CallOptions, checkCall } from '../base/call.js'
import { checkFields } from '../base/field.js'
import type { NativeConfig } from '../engine/addon-types.js'
import { callNative } from '../engine/call-native.js'
import { prepareAddon } from '../engine/load-addon.js'
import { invalid } from '../errors.js'
import { sourceOrDefault } from '../hub/default-model.js'
import { resolveSource } from '../hub/resolve-source.js'
import { isFoundation } from '../methods/proxy.js'
import { defaultTokenizer, Tokenizer } from '../text/tokenizer.js'
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
  checkCall(options)
  checkFields(options, LOAD_FIELDS)
  const { device = 'auto', dtype = 'auto' } = options
  const config = toNativeConfig(options.config)
  const addon = await prepareAddon()
  const { path, name, license } = await resolveSource(await sourceOrDefault(source), options)
  const native = await callNative(addon, options, call =>
    addon.loadModel({ ...call, path, config: { ...config, name }, device, dtype }),
  )
  try {
    const { family, format } = native.info
    const tokenizer = isFoundation(family) ? undefined : await tokenizerFor(path, format)
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
  checkCall(options)
  const config = toNativeConfig(options.config)
  const addon = await prepareAddon()
  const { path, name, license } = await resolveSource(source, options)
  const info = await callNative(addon, options, call =>
    addon.inspect({ ...call, path, config: { ...config, name } }),
  )
  return describeCheckpoint(info, license)
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

/** The tokenizer files of a Hugging Face folder where it has them, else CLIP's own vocabulary. @internal */
export async function tokenizerFor(path: string, format: string): Promise<Tokenizer> {
  if (format === 'huggingface') {
    const folder = (await stat(path)).isDirectory() ? path : dirname(path)
    const files = await readdir(folder)
    const bringsOwn = files.some(name => name === 'vocab.json' || name === 'tokenizer.json')
    if (bringsOwn) return Tokenizer.fromFolder(folder)
  }
  return defaultTokenizer(format === 'open_clip' ? 'open_clip' : 'openai')
}

function toNativeConfig(config: ConfigOptions = {}): NativeConfig {
  if (typeof config !== 'object' || config === null) throw invalid('config', 'an object', config)
  checkFields(config, CONFIG_FIELDS, 'config.')
  const { headWidth, textHeads, activation, textActivation, layerNormEps, preprocess } = config
  return { headWidth, textHeads, activation, textActivation, layerNormEps, ...preprocess }
}
