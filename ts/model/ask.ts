import type { Call, CallOptions } from '../base/call.js'
import type {
  NativeCall,
  NativeSegmentation,
  NativeTensor,
  NativeWords,
} from '../engine/addon-types.js'
import { callNative } from '../engine/call-native.js'
import { loadAddon } from '../engine/load-addon.js'
import { invalid } from '../errors.js'
import type { MethodName } from '../methods/list.js'
import type { BankWords, TextOptions } from '../methods/options.js'
import type { ModelFacts } from '../methods/preset.js'
import type { ResolvedMethod } from '../methods/resolve.js'
import {
  type Given,
  type Segmentation,
  type SegmentationParts,
  toSegmentation,
} from '../result/segmentation.js'
import { type ComparedWords, comparedWords } from '../words/class-words.js'
import type { ClassList, VocabularyOptions } from '../words/options.js'
import { toVocabulary } from '../words/to-vocabulary.js'
import type { Vocabulary } from '../words/vocabulary.js'
import type { TextModel } from '../words/word-features.js'

/** What a picture's features are asked through. @internal */
export interface EncodedBy {
  readonly facts: ModelFacts
  /** See {@link Model.wordsFor}. */
  wordsFor(method: MethodName, text: TextOptions | undefined, call?: Call): Promise<TextModel>
}

/** A picture that was encoded, or that will be by the same native call. @internal */
export interface Asked {
  readonly model: EncodedBy
  readonly method: ResolvedMethod
  /** Begin of the caller's call, as performance.now() gives it. */
  readonly start: number
  /** Which of many pictures it is. */
  readonly given?: Given | undefined
  /** Ready to answer words: waited for when these are. */
  encoded(): Promise<{
    answer(query: NativeCall & NativeWords): Promise<NativeSegmentation>
    /** What decoding took. */
    decodeMs?: number | undefined
    /** What getting its masks took. */
    masksMs?: number | undefined
  }>
  /** Decodes the picture again. */
  readonly source: SegmentationParts['source']
}

/**
 * The label of every pixel by these words: the one way to a Segmentation.
 *
 * @internal
 */
export async function ask(
  asked: Asked,
  classes: ClassList | Vocabulary,
  options: Call &
    Omit<VocabularyOptions, keyof CallOptions> & { bankWords?: BankWords | undefined },
): Promise<Segmentation> {
  const { model, method, start, given, source } = asked
  const addon = loadAddon()
  const begun = performance.now()
  const textModel = await model.wordsFor(method.method, options.text, options)
  const vocabulary = await toVocabulary(textModel, classes, method, options)
  let words: ComparedWords | undefined
  try {
    const textMs = performance.now() - begun
    const { background } = vocabulary
    const post = method.postprocess(background)
    words = await comparedWords(vocabulary, method.classWords)
    const { features: text, wordClass } = words
    const bankText = bankFeatures(options.bankWords, wordClass)
    const { answer, decodeMs, masksMs } = await asked.encoded()
    const result = await callNative(addon, options, call =>
      answer({ ...call, text, bankText, wordClass, post }),
    )
    const { encodeMs, pixelsMs } = result
    const totalMs = performance.now() - start
    return toSegmentation(result, {
      classes: vocabulary.classes,
      background,
      timings: {
        decodeMs,
        ...(masksMs !== undefined && { masksMs }),
        textMs,
        encodeMs,
        pixelsMs,
        totalMs,
      },
      given,
      source,
      addon,
    })
  } finally {
    words?.dispose()
    if (vocabulary !== classes) vocabulary.dispose()
  }
}

/** A second encoder's features of the same words. */
function bankFeatures(
  words: BankWords | undefined,
  wordClass: Int32Array,
): NativeTensor | undefined {
  if (words === undefined) return undefined
  const fits =
    words.wordClass?.length === wordClass.length &&
    words.wordClass.every((of, i) => of === wordClass[i])
  if (!fits) {
    throw invalid('bankWords', 'a vocabulary of the same words and classes as `classes`', words)
  }
  return words.features.native
}
