import { type Call, callOf } from '../base/call.js'
import { checkFields } from '../base/field.js'
import type { NativeTensor } from '../engine/addon-types.js'
import { callNative } from '../engine/call-native.js'
import { Tensor } from '../engine/tensor.js'
import { DeclipError, invalid } from '../errors.js'
import { PROMPT_FIELDS } from '../methods/fields.js'
import { itaclip } from '../methods/itaclip.js'
import type { TemplateSetName } from '../text/templates.js'
import { templateList } from '../text/templates.js'
import { assignTexts, findBackground, readAuxiliary, readClasses } from './classes.js'
import type { ClassList, VocabularyOptions } from './options.js'
import {
  readVocabularyFile,
  type VocabularyFields,
  writeVocabularyFile,
} from './vocabulary-file.js'
import { encodeTexts, type TextModel, type TextSide } from './word-features.js'

/** Its feature tells text towers apart, whatever precision they run in. */
const PROBE = { text: 'a photo of an object.', owner: 'the probe' }

/** Cosine of two probes above which they come from the same tower, even in half precision. */
const SAME_TOWER = 0.99

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
  readonly #tokenizer: string | undefined
  readonly #probe: Float32Array | undefined
  readonly #addon: TextModel['addon']

  private constructor(
    fields: VocabularyFields,
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
    this.#tokenizer = fields.tokenizer
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
    options: Call & VocabularyOptions = {},
    { own = true } = {},
  ): Promise<Vocabulary> {
    const { templates = 'imagenet' } = options
    const call = callOf(options)
    templateList(templates)
    checkFields(options, PROMPT_FIELDS)
    const weight = options.definitionWeight ?? itaclip.preset.definitionWeight
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
      tokenizer: model.tokenizer.key,
    }
    const features = auxiliaryRows
      ? await mix(model, nameRows, auxiliaryRows, { wordClass, background, weight, call })
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
    const { fields, features, probe } = await readVocabularyFile(text.addon, path, signal)
    const shape = [fields.words.length, probe.length]
    const tensor = new Tensor(text.addon.tensor(features, shape, 'float32'))
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
    const fields: VocabularyFields = {
      classes,
      words,
      wordClass: [...this.wordClass],
      background,
      templates,
      modelKey,
      fingerprint: this.#fingerprint,
      tokenizer: this.#tokenizer,
    }
    const probe = this.#probe as Float32Array
    const features = this.features.native
    await writeVocabularyFile(this.#addon, path, { fields, features, probe }, signal)
  }

  /**
   * Refuses a model whose text tower or tokenizer is not the one that made these features.
   *
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG.
   * @internal
   */
  async verify(model: TextModel, call: Call = {}): Promise<void> {
    const { text, textFingerprint } = model.native.info
    // The same weights with another cleaning of texts: most words would agree, and the probe is one of them.
    if (this.#tokenizer !== model.tokenizer.key) {
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `This vocabulary was made with another tokenizer (${this.#tokenizer ?? "CLIP's"}; this model's: ${model.tokenizer.key ?? "CLIP's"}); make it again with model.vocabulary().`,
      )
    }
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
    call: Call
  },
): Promise<NativeTensor> {
  const { wordClass, background, weight, call } = options
  const index = Int32Array.from(wordClass, c => {
    if (c === background) return -1
    return background >= 0 && c > background ? c - 1 : c
  })
  const names = stack(model, nameRows)
  const auxiliary = stack(model, auxiliaryRows)
  try {
    return await callNative(model.addon, { ...call, onProgress: undefined }, native =>
      model.addon.mixText({ ...native, names, auxiliary, index, weight }),
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
