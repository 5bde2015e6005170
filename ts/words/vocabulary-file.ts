import { nativePath } from '../base/native-path.js'
import type { NativeAddon, NativeTensor } from '../engine/addon-types.js'
import { callNative } from '../engine/call-native.js'
import { DeclipError, describe } from '../errors.js'
import type { TemplateSetName } from '../text/templates.js'

const FILE_FORMAT = 'declip-native vocabulary 1'

/** What a vocabulary file says beside its features. @internal */
export interface VocabularyFields {
  classes: readonly string[]
  words: readonly string[]
  wordClass: readonly number[]
  background: number
  templates: TemplateSetName | readonly string[]
  modelKey: string
  /** Of the text tower's weights. */
  fingerprint?: string | undefined
  /** Of a tokenizer that is not CLIP's. */
  tokenizer?: string | undefined
  /** Features that were made elsewhere: which model they are of is not known, and there is no probe. */
  given?: boolean | undefined
  /** See TextModel. */
  space?: 'talk2dino' | undefined
}

type Addon = Pick<NativeAddon, 'CancelToken' | 'tensor' | 'readSafetensors' | 'writeSafetensors'>

/**
 * Reads a vocabulary: features [Q, D] row by row and probe [D], all finite.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG for a file that is none
 * @internal
 */
export async function readVocabularyFile(
  addon: Addon,
  path: string,
  signal: AbortSignal | undefined,
): Promise<{ fields: VocabularyFields; features: Float32Array; probe?: Float32Array }> {
  const { tensors, metadata } = await callNative(addon, { signal }, call =>
    addon.readSafetensors({ ...call, path: nativePath(path) }),
  )
  try {
    const fields = parseFields(path, metadata)
    const features = await floats(path, 'features', tensors['features'])
    const { shape } = tensors['features'] as NativeTensor
    const probe = fields.given ? undefined : await floats(path, 'probe', tensors['probe'])
    const width = probe?.length ?? shape[1]
    if (shape[0] !== fields.words.length || shape[1] !== width || shape.length !== 2) {
      const expected = `[${fields.words.length}, ${width}]`
      throw damaged(path, `features must be ${expected}, found [${shape.join(', ')}]`)
    }
    return { fields, features, ...(probe && { probe }) }
  } finally {
    for (const read of Object.values(tensors)) read.dispose()
  }
}

/** Writes one, whole or not at all. @internal */
export async function writeVocabularyFile(
  addon: Addon,
  path: string,
  content: {
    fields: VocabularyFields
    features: NativeTensor
    /** None of features that were given. */
    probe?: Float32Array | undefined
  },
  signal: AbortSignal | undefined,
): Promise<void> {
  const { fields, features } = content
  const probe = content.probe && addon.tensor(content.probe, [1, content.probe.length], 'float32')
  try {
    await callNative(addon, { signal }, call =>
      addon.writeSafetensors({
        ...call,
        path,
        tensors: { features, ...(probe && { probe }) },
        metadata: { format: FILE_FORMAT, vocabulary: JSON.stringify(fields) },
      }),
    )
  } finally {
    probe?.dispose()
  }
}

/** The checked content of a vocabulary file's metadata. */
function parseFields(path: string, metadata: Readonly<Record<string, string>>): VocabularyFields {
  if (metadata['format'] !== FILE_FORMAT) {
    throw damaged(
      path,
      `metadata.format must be '${FILE_FORMAT}', found ${describe(metadata['format'])}`,
    )
  }
  let json: unknown
  try {
    json = JSON.parse(metadata['vocabulary'] ?? '')
  } catch (cause) {
    throw damaged(path, 'metadata.vocabulary is not JSON', cause)
  }
  const fields = (json ?? {}) as Partial<Record<keyof VocabularyFields, unknown>>
  const { classes, words, wordClass, background, templates, modelKey } = fields
  const { fingerprint, tokenizer, given, space } = fields
  const require = (holds: boolean, problem: string) => {
    if (!holds) throw damaged(path, problem)
  }
  require(isTexts(classes), 'classes must be a list of names')
  require(isTexts(words), 'words must be a list of words')
  const count = (classes as string[]).length
  const isClass = (c: unknown) => Number.isInteger(c) && (c as number) >= 0 && (c as number) < count
  require(Array.isArray(wordClass) &&
    wordClass.length === (words as string[]).length &&
    wordClass.every(isClass), `wordClass must give a class, 0 to ${count - 1}, for every word`)
  require(background === -1 || isClass(background), `background must be -1 to ${count - 1}`)
  require(typeof templates === 'string' ||
    isTexts(templates), 'templates must be a name or prompts')
  require(typeof modelKey === 'string', 'modelKey must be a string')
  require(fingerprint === undefined ||
    typeof fingerprint === 'string', 'fingerprint must be a string')
  require(tokenizer === undefined || typeof tokenizer === 'string', 'tokenizer must be a string')
  require(given === undefined || typeof given === 'boolean', 'given must be true or false')
  require(space === undefined || space === 'talk2dino', "space must be 'talk2dino'")
  return {
    classes,
    words,
    wordClass,
    background,
    templates,
    modelKey,
    fingerprint,
    tokenizer,
    given,
    space,
  } as VocabularyFields
}

const isTexts = (value: unknown): boolean =>
  Array.isArray(value) &&
  value.length > 0 &&
  value.every(text => typeof text === 'string' && text !== '')

/** A float32 tensor's values, all finite. */
async function floats(
  path: string,
  name: string,
  tensor: NativeTensor | undefined,
): Promise<Float32Array> {
  if (!tensor) throw damaged(path, `there is no tensor '${name}'`)
  if (tensor.dtype !== 'float32')
    throw damaged(path, `${name} must be float32, found ${tensor.dtype}`)
  const values = new Float32Array(await tensor.data())
  if (!values.every(Number.isFinite))
    throw damaged(path, `${name} holds values that are not finite`)
  return values
}

function damaged(path: string, problem: string, cause?: unknown): DeclipError {
  return new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `${path} is not a usable vocabulary: ${problem}.`,
    {
      cause,
    },
  )
}
