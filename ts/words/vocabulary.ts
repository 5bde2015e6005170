import type { CallOptions } from '../base/call.js'
import { warnOnce } from '../base/warn.js'
import type { NativeTensor } from '../engine/addon-types.js'
import { callNative } from '../engine/call-native.js'
import { Tensor } from '../engine/tensor.js'
import { DeclipError, describe, invalid } from '../errors.js'
import { itaclip } from '../methods/itaclip.js'
import {
  type ClassEntry,
  doubtAbout,
  parseClassList,
  readClassFile,
  readDefinitionFile,
} from '../text/class-files.js'
import { type AuxiliaryKind, askAll } from '../text/definitions.js'
import type { TemplateSetName } from '../text/templates.js'
import { templateList } from '../text/templates.js'
import type { AuxiliaryTexts, ClassList, VocabularyOptions } from './options.js'
import { encodeTexts, type NamedText, type TextModel, type TextSide } from './word-features.js'

/** Its feature tells text towers apart, whatever precision they run in. */
const PROBE = { text: 'a photo of an object.', owner: 'the probe' }

/** Cosine of two probes above which they come from the same tower, even in half precision. */
const SAME_TOWER = 0.99

const FILE_FORMAT = 'declip-native vocabulary 1'

interface Fields {
  classes: readonly string[]
  words: readonly string[]
  wordClass: readonly number[]
  background: number
  templates: TemplateSetName | readonly string[]
  modelKey: string
  /** Of the text tower; missing in files of earlier versions. */
  fingerprint?: string | undefined
}

/**
 * Classes as text features of one model: made once, used for any number of pictures, savable.
 *
 * @example
 * ```ts
 * const vocabulary = await model.vocabulary(['cat, feline', 'sofa', 'background'])
 * await vocabulary.save('pets.safetensors')
 * ```
 */
export class Vocabulary {
  /** Display name of every class: its first word. */
  readonly classes: readonly string[]
  /** All Q words: every class's name and synonyms, in class order. */
  readonly words: readonly string[]
  /** Class index of every word, [Q]. */
  readonly wordClass: Int32Array
  /** Index of the background class, -1 for none. */
  readonly background: number
  /** Word features [Q, D], float32; after mixing with definitions not of length 1. */
  readonly features: Tensor
  /** The prompts that were averaged: a built-in list's name, or the prompts. */
  readonly templates: TemplateSetName | readonly string[]
  /** Family and shape of the text tower. */
  readonly modelKey: string

  readonly #fingerprint: string | undefined
  readonly #probe: Float32Array | undefined
  readonly #addon: TextModel['addon']

  private constructor(
    fields: Fields,
    features: Tensor,
    probe: Float32Array | undefined,
    model: TextModel,
  ) {
    this.classes = Object.freeze([...fields.classes])
    this.words = Object.freeze([...fields.words])
    this.wordClass = Int32Array.from(fields.wordClass)
    this.background = fields.background
    this.templates = fields.templates
    this.modelKey = fields.modelKey
    this.#fingerprint = fields.fingerprint
    this.features = features
    this.#probe = probe
    this.#addon = model.addon
  }

  /**
   * What {@link Model.vocabulary} calls.
   *
   * @param own - false for words that nobody but the calling function gets to see: without what only
   * save() and another model's verify() need
   * @internal
   */
  static async build(
    model: TextModel,
    classList: ClassList,
    options: VocabularyOptions = {},
    { own = true } = {},
  ): Promise<Vocabulary> {
    const { signal, onProgress, templates = 'imagenet' } = options
    const call = { signal, onProgress }
    templateList(templates)
    const weight = checkWeight(options.definitionWeight)
    const { names, words } = await readClasses(classList, options.background)
    const auxiliary = await readAuxiliary(options, names, call)
    const background = findBackground(names, options.background, auxiliary?.length)

    const wordClass = words.flatMap((group, c) => group.map(() => c))
    const named = words.flatMap((group, c) =>
      group.map(text => ({ text, owner: `class '${names[c]}'` })),
    )
    const owned = auxiliary && assignTexts(auxiliary, names, background)
    const nameRows = await encodeTexts(model, named, templates, call)
    const auxiliaryRows = owned && (await encodeTexts(model, owned, templates, call))
    const [probe] = own ? await encodeTexts(model, [PROBE], 'none', call) : []
    const fields = {
      classes: names,
      words: named.map(({ text }) => text),
      wordClass,
      background,
      templates: typeof templates === 'string' ? templates : Object.freeze([...templates]),
      modelKey: keyOf(model),
      fingerprint: model.native.info.textFingerprint,
    }
    const features = auxiliaryRows
      ? await mix(model, nameRows, auxiliaryRows, { wordClass, background, weight, signal })
      : stack(model, nameRows)
    return new Vocabulary(fields, new Tensor(features), probe, model)
  }

  /**
   * Reads what {@link Vocabulary.save} wrote.
   *
   * @param path - A vocabulary file.
   * @param options - `model`: the model that it was made with, in any precision.
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG for another file or another model's features.
   *
   * @example
   * ```ts
   * const vocabulary = await Vocabulary.load('pets.safetensors', { model })
   * ```
   */
  static async load(
    path: string,
    { model, signal }: { model: TextSide; signal?: AbortSignal | undefined },
  ): Promise<Vocabulary> {
    if (typeof path !== 'string') throw invalid('path', 'the path of a vocabulary file', path)
    const text = model.textModel
    const { tensors, metadata } = await callNative(text.addon, { signal }, call =>
      text.addon.readSafetensors({ ...call, path }),
    )
    const fields = parseFields(path, metadata)
    const features = await floats(path, 'features', tensors['features'])
    const probe = await floats(path, 'probe', tensors['probe'])
    const { shape } = tensors['features'] as NativeTensor
    if (shape[0] !== fields.words.length || shape[1] !== probe.length || shape.length !== 2) {
      const expected = `[${fields.words.length}, ${probe.length}]`
      throw damaged(path, `features must be ${expected}, found [${shape.join(', ')}]`)
    }
    const tensor = new Tensor(text.addon.tensor(features, shape, 'float32'))
    for (const read of Object.values(tensors)) read.dispose()
    const vocabulary = new Vocabulary(fields, tensor, probe, text)
    await vocabulary.verify(text, { signal })
    return vocabulary
  }

  /**
   * Writes classes and features to a safetensors file, through a temporary name beside it.
   *
   * @param path - The file to write; replaced if it exists.
   * @throws {@link DeclipError} ERR_DECLIP_IO, ERR_DECLIP_DISPOSED, ERR_DECLIP_ABORTED.
   *
   * @example
   * ```ts
   * await vocabulary.save('pets.safetensors')
   * ```
   */
  async save(path: string, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    const { classes, words, background, templates, modelKey } = this
    const fields: Fields = {
      classes,
      words,
      wordClass: [...this.wordClass],
      background,
      templates,
      modelKey,
      fingerprint: this.#fingerprint,
    }
    const values = this.#probe as Float32Array
    const probe = this.#addon.tensor(values, [1, values.length], 'float32')
    try {
      await callNative(this.#addon, { signal }, call =>
        this.#addon.writeSafetensors({
          ...call,
          path,
          tensors: { features: this.features.native, probe },
          metadata: { format: FILE_FORMAT, vocabulary: JSON.stringify(fields) },
        }),
      )
    } finally {
      probe.dispose()
    }
  }

  /**
   * Refuses a model whose text tower is not the one that made these features.
   *
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG.
   * @internal
   */
  async verify(model: TextModel, call: CallOptions = {}): Promise<void> {
    const { text, textFingerprint } = model.native.info
    // Nothing has to be encoded then, and the text tower need not be made.
    if (text && this.#fingerprint === textFingerprint) return
    const [probe] = text ? await encodeTexts(model, [PROBE], 'none', call) : []
    // Not `<`: the cosine of a zero vector is NaN.
    if (!probe || !this.#probe || !(cosine(probe, this.#probe) >= SAME_TOWER)) {
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `This vocabulary was made with another model (${this.modelKey}; this one: ${keyOf(model)}); make it again with model.vocabulary().`,
      )
    }
  }

  /** Frees the features; later use fails with ERR_DECLIP_DISPOSED. */
  dispose(): void {
    this.features.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}

/** Names and words of every class, with the caller's background words in front. */
async function readClasses(
  classList: ClassList,
  background: VocabularyOptions['background'],
): Promise<{ names: string[]; words: string[][] }> {
  const words =
    typeof classList === 'string'
      ? await readClassFile(classList)
      : parseClassList(checkEntries(classList))
  const names = words.map(group => group[0] as string)
  if (!Array.isArray(background)) {
    warnOnce(doubtAbout(words))
    return { names, words }
  }
  const own = background.map((word: unknown) => (typeof word === 'string' ? word.trim() : ''))
  if (own.length === 0 || own.includes('')) {
    throw invalid('background', 'a list of words', background)
  }
  warnOnce(doubtAbout([own, ...words]))
  return { names: ['background', ...names], words: [own, ...words] }
}

function checkEntries(classList: unknown): ClassEntry[] {
  const expected = 'a list of class names or the path of a class file'
  if (!Array.isArray(classList)) throw invalid('classes', expected, classList)
  const isText = (value: unknown) => typeof value === 'string'
  for (const [i, entry] of classList.entries()) {
    if (isText(entry) || (Array.isArray(entry) && entry.length > 0 && entry.every(isText))) continue
    throw invalid(`classes[${i}]`, 'text, or a list of words', entry)
  }
  return classList
}

/** Definitions or synonyms as texts, undefined where the caller gave neither. */
async function readAuxiliary(
  options: VocabularyOptions,
  names: readonly string[],
  call: CallOptions,
): Promise<readonly string[] | undefined> {
  const { definitions, synonyms } = options
  if (definitions !== undefined && synonyms !== undefined) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      'definitions and synonyms exclude each other: a word is mixed with one text; give one of them.',
    )
  }
  const kind: AuxiliaryKind = definitions === undefined ? 'synonym' : 'definition'
  const texts: AuxiliaryTexts | undefined = definitions ?? synonyms
  if (texts === undefined) return undefined
  if (typeof texts === 'string') return (await readDefinitionFile(texts)).map(({ text }) => text)
  if (typeof texts === 'function') {
    const background = findBackground(names, options.background)
    return askAll(
      kind,
      names.filter((_, c) => c !== background),
      texts,
      call,
    )
  }
  const valid = Array.isArray(texts) && texts.every(t => typeof t === 'string' && t.trim() !== '')
  if (!valid) throw invalid(`${kind}s`, 'a list of texts, a path or an async function', texts)
  return texts
}

/**
 * Index of the background class: what the caller says, else the class named 'background', else
 * class 0 where there is one auxiliary text fewer than classes, else -1.
 */
function findBackground(
  names: readonly string[],
  option: VocabularyOptions['background'],
  texts?: number,
): number {
  if (option === false) return -1
  if (option === true || Array.isArray(option)) return 0
  if (typeof option === 'number') {
    if (Number.isInteger(option) && option >= 0 && option < names.length) return option
    throw invalid('background', `a class index, 0 to ${names.length - 1}`, option)
  }
  if (option !== undefined) {
    throw invalid('background', 'true, false, a class index or a list of words', option)
  }
  const named = names.findIndex(name => name.toLowerCase() === 'background')
  if (named >= 0) return named
  return texts !== undefined && texts === names.length - 1 ? 0 : -1
}

/** Texts with the foreground classes that they belong to, in order. */
function assignTexts(
  texts: readonly string[],
  names: readonly string[],
  background: number,
): NamedText[] {
  const foreground = names.filter((_, c) => c !== background)
  if (texts.length !== foreground.length) {
    const which = background < 0 ? 'class' : `class but the background '${names[background]}'`
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `There must be one definition or synonym for each ${which}: expected ${foreground.length}, received ${texts.length}.`,
    )
  }
  return texts.map((text, i) => ({
    text,
    owner: `the definition or synonym of class '${foreground[i]}'`,
  }))
}

/**
 * ITACLIP's mix, per word q: (1 - weight) name[q] + weight text[class of q], not normalised again.
 * The words of the background class stay as they are; the other classes take the texts in order.
 */
async function mix(
  model: TextModel,
  nameRows: readonly Float32Array[],
  auxiliaryRows: readonly Float32Array[],
  options: {
    wordClass: readonly number[]
    background: number
    weight: number
    signal: AbortSignal | undefined
  },
): Promise<NativeTensor> {
  const { wordClass, background, weight, signal } = options
  const index = Int32Array.from(wordClass, c => {
    if (c === background) return -1
    return background >= 0 && c > background ? c - 1 : c
  })
  const names = stack(model, nameRows)
  const auxiliary = stack(model, auxiliaryRows)
  try {
    return await callNative(model.addon, { signal }, call =>
      model.addon.mixText({ ...call, names, auxiliary, index, weight }),
    )
  } finally {
    names.dispose()
    auxiliary.dispose()
  }
}

/** Rows [D] as one tensor [Q, D]. */
function stack(model: TextModel, rows: readonly Float32Array[]): NativeTensor {
  const width = rows[0]?.length ?? 0
  const flat = new Float32Array(rows.length * width)
  for (const [i, row] of rows.entries()) flat.set(row, i * width)
  return model.addon.tensor(flat, [rows.length, width], 'float32')
}

function checkWeight(weight: unknown = itaclip.preset.definitionWeight): number {
  if (typeof weight === 'number' && weight >= 0 && weight <= 1) return weight
  throw invalid('definitionWeight', 'a number from 0 to 1', weight)
}

function keyOf(model: TextModel): string {
  const { family, embedDim, text } = model.native.info
  return text
    ? `${family}, text ${text.width} x ${text.layers}, ${embedDim} features`
    : `${family}, no text tower`
}

/** Cosine of two vectors, 0 where the lengths differ. */
function cosine(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return 0
  let [ab, aa, bb] = [0, 0, 0]
  a.forEach((x, i) => {
    const y = b[i] as number
    ab += x * y
    aa += x * x
    bb += y * y
  })
  return ab / Math.sqrt(aa * bb)
}

/** The checked content of a vocabulary file's metadata. */
function parseFields(path: string, metadata: Readonly<Record<string, string>>): Fields {
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
  const fields = (json ?? {}) as Partial<Record<keyof Fields, unknown>>
  const { classes, words, wordClass, background, templates, modelKey, fingerprint } = fields
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
  return { classes, words, wordClass, background, templates, modelKey, fingerprint } as Fields
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
