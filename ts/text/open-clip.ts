/**
 * The tokenizer of an open_clip folder, as `text_cfg` in its open_clip_config.json says: with an `hf_tokenizer_name` the
 * vocabulary in the folder, run as transformers runs it (open_clip takes the folder's own, whatever the name), else
 * CLIP's. `tokenizer_kwargs.clean` says what is done to a text before.
 */

import type { Steps } from '../base/steps.js'
import { describe } from '../errors.js'
import { type Cleaning, cleanText } from './cleaning/fix-text.js'
import { type PieceRules, PieceTokenizer } from './piece-tokenizer.js'
import { gemmaPipeline, xlmPipeline } from './pieces/model-pipelines.js'
import { type Pipeline, readPipeline } from './pieces/pipeline.js'
import { SentencePiece } from './pieces/sentencepiece.js'
import { readSentencePiece } from './pieces/sentencepiece-file.js'
import { asFields, type Fields, specialPiece, type TokenizerFiles } from './tokenizer-folder.js'

const CLEANINGS = ['lower', 'whitespace', 'canonicalize'] as const satisfies readonly Cleaning[]

/** Classes that transformers makes anew with words between white space, whatever tokenizer.json says. */
const WORD_CLASSES = /^(T5|XLMRoberta|Tipsv2)Tokenizer(Fast)?$/

/** Which tokenizer open_clip makes. */
export interface OpenClipTokenizer {
  /** Whether the vocabulary is the folder's own. */
  readonly own: boolean
  readonly clean: Cleaning
}

/**
 * What `text_cfg` says.
 *
 * @throws Error naming a field that would give other ids and is not understood
 */
export function openClipTokenizer(textConfig: Fields): OpenClipTokenizer {
  const name = textConfig['hf_tokenizer_name'] ?? ''
  const own = name !== ''
  const options = asFields(textConfig['tokenizer_kwargs'] ?? {}) ?? { tokenizer_kwargs: 'other' }
  const { clean = own ? 'whitespace' : 'lower', ...others } = options
  if (!CLEANINGS.includes(clean as Cleaning)) {
    throw new Error(
      `text_cfg.tokenizer_kwargs.clean must be 'lower', 'whitespace' or 'canonicalize', found ${describe(clean)}`,
    )
  }
  for (const [field, value] of Object.entries(others)) {
    if (value === null || value === false || value === '') continue
    if (field === 'context_length') continue // the position table says it
    throw new Error(
      `text_cfg.tokenizer_kwargs.${field} = ${describe(value)} changes how texts become ids and is not understood; give token ids instead of texts`,
    )
  }
  return { own, clean: clean as Cleaning }
}

/** @throws Error saying what is wrong with the vocabulary or which field is not understood */
export function* openClipFolderTokenizer(
  files: TokenizerFiles,
  contextLength: number,
): Steps<PieceTokenizer> {
  const { clean } = openClipTokenizer(files.openClip)
  const rules = yield* rulesOf(files)
  const pad = specialPiece(files, 'pad_token')
  const padId = pad === undefined ? rules.ids.get('<pad>') : rules.ids.get(pad)
  if (padId === undefined) {
    throw new Error(`the padding piece '${pad ?? '<pad>'}' has no id`)
  }
  return new PieceTokenizer({
    ...rules,
    pieces: text => rules.pieces(cleanText(text, clean)),
    padId,
    contextLength,
  })
}

function* rulesOf(
  files: TokenizerFiles,
): Steps<Pick<PieceRules, 'ids' | 'pieces' | 'before' | 'after'>> {
  const { bytes, name } = files.vocabulary
  const ofPipeline = (pipeline: Pipeline, before = pipeline.before, after = pipeline.after) => ({
    ids: pipeline.ids,
    pieces: (text: string) => pipeline.encode(text),
    before,
    after,
  })
  if (name.endsWith('.json')) {
    const words = WORD_CLASSES.test(String(files.config['tokenizer_class']))
    return ofPipeline(yield* readPipeline(bytes, { words }))
  }
  const idsOf = (ids: ReadonlyMap<string, number>, piece: string) => {
    const id = ids.get(piece)
    if (id === undefined) throw new Error(`the special piece '${piece}' has no id`)
    return [id]
  }
  if (name === 'tokenizer.model') {
    const pipeline = yield* gemmaPipeline(bytes, text => text)
    return ofPipeline(pipeline, [], idsOf(pipeline.ids, '<eos>'))
  }
  if (name === 'sentencepiece.bpe.model') {
    const pipeline = yield* xlmPipeline(bytes)
    const { ids } = pipeline
    return ofPipeline(pipeline, idsOf(ids, '<s>'), idsOf(ids, '</s>'))
  }
  const model = yield* SentencePiece.from(yield* readSentencePiece(bytes))
  return {
    ids: model.ids,
    pieces: text => model.encode(text),
    after: idsOf(model.ids, specialPiece(files, 'eos_token') ?? '</s>'),
  }
}
