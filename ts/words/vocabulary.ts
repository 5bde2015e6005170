import { until } from '../base/abort.js'
import { type Call, callOf } from '../base/call.js'
import { checkFields } from '../base/field.js'
import { toPath } from '../base/files.js'
import type { NativeTensor } from '../engine/addon-types.js'
import { admit } from '../engine/admission.js'
import { callNative } from '../engine/call-native.js'
import { loadAddon } from '../engine/load-addon.js'
import { Tensor } from '../engine/tensor.js'
import { DeclipError, invalid } from '../errors.js'
import { PROMPT_FIELDS } from '../methods/fields.js'
import { itaclip } from '../methods/itaclip.js'
import type { TemplateSetName } from '../text/templates.js'
import { templateList } from '../text/templates.js'
import { assignTexts, findBackground, readAuxiliary, readClasses } from './classes.js'
import { type Embeddings, namesOf, type RowNames, readEmbeddings, unitRows } from './embeddings.js'
import type { ClassList, GivenFeaturesOptions, VocabularyOptions } from './options.js'
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
  /** The prompts that were averaged: a built-in list's name, or the prompts; 'none' where they are not known. */
  readonly templates: TemplateSetName | readonly string[]
  /** Family and shape of the text tower, or where features came from that were made elsewhere. */
  readonly modelKey: string

  readonly #fingerprint: string | undefined
  readonly #tokenizer: string | undefined
  readonly #probe: Float32Array | undefined
  readonly #given: boolean
  readonly #space: TextModel['space']
  readonly #addon: TextModel['addon']

  private constructor(
    fields: VocabularyFields,
    features: Tensor,
    probe: Float32Array | undefined,
    { addon }: Pick<TextModel, 'addon'>,
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
    this.#given = fields.given === true
    this.#space = fields.space
    this.#addon = addon
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
    const { names, words: listed } = await readClasses(classList, options.background)
    const auxiliary = await readAuxiliary(options, names, call)
    const background = findBackground(names, options.background, auxiliary?.length)
    const words = options.classWords === 'first' ? firstWords(listed, background) : listed

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
      space: model.space,
    }
    const features = auxiliaryRows
      ? await mix(model, nameRows, auxiliaryRows, { wordClass, background, weight, call })
      : stack(model, nameRows)
    return new Vocabulary(fields, new Tensor(features), probe, model)
  }

  /**
   * A vocabulary of text features that were made elsewhere: one row per class, scaled to length 1. Which model made
   * them is not known, so any is believed whose features have as many numbers.
   *
   * @param names - the classes in the rows' order, or the path of a class file, of whose lines the first words count
   * @param features - float [C, D]
   * @param options - `background`: true for class 0, an index, or false for none. Default: the class named 'background'.
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG, ERR_DECLIP_ABORTED, ERR_DECLIP_DISPOSED
   *
   * @example
   * ```ts
   * const features = await model.encodeText(['a photo of a cat', 'a photo of a sofa'])
   * const vocabulary = await Vocabulary.fromFeatures(['cat', 'sofa'], features)
   * ```
   */
  static async fromFeatures(
    names: RowNames,
    features: Tensor,
    options: GivenFeaturesOptions = {},
  ): Promise<Vocabulary> {
    return admit(options, async call => {
      if (!(features instanceof Tensor))
        throw invalid('features', 'a float Tensor [C, D]', features)
      const { shape, dtype } = features
      const [rows = 0, columns = 0] = shape
      if (shape.length !== 2 || rows < 1 || columns < 1 || !dtype.includes('float')) {
        throw invalid('features', 'a float Tensor [C, D]', `${dtype} [${shape}]`)
      }
      const values = (await features.data()) as Float32Array
      const given = { names: await namesOf(names), values, rows, columns }
      return Vocabulary.#ofRows(given, 'features', call)
    })
  }

  /**
   * A vocabulary of published text embeddings, as {@link Vocabulary.fromFeatures}. What is read: a NumPy array [C, D]
   * (`.npy` of `<f2`, `<f4` or `<f8`); what torch.save() wrote of a matrix or of a dict of names and vectors; and
   * safetensors, with one matrix or a vector for each name. Nothing in a file is run.
   *
   * @param path - the file, whatever its name ends in
   * @param names - the classes in the rows' order, or the path of a class file, of whose lines the first words count;
   * of a file that has names, those that are wanted, in any order. Default: the names that it has.
   * @param options - as for {@link Vocabulary.fromFeatures}
   * @throws {@link DeclipError} ERR_DECLIP_IO, ERR_DECLIP_WEIGHTS for a damaged torch or safetensors file,
   * ERR_DECLIP_INVALID_ARG naming file and row, ERR_DECLIP_ABORTED
   *
   * @example
   * ```ts
   * const vocabulary = await Vocabulary.fromFile('coco_panoptic.npy', 'coco-panoptic-names.txt')
   * ```
   */
  static async fromFile(
    path: string | URL,
    names?: RowNames,
    options: GivenFeaturesOptions = {},
  ): Promise<Vocabulary> {
    return admit(options, async call => {
      const file = toPath('path', path)
      const found = await readEmbeddings(loadAddon(), file, names, call)
      return Vocabulary.#ofRows(found, file, call)
    })
  }

  static async #ofRows(
    given: Embeddings,
    source: string,
    { background, signal }: GivenFeaturesOptions,
  ): Promise<Vocabulary> {
    if (Array.isArray(background)) {
      throw invalid('background', 'true, false or a class index', background)
    }
    const { names: classes, rows, columns } = given
    const index = findBackground(classes, background)
    const values = await until(unitRows(given, source), signal)
    const fields = {
      classes,
      words: classes,
      wordClass: classes.map((_, c) => c),
      background: index,
      templates: 'none',
      modelKey: `${columns} features of ${source}`,
      given: true,
    } as const
    const addon = loadAddon()
    return new Vocabulary(
      fields,
      new Tensor(addon.tensor(values, [rows, columns], 'float32')),
      undefined,
      { addon },
    )
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
    const shape = [fields.words.length, features.length / fields.words.length]
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
      ...(this.#given && { given: true }),
      ...(this.#space && { space: this.#space }),
    }
    const probe = this.#probe
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
    const { text, textFingerprint, embedDim } = model.native.info
    if (this.#given) {
      const [, width] = this.features.shape
      if (width === embedDim) return
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `This vocabulary has ${this.modelKey}, this model makes ${embedDim}: they are of another model. Load that one, or take its embeddings for this one.`,
      )
    }
    if (this.#space !== model.space) {
      const [own, other] = [this.#space, model.space].map(space =>
        space ? "in a DINOv2's space (method 'talk2dino')" : "in its text tower's own space",
      )
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `This vocabulary is ${own}, the words of this call are ${other}; make it again with model.vocabulary() of the model that segments.`,
      )
    }
    if (model.space && !text) {
      const [, width] = this.features.shape
      if (width === embedDim) return
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `This vocabulary has ${width} features per word, this ${model.native.info.family} makes patches of ${embedDim}: it was made for another size; make it again with this model.`,
      )
    }
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

  /**
   * Refuses a space of another width: all that can be told of a model without a text tower.
   *
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG.
   * @internal
   */
  verifyWidth(width: number): void {
    const [, own] = this.features.shape
    if (own === width && this.#space === undefined) return
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `This vocabulary has ${own} features per word (${this.modelKey}), this model compares ${width}: it was made with another model. Make it with the CLIP that this one was trained on.`,
    )
  }

  /** Frees the features; later use fails with ERR_DECLIP_DISPOSED. */
  dispose(): void {
    this.features.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}

/** The first word of every class, but all of the background's, which are no synonyms. */
function firstWords(words: readonly string[][], background: number): string[][] {
  return words.map((group, c) => (c === background ? group : group.slice(0, 1)))
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
