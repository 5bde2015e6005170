/**
 * TIPSv2's tokenizer: lower case, no piece in front or behind, rows padded with 0. Of a byte-pair `tokenizer.model`
 * transformers (`Tipsv2Tokenizer`) makes joins by the order of its pieces, with bytes for unknown characters; a unigram
 * model, for which that would give other pieces than it was trained with, is run as sentencepiece does, which is what
 * the authors' code does with either.
 */

import type { Steps } from '../base/steps.js'
import { type PieceRules, PieceTokenizer } from './piece-tokenizer.js'
import { tipsPipeline } from './pieces/model-pipelines.js'
import { lowerCharacters, readPipeline } from './pieces/pipeline.js'
import { SentencePiece } from './pieces/sentencepiece.js'
import { readSentencePiece } from './pieces/sentencepiece-file.js'
import { specialPiece, type TokenizerFiles } from './tokenizer-folder.js'

/** @throws Error saying what is wrong with the vocabulary */
export function* tipsTokenizer(
  files: TokenizerFiles,
  contextLength: number,
): Steps<PieceTokenizer> {
  const rules = yield* rulesOf(files)
  const padId = rules.ids.get(specialPiece(files, 'pad_token') ?? '<pad>') ?? 0
  return new PieceTokenizer({ ...rules, padId, contextLength })
}

function* rulesOf({
  vocabulary: { bytes, name },
  config,
}: TokenizerFiles): Steps<Pick<PieceRules, 'ids' | 'pieces'>> {
  const first = config['do_lower_case'] === false ? (text: string) => text : lowerCharacters
  if (name.endsWith('.json')) {
    const pipeline = yield* readPipeline(bytes, { first, words: true })
    return { ids: pipeline.ids, pieces: text => pipeline.encode(text) }
  }
  const file = yield* readSentencePiece(bytes)
  if (file.algorithm === 'unigram') {
    const model = yield* SentencePiece.from(file)
    return { ids: model.ids, pieces: text => model.encode(first(text)) }
  }
  const pipeline = yield* tipsPipeline(file, first)
  return { ids: pipeline.ids, pieces: text => pipeline.encode(text) }
}
