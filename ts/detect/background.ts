import { BACKGROUND } from '../methods/common-words.js'
import { findBackground, readClasses } from '../words/classes.js'
import type { ClassList, VocabularyOptions } from '../words/options.js'
import { Vocabulary } from '../words/vocabulary.js'

/** Words for what is none of the things that somebody looks for: the papers' 26, and three that name no thing. */
const SURROUNDINGS: readonly string[] = [
  'background',
  'nothing',
  'texture',
  ...BACKGROUND.split(', '),
]

/** Classes with something for the pixels that belong to none of them. */
export interface Against {
  readonly classes: readonly (readonly string[])[] | Vocabulary
  readonly background: VocabularyOptions['background']
  /** Whether a class 'background' was put in front. */
  readonly added: boolean
}

/**
 * Every pixel gets the class that fits best, so things alone would cover the picture: where no class is the
 * background and the caller says nothing, a class of common surroundings is put in front, without the words
 * that are the caller's own. Definitions and synonyms are given per class but the background, so they stay as
 * they are.
 *
 * @param background - false for no background at all
 */
export async function againstBackground(
  classes: ClassList | Vocabulary,
  {
    background,
    definitions,
    synonyms,
  }: Pick<VocabularyOptions, 'background' | 'definitions' | 'synonyms'>,
): Promise<Against> {
  if (classes instanceof Vocabulary) return { classes, background, added: false }
  const { words, names } = await readClasses(classes, undefined)
  if (Array.isArray(background)) return { classes: words, background, added: true }
  const auxiliary = definitions ?? synonyms
  const texts = Array.isArray(auxiliary) ? auxiliary.length : undefined
  if (background !== undefined || findBackground(names, undefined, texts) >= 0) {
    return { classes: words, background, added: false }
  }
  const own = new Set(words.flat().map(word => word.toLowerCase()))
  const others = SURROUNDINGS.filter(word => !own.has(word))
  return { classes: words, background: others, added: true }
}
