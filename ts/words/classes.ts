import type { CallOptions } from '../base/call.js'
import { warnOnce } from '../base/warn.js'
import { DeclipError, invalid } from '../errors.js'
import {
  type ClassEntry,
  doubtAbout,
  parseClassList,
  readClassFile,
  readDefinitionFile,
} from '../text/class-files.js'
import { type AuxiliaryKind, askAll } from '../text/definitions.js'
import type { AuxiliaryTexts, ClassList, VocabularyOptions } from './options.js'
import type { NamedText } from './word-features.js'

/** Names and words of every class, with the caller's background words in front. */
export async function readClasses(
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
export async function readAuxiliary(
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
export function findBackground(
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
export function assignTexts(
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
