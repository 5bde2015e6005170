import type { CallOptions, ClassList, VocabularyOptions } from '../base/options.js'
import type { ResolvedMethod } from '../methods/resolve.js'
import type { Model } from '../model/model.js'
import { Vocabulary } from './vocabulary.js'

/**
 * The vocabulary of a call: a finished one, checked against the model, or classes encoded with the
 * preset's prompts (word features are cached per model). @internal
 */
export async function toVocabulary(
  model: Model,
  classes: ClassList | Vocabulary,
  preset: ResolvedMethod,
  options: CallOptions & Omit<VocabularyOptions, keyof CallOptions>,
): Promise<Vocabulary> {
  if (classes instanceof Vocabulary) {
    await classes.verify(model.textModel, options)
    return classes
  }
  const { signal, onProgress, definitions, synonyms, background } = options
  return model.vocabulary(classes, {
    signal,
    onProgress,
    definitions,
    synonyms,
    background,
    templates: preset.templates,
    definitionWeight: preset.definitionWeight,
  })
}
