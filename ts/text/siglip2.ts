/**
 * SigLIP 2's tokenizer as transformers has it (`Siglip2Tokenizer`): Gemma's byte-pair vocabulary over lower-cased text,
 * character by character; the model was trained on such, while the files in the hub name Gemma's own class, which does
 * not lower-case. Added pieces such as runs of line breaks are found before that. Rows end with `<eos>`, without a
 * beginning, and are padded with `<pad>`.
 */

import type { Steps } from '../base/steps.js'
import { PieceTokenizer } from './piece-tokenizer.js'
import { gemmaPipeline } from './pieces/model-pipelines.js'
import { lowerCharacters, readPipeline } from './pieces/pipeline.js'
import { specialPiece, type TokenizerFiles } from './tokenizer-folder.js'

/** @throws Error saying what is wrong with the vocabulary */
export function* siglip2Tokenizer(
  files: TokenizerFiles,
  contextLength: number,
): Steps<PieceTokenizer> {
  const { bytes, name } = files.vocabulary
  const pipeline = name.endsWith('.json')
    ? yield* readPipeline(bytes, { first: lowerCharacters })
    : yield* gemmaPipeline(bytes, lowerCharacters)
  const idOf = (piece: string) => {
    const id = pipeline.ids.get(piece)
    if (id !== undefined) return id
    throw new Error(`the special piece '${piece}' has no id`)
  }
  return new PieceTokenizer({
    pieces: text => pipeline.encode(text),
    ids: pipeline.ids,
    after: [idOf(specialPiece(files, 'eos_token') ?? '<eos>')],
    padId: idOf(specialPiece(files, 'pad_token') ?? '<pad>'),
    contextLength,
  })
}
