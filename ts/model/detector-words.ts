import type { Call } from '../base/call.js'
import { warnOnce } from '../base/warn.js'
import type { NativeDetectorInfo, NativeTensor } from '../engine/addon-types.js'
import { callNative } from '../engine/call-native.js'
import { DeclipError, describe, invalid } from '../errors.js'
import { namesOfCount, publishedNovel, sameName } from '../methods/fvit.js'
import type { TextOptions } from '../methods/options.js'
import { findBackground, readClasses } from '../words/classes.js'
import type { ClassList } from '../words/options.js'
import { Vocabulary } from '../words/vocabulary.js'
import type { TextModel } from '../words/word-features.js'
import type { DetectorQuestionOptions, DetectorWordOptions } from './detector-options.js'
import type { Engine } from './input.js'

/** The model that a detector's heads are on. @internal */
export interface DetectorSide {
  readonly engine: Engine
  readonly textModel: TextModel
  withText<T extends Call & { text?: TextOptions | undefined }>(options: T): Promise<T>
}

/** What native code is asked for. @internal */
export interface DetectorWords {
  /** What can be found. */
  readonly classes: readonly string[]
  /** float32 [W, E], unit length; undefined: the stored ones. */
  readonly words: NativeTensor | undefined
  /** The class of every word, as many as `classes` for the background's. */
  readonly wordClass: Int32Array | undefined
  /** 1 for every class that was not learned. */
  readonly novel: Uint8Array
  dispose(): void
}

type Asked = Call & Pick<DetectorQuestionOptions, 'base' | 'novel'> & DetectorWordOptions

/** Rows of words with the class of each; -1 is the background. */
interface Rows {
  readonly classes: readonly string[]
  readonly rows: readonly Float32Array[]
  readonly wordClass: readonly number[]
}

/** What a vocabulary's own words are encoded with: the prompts that the published detectors learned with. */
const TEMPLATES = 'vild'
const BACKGROUND = 'background'

/**
 * Words of a detector: those that it stores, a vocabulary's, or a list. Of a list words that it stores are taken as they
 * are stored, unless prompts or another model are given; others are encoded by its own text tower or by that model's.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG for names that are unknown or stand twice, for words of another space and
 * for words that nothing here can encode
 * @internal
 */
export async function detectorWords(
  side: DetectorSide,
  classes: ClassList | Vocabulary | undefined,
  options: Asked,
): Promise<DetectorWords> {
  const { detector } = side.engine.native.info
  if (detector === null) throw invalid('model', 'a detector', side.engine.native.info.path)
  if (classes === undefined) return stored(side, detector, options)
  const given =
    classes instanceof Vocabulary
      ? await ofVocabulary(side, classes, options)
      : await ofList(side, detector, classes, options)
  const { rows, wordClass } = given.wordClass.includes(-1)
    ? given
    : await withBackground(side, given, options)
  const novel = novelOf(given.classes, detector, side, options)
  const width = rows[0]?.length ?? 0
  const flat = new Float32Array(rows.length * width)
  for (const [i, row] of rows.entries()) flat.set(row, i * width)
  const words = side.engine.addon.tensor(flat, [rows.length, width], 'float32')
  return {
    classes: given.classes,
    words,
    wordClass: Int32Array.from(wordClass, c => (c < 0 ? given.classes.length : c)),
    novel,
    dispose: () => words.dispose(),
  }
}

/** Names of the words that a detector stores. @internal */
export function storedNames(detector: NativeDetectorInfo): readonly string[] {
  if (detector.names !== null) return detector.names
  return (
    namesOfCount(detector.classes) ??
    Array.from({ length: detector.classes }, (_, i) => `class ${i + 1}`)
  )
}

function stored(
  { engine }: DetectorSide,
  detector: NativeDetectorInfo,
  options: Asked,
): DetectorWords {
  const { path } = engine.native.info
  if (detector.classes === 0) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `Classes are missing: ${path} stores no words. Name what is to be found, such as ['dog', 'cup'].`,
    )
  }
  const name = (['templates', 'background', 'text'] as const).find(
    option => options[option] !== undefined,
  )
  if (name !== undefined) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `${name} is about words of the caller, and none are given: the detector's own ${detector.classes} are taken as they are stored. Give words, or leave ${name} out.`,
    )
  }
  if (detector.names === null) {
    const guessed = namesOfCount(detector.classes)
    warnOnce(
      guessed
        ? `${path} has no names of its ${detector.classes} classes; they are taken for those of ${guessed.length === 65 ? 'OV-COCO' : 'LVIS v1'}, which are as many.`
        : `${path} has no names of its ${detector.classes} classes, so they are called 'class 1' to 'class ${detector.classes}'.`,
    )
  }
  const classes = storedNames(detector)
  return {
    classes,
    words: undefined,
    wordClass: undefined,
    novel: novelOf(classes, detector, { engine }, options),
    dispose: () => {},
  }
}

async function ofVocabulary(
  side: DetectorSide,
  vocabulary: Vocabulary,
  options: Asked,
): Promise<Rows> {
  if (options.templates !== undefined) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      'templates are of words that are still to be encoded, and a Vocabulary is finished; make it with them: model.vocabulary(classes, { templates }).',
    )
  }
  const text = await textSide(side, options)
  if (text?.native.info.text) await vocabulary.verify(text, options)
  else vocabulary.verifyWidth(side.engine.native.info.embedDim)
  const { background = vocabulary.background >= 0 ? vocabulary.background : undefined } = options
  if (Array.isArray(background)) {
    throw invalid(
      'background',
      'true, false or the number of a class: a Vocabulary is finished',
      background,
    )
  }
  return rowsOf(vocabulary, findBackground(vocabulary.classes, background))
}

/** Its words but the background's, whose class is -1. */
async function rowsOf(vocabulary: Vocabulary, background: number): Promise<Rows> {
  const { classes, wordClass, features } = vocabulary
  const values = (await features.data()) as Float32Array
  const width = values.length / wordClass.length
  return {
    classes: classes.filter((_, c) => c !== background),
    rows: Array.from(wordClass, (_, q) => unit(values.subarray(q * width, (q + 1) * width))),
    wordClass: Array.from(wordClass, c =>
      c === background ? -1 : background >= 0 && c > background ? c - 1 : c,
    ),
  }
}

function unit(row: Float32Array): Float32Array {
  const length = Math.sqrt(row.reduce((sum, x) => sum + x * x, 0))
  return row.map(x => x / length)
}

async function ofList(
  side: DetectorSide,
  detector: NativeDetectorInfo,
  classes: ClassList,
  options: Asked,
): Promise<Rows> {
  const { background, templates = TEMPLATES } = options
  const text = await textSide(side, options)
  if (!text?.native.info.text) return amongStored(side, detector, classes, options)
  const { signal, onProgress, priority, client, order } = options
  const vocabulary = await Vocabulary.build(
    text,
    classes,
    { signal, onProgress, priority, client, order, background, templates },
    { own: false },
  )
  try {
    const given = await rowsOf(vocabulary, vocabulary.background)
    const own = options.text === undefined && options.templates === undefined
    const stored = own ? await storedRows(side, options) : undefined
    if (stored === undefined) return given
    // What the detector knows is what it learned, by whatever prompts that was encoded.
    const known = new Map(storedNames(detector).map((name, i) => [sameName(name), stored[i]]))
    const rows = given.rows.map((row, q) => known.get(sameName(vocabulary.words[q] ?? '')) ?? row)
    return { ...given, rows }
  } finally {
    vocabulary.dispose()
  }
}

/** The text tower of `text.model`, else the detector's own; undefined without either. */
async function textSide(side: DetectorSide, options: Asked): Promise<TextModel | undefined> {
  if (options.text === undefined) {
    return side.textModel.native.info.text ? side.textModel : undefined
  }
  const { text } = await side.withText(options)
  const model = (text?.model as { textModel?: TextModel } | undefined)?.textModel
  if (!model?.native.info.text) {
    throw invalid(
      'text.model',
      'a model with a text tower, loaded or as loadModel() takes it',
      model?.native.info.family ?? text?.model,
    )
  }
  const { embedDim } = side.engine.native.info
  if (model.native.info.embedDim !== embedDim) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `text.model makes words of ${model.native.info.embedDim} numbers, this detector compares ${embedDim}: give the CLIP that it was trained on.`,
    )
  }
  return model
}

/** Words of a detector without a text tower: those that it stores are known. */
async function amongStored(
  side: DetectorSide,
  detector: NativeDetectorInfo,
  list: ClassList,
  options: Asked,
): Promise<Rows> {
  const { path } = side.engine.native.info
  const { names, words } = await readClasses(list, options.background)
  const known = new Map(storedNames(detector).map((name, i) => [sameName(name), i]))
  const background = findBackground(names, options.background)
  const unknown = words
    .filter((_, c) => c !== background)
    .flat()
    .filter(word => !known.has(sameName(word)))
  const needsTower = options.templates !== undefined || Array.isArray(options.background)
  if (unknown.length > 0 || needsTower) {
    const some = storedNames(detector).slice(0, 3).join(', ')
    const what = needsTower
      ? "The words' prompts or a background of your own need a text tower"
      : `${describe(unknown[0])}${unknown.length > 1 ? ` and ${unknown.length - 1} more words` : ''} must be encoded by a text tower`
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `${what}, and ${path} has none. Give text: { model } with the CLIP that it was trained on (--text-model), a Vocabulary of embeddings, or words among the ${detector.classes} that it stores (${some}, ...).`,
    )
  }
  const rows = await storedRows(side, options)
  if (rows === undefined) {
    throw new DeclipError('ERR_DECLIP_INVALID_ARG', `${path} stores no words; give a Vocabulary.`)
  }
  const kept = words.flatMap((group, c) =>
    c === background ? [] : group.map(word => known.get(sameName(word)) as number),
  )
  const shift = (c: number) => (background >= 0 && c > background ? c - 1 : c)
  return {
    classes: names.filter((_, c) => c !== background),
    rows: [...kept.map(row => rows[row] as Float32Array), rows.at(-1) as Float32Array],
    wordClass: [
      ...words.flatMap((group, c) => (c === background ? [] : group.map(() => shift(c)))),
      -1,
    ],
  }
}

/** The background that the detector was trained with, else its text tower's word. */
async function withBackground(side: DetectorSide, given: Rows, options: Asked): Promise<Rows> {
  const rows = await storedRows(side, options)
  const own = rows?.at(-1) ?? (await encodedBackground(side, options))
  return {
    classes: given.classes,
    rows: [...given.rows, own],
    wordClass: [...given.wordClass, -1],
  }
}

async function encodedBackground(side: DetectorSide, options: Asked): Promise<Float32Array> {
  const text = await textSide(side, options)
  if (!text?.native.info.text) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `The words have no background, and ${side.engine.native.info.path} has neither one of its own nor a text tower; put a class 'background' among them.`,
    )
  }
  const { templates = TEMPLATES, signal } = options
  const vocabulary = await Vocabulary.build(
    text,
    [BACKGROUND],
    { signal, background: false, templates },
    { own: false },
  )
  try {
    return ((await rowsOf(vocabulary, -1)).rows as Float32Array[])[0] as Float32Array
  } finally {
    vocabulary.dispose()
  }
}

/** The stored words, the background last; kept for the model. */
const kept = new WeakMap<object, Promise<readonly Float32Array[] | undefined>>()

function storedRows(
  { engine }: DetectorSide,
  call: Call,
): Promise<readonly Float32Array[] | undefined> {
  const known = kept.get(engine.native)
  if (known) return known
  const reading = callNative(
    engine.addon,
    { ...call, signal: undefined, onProgress: undefined },
    job => engine.native.detectorWords(job),
  ).then(async tensor => {
    if (tensor === null) return undefined
    const [rows = 0, width = 0] = tensor.shape
    const values = new Float32Array(await tensor.data())
    tensor.dispose()
    return Array.from({ length: rows }, (_, i) => values.slice(i * width, (i + 1) * width))
  })
  kept.set(engine.native, reading)
  reading.catch(() => kept.delete(engine.native))
  return reading
}

/** Which classes were not learned, by the caller, the file or the published split; what is not known was not. */
function novelOf(
  classes: readonly string[],
  detector: NativeDetectorInfo,
  { engine }: Pick<DetectorSide, 'engine'>,
  { base, novel }: Asked,
): Uint8Array {
  const [bases, novels] = [checked('base', base, classes), checked('novel', novel, classes)]
  const both = base?.find(name => novels?.has(sameName(name)))
  if (both !== undefined) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `base and novel must have no class in common, and both have ${describe(both)}; take it out of one of them.`,
    )
  }
  if (bases && novels) {
    const neither = classes.find(name => !bases.has(sameName(name)) && !novels.has(sameName(name)))
    if (neither !== undefined) {
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `Every class must be in base or in novel where both are given, and ${describe(neither)} is in neither; leave one of the two out, and it has all others.`,
      )
    }
  }
  const known = new Set(storedNames(detector).map(sameName))
  const own = ownNovel(detector, engine.native.info.path)
  return Uint8Array.from(classes, name => {
    const spelled = sameName(name)
    if (novels) return Number(novels.has(spelled))
    if (bases) return Number(!bases.has(spelled))
    return Number(!known.has(spelled) || own.has(spelled))
  })
}

/** Of the stored words, as {@link sameName} spells them. */
function ownNovel(detector: NativeDetectorInfo, path: string): ReadonlySet<string> {
  if (detector.novel !== null) return new Set(detector.novel.map(sameName))
  // Files of this package say which classes are novel, and say nothing where none is.
  if (!/\.(pth|pt|ckpt)$/i.test(path)) return new Set()
  return publishedNovel(storedNames(detector), detector) ?? new Set()
}

function checked(
  option: 'base' | 'novel',
  names: readonly string[] | undefined,
  classes: readonly string[],
): ReadonlySet<string> | undefined {
  if (names === undefined) return undefined
  const all = new Set(classes.map(sameName))
  const unknown = names.find(name => !all.has(sameName(name)))
  if (unknown === undefined) return new Set(names.map(sameName))
  const some = classes.slice(0, 5).join(', ')
  throw new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `${option} must have names of the classes that are looked for (${some}${classes.length > 5 ? ', ...' : ''}), and ${describe(unknown)} is none of them.`,
  )
}
