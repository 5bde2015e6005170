import type { CallOptions } from '../base/call.js'
import type { PromptOptions } from '../methods/options.js'

/**
 * Words into classes: a list with one entry per class, each 'name' or 'name, synonym, ...' or a list of
 * words that are taken as they are; or the path of a class file with one such line per class. How words
 * are separated: {@link parseClasses}.
 */
export type ClassList = readonly (string | readonly string[])[] | string

/** Options of {@link Model.vocabulary}. */
export interface VocabularyOptions extends CallOptions, PromptOptions {
  /** Definition of every foreground class (in order), the path of a `name >=text` file, or a callback that writes them. */
  definitions?: AuxiliaryTexts | undefined
  /** Like `definitions`, with one synonym per class. */
  synonyms?: AuxiliaryTexts | undefined
  /**
   * Which class is the background: true for class 0, an index, false for none, or a list of words that
   * become a class 'background' in front. Default: the class whose first word is 'background', else
   * class 0 if there is exactly one definition fewer than classes, else none.
   */
  background?: boolean | number | readonly string[] | undefined
}

/** Options of {@link Vocabulary.fromFeatures} and {@link Vocabulary.fromFile}. */
export interface GivenFeaturesOptions extends CallOptions {
  /**
   * Which class is the background: true for class 0, an index, or false for none. Default: the class named
   * 'background', else none.
   */
  background?: boolean | number | undefined
}

/** Texts beside the class names: a list, a file, or a language model that writes them from a prompt. */
export type AuxiliaryTexts = readonly string[] | string | ((prompt: string) => Promise<string>)
