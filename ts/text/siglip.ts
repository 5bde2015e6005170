/**
 * SigLIP's tokenizer as transformers has it (`SiglipTokenizer`): lower case, no ASCII punctuation, single blanks, then
 * sentencepiece's unigram model. `</s>` and `<unk>` inside a text are those ids and take the blanks around them with
 * them. Rows end with `</s>` and are padded with it.
 */

import type { Steps } from '../base/steps.js'
import { removePunctuation } from './cleaning/fix-text.js'
import { collapseSpace, trimLeft, trimRight } from './cleaning/white-space.js'
import { type PieceRules, PieceTokenizer } from './piece-tokenizer.js'
import { readPipeline } from './pieces/pipeline.js'
import { SentencePiece, SPACE } from './pieces/sentencepiece.js'
import { readSentencePiece } from './pieces/sentencepiece-file.js'
import { asFields, specialPiece, type TokenizerFiles } from './tokenizer-folder.js'

/** A special piece, and on which sides blanks go with it. */
interface Special {
  readonly content: string
  readonly lstrip: boolean
  readonly rstrip: boolean
}

/** @throws Error saying what is wrong with the vocabulary */
export function* siglipTokenizer(
  files: TokenizerFiles,
  contextLength: number,
): Steps<PieceTokenizer> {
  const { bytes, name } = files.vocabulary
  const lower = files.config['do_lower_case'] !== false
  const clean = (text: string) =>
    collapseSpace(removePunctuation(lower ? text.toLowerCase() : text))
  const end = specialPiece(files, 'eos_token') ?? '</s>'
  const unknown = specialPiece(files, 'unk_token') ?? '<unk>'
  const pad = specialPiece(files, 'pad_token') ?? end
  let rules: Pick<PieceRules, 'ids' | 'pieces'>
  if (name.endsWith('.json')) {
    const pipeline = yield* readPipeline(bytes)
    rules = { ids: pipeline.ids, pieces: text => pipeline.encode(clean(text)) }
  } else {
    const model = yield* SentencePiece.from(yield* readSentencePiece(bytes))
    const specials = specialsOf(files, [end, unknown, pad])
    rules = { ids: model.ids, pieces: sections(model, clean, unknown, specials) }
  }
  const idOf = (piece: string) => {
    const id = rules.ids.get(piece)
    if (id !== undefined) return id
    throw new Error(`the special piece '${piece}' has no id`)
  }
  return new PieceTokenizer({
    ...rules,
    after: [idOf(end)],
    endsOnce: !name.endsWith('.json'),
    padId: idOf(pad),
    contextLength,
  })
}

/** The pieces that are looked for before a text is cleaned. */
function specialsOf(files: TokenizerFiles, names: readonly string[]): Special[] {
  const found = new Map(names.map(content => [content, { content, lstrip: true, rstrip: true }]))
  for (const token of Object.values(asFields(files.config['added_tokens_decoder']) ?? {})) {
    const { content, lstrip, rstrip } = asFields(token) ?? {}
    if (typeof content !== 'string' || content === '') continue
    found.set(content, { content, lstrip: lstrip === true, rstrip: rstrip === true })
  }
  return [...found.values()]
}

/**
 * transformers puts the unknown piece's spelling in front of every section and takes its pieces off again, so that
 * sentencepiece keeps the blank in front of the first word and puts none in front of what follows a special piece.
 */
function sections(
  model: SentencePiece,
  clean: (text: string) => string,
  unknown: string,
  specials: readonly Special[],
): (text: string) => number[] {
  const byName = new Map(specials.map(special => [special.content, special]))
  const pattern = new RegExp(
    `(${[...byName.keys()]
      .sort((a, b) => b.length - a.length)
      .map(content => content.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
      .join('|')})`,
  )
  const spelled = model.encode(unknown).length
  const space = model.ids.get(SPACE)
  return text => {
    const parts = (SPACE + text.replaceAll(SPACE, ' ')).split(pattern)
    const isSpecial: boolean[] = []
    const ids: number[] = []
    for (const [i, part] of parts.entries()) {
      const special = i % 2 === 1 ? byName.get(part) : undefined
      if (special) {
        ids.push(model.ids.get(part) ?? model.unknownId)
        isSpecial.push(true)
        continue
      }
      const section = trimmed(part, byName.get(parts[i - 1] ?? ''), byName.get(parts[i + 1] ?? ''))
      if (section === '') continue
      const all = model.encode(unknown + clean(section))
      for (const id of all.length >= spelled ? all.slice(spelled) : all) {
        ids.push(id)
        isSpecial.push(false)
      }
    }
    // The blank in front of a text that begins with a special piece.
    if (ids.length > 1 && ids[0] === space && isSpecial[1]) ids.shift()
    return ids
  }
}

function trimmed(part: string, before: Special | undefined, after: Special | undefined): string {
  const left = before?.rstrip ? trimLeft(part) : part
  return after?.lstrip ? trimRight(left) : left
}
