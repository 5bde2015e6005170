import { createHash } from 'node:crypto'
import { until } from '../base/abort.js'
import type { Call } from '../base/call.js'
import type { NativeAddon, NativeModel } from '../engine/addon-types.js'
import { callNative } from '../engine/call-native.js'
import type { Tensor } from '../engine/tensor.js'
import { DeclipError, toDeclipError } from '../errors.js'
import type { TemplateSetName } from '../text/templates.js'
import { expandTemplates, templateList } from '../text/templates.js'
import type { TextTokenizer } from '../text/text-tokenizer.js'

/** What the text side needs of a loaded model. @internal */
export interface TextModel {
  readonly addon: Pick<
    NativeAddon,
    'CancelToken' | 'tensor' | 'mixText' | 'readSafetensors' | 'writeSafetensors'
  >
  readonly native: Pick<NativeModel, 'encodeWords'> & {
    readonly info: Pick<NativeModel['info'], 'family' | 'embedDim' | 'text' | 'textFingerprint'>
  }
  readonly tokenizer: Pick<TextTokenizer, 'tokenize' | 'ready' | 'key'>
  /** Whose space its features are in where no text tower has it: a DINOv2's, through Talk2DINO's projection. */
  readonly space?: 'talk2dino' | undefined
}

/** A model that puts texts and pictures into one space: what {@link loadModel} gives for a CLIP. */
export interface TextSide {
  /** See {@link Model.encodeText}. */
  encodeText(texts: string | readonly string[]): Promise<Tensor>
  /** @internal */
  readonly textModel: TextModel
}

/** A text to encode and what it is called in errors, such as "class 'cat'". @internal */
export interface NamedText {
  readonly text: string
  readonly owner: string
}

/** Words per native call: bounds the token table and how long the event loop is busy with it. */
const WORDS_PER_CALL = 32

/** Features kept per model; at 768 floats a word this is 12 MB. */
const CACHED_WORDS = 4096

/** Least recently used first. Key: templates and word; value: [D]. */
const caches = new WeakMap<object, Map<string, Float32Array>>()

/**
 * The feature of every text: the mean of its normalised prompt features, normalised.
 *
 * @param texts - Q words, synonyms or definitions.
 * @returns Q arrays [D]; shared with the cache, not to be written to.
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG naming the owner of a text that is longer than
 *   the model's context, ERR_DECLIP_WEIGHTS for a checkpoint without a text tower.
 * @internal
 */
export async function encodeTexts(
  model: TextModel,
  texts: readonly NamedText[],
  templates: TemplateSetName | readonly string[],
  call: Call = {},
): Promise<Float32Array[]> {
  const cache = cacheOf(model.native)
  const prefix = createHash('sha256')
    .update(JSON.stringify(typeof templates === 'string' ? templates : templateList(templates)))
    .digest('base64')
  const found = new Map<string, Float32Array>()
  const missing = new Map<string, NamedText>()
  for (const named of texts) {
    const known = cache.get(prefix + named.text)
    if (known) found.set(named.text, known)
    else if (!missing.has(named.text)) missing.set(named.text, named)
  }

  const todo = [...missing.values()]
  const reading = todo.length > 0 ? model.tokenizer.ready?.() : undefined
  if (reading) await until(reading, call.signal)
  for (let start = 0; start < todo.length; start += WORDS_PER_CALL) {
    const chunk = todo.slice(start, start + WORDS_PER_CALL)
    const rows = await encodeChunk(model, chunk, templates, call)
    for (const [i, { text }] of chunk.entries()) found.set(text, rows[i] as Float32Array)
    call.onProgress?.({ step: 'text', done: start + chunk.length, total: todo.length })
  }

  for (const [text, feature] of found) remember(cache, prefix + text, feature)
  return texts.map(({ text }) => found.get(text) as Float32Array)
}

async function encodeChunk(
  model: TextModel,
  chunk: readonly NamedText[],
  templates: TemplateSetName | readonly string[],
  call: Call,
): Promise<Float32Array[]> {
  const tower = model.native.info.text
  if (!tower) {
    throw new DeclipError(
      'ERR_DECLIP_WEIGHTS',
      'This checkpoint has no text tower, so it cannot encode words; load one that has both towers.',
    )
  }
  const { contextLength } = tower
  const prompts = templateList(templates).length
  const ids = new Int32Array(chunk.length * prompts * contextLength)
  for (const [i, named] of chunk.entries()) {
    ids.set(tokenize(model, named, templates, contextLength), i * prompts * contextLength)
  }

  const tokens = model.addon.tensor(ids, [chunk.length * prompts, contextLength], 'int32')
  try {
    const features = await callNative(model.addon, { ...call, onProgress: undefined }, native =>
      model.native.encodeWords({ ...native, tokens, templates: prompts }),
    )
    const flat = new Float32Array(await features.data())
    features.dispose()
    const width = flat.length / chunk.length
    return chunk.map((_, i) => flat.slice(i * width, (i + 1) * width))
  } finally {
    tokens.dispose()
  }
}

function tokenize(
  model: TextModel,
  { text, owner }: NamedText,
  templates: TemplateSetName | readonly string[],
  contextLength: number,
): Int32Array {
  try {
    const prompts = expandTemplates(templates, text)
    return model.tokenizer.tokenize(prompts, { contextLength, truncate: false }).data
  } catch (error) {
    const { code, message } = toDeclipError(error)
    const why = message.includes('contextLength')
      ? `with its prompt it has more than the ${contextLength} tokens that this model reads. Words are not cut: shorten it, or give templates: 'none'.`
      : message
    throw new DeclipError(code, `The text of ${owner} cannot be encoded: ${why}`, { cause: error })
  }
}

function cacheOf(model: object): Map<string, Float32Array> {
  let cache = caches.get(model)
  if (!cache) {
    cache = new Map()
    caches.set(model, cache)
  }
  return cache
}

/** Puts an entry last and drops the first ones over the bound. */
function remember(cache: Map<string, Float32Array>, key: string, feature: Float32Array): void {
  cache.delete(key)
  cache.set(key, feature)
  for (const oldest of cache.keys()) {
    if (cache.size <= CACHED_WORDS) break
    cache.delete(oldest)
  }
}
