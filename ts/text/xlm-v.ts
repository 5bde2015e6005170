/**
 * MetaCLIP 2's tokenizer, XLM-V's (`XLMRobertaTokenizer`): a unigram vocabulary of 901,629 pieces over words between
 * white space. Rows are `<s>` text `</s>`, padded with `<pad>` (1); the text tower pools at the first `</s>` (2). The
 * ids of a sentencepiece file are moved by one, as fairseq put four special pieces where the file has three.
 */

import type { Steps } from '../base/steps.js'
import { PieceTokenizer } from './piece-tokenizer.js'
import { xlmPipeline } from './pieces/model-pipelines.js'
import { readPipeline } from './pieces/pipeline.js'
import { specialPiece, type TokenizerFiles } from './tokenizer-folder.js'

/** @throws Error saying what is wrong with the vocabulary */
export function* xlmVTokenizer(
  files: TokenizerFiles,
  contextLength: number,
): Steps<PieceTokenizer> {
  const { bytes, name } = files.vocabulary
  const pipeline = name.endsWith('.json')
    ? yield* readPipeline(bytes, { words: true })
    : yield* xlmPipeline(bytes)
  const idOf = (kind: string, usual: string) => {
    const piece = specialPiece(files, kind) ?? usual
    const id = pipeline.ids.get(piece)
    if (id !== undefined) return id
    throw new Error(`the special piece '${piece}' has no id`)
  }
  return new PieceTokenizer({
    pieces: text => pipeline.encode(text),
    ids: pipeline.ids,
    before: [idOf('bos_token', '<s>')],
    after: [idOf('eos_token', '</s>')],
    padId: idOf('pad_token', '<pad>'),
    contextLength,
  })
}
