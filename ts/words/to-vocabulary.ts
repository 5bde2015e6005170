import { type Call, type CallOptions, callOf } from '../base/call.js'
import type { ResolvedMethod } from '../methods/resolve.js'
import type { ClassList, VocabularyOptions } from './options.js'
import { Vocabulary } from './vocabulary.js'
import type { TextModel } from './word-features.js'

/**
 * The vocabulary of a call: a finished one, checked against the model, or classes encoded with the
 * preset's prompts (word features are cached per model). One that is not `classes` is the caller's to
 * dispose.
 *
 * @internal
 */
export async function toVocabulary(
  model: TextModel,
  classes: ClassList | Vocabulary,
  preset: ResolvedMethod,
  options: Call & Omit<VocabularyOptions, keyof CallOptions>,
): Promise<Vocabulary> {
  if (classes instanceof Vocabulary) {
    await classes.verify(model, options)
    return classes
  }
  const { definitions, synonyms, background } = options
  const settings = {
    ...callOf(options),
    definitions,
    synonyms,
    background,
    templates: preset.templates,
    definitionWeight: preset.definitionWeight,
    classWords: preset.classWords,
  }
  return Vocabulary.build(model, classes, settings, { own: false })
}
