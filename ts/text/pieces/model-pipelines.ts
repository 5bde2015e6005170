/**
 * Pipelines of sentencepiece files whose originals are not run by sentencepiece: transformers turns the file into the
 * structure of a tokenizer.json and has the tokenizers library run that, and so do we.
 */

import type { Steps } from '../../base/steps.js'
import type { Charsmap } from './charsmap.js'
import { type AddedPiece, Pipeline, type PipelineParts, WORDS } from './pipeline.js'
import { PieceType, readSentencePiece, type SentencePieceFile } from './sentencepiece-file.js'
import { mergesOfPieces, type ScoredPiece, unigramVocabulary } from './vocabulary.js'

/** Gemma's: byte pairs, blanks as marks, nothing in front of a text. */
export function* gemmaPipeline(
  bytes: Uint8Array,
  first: (text: string) => string,
): Steps<Pipeline> {
  const file = yield* readSentencePiece(bytes)
  const vocabulary = yield* mergesOfPieces(requireBytePairs(file), '<unk>')
  const normalizer = { type: 'Replace', pattern: { String: ' ' }, content: '▁' }
  const added = addedPieces(file, ['<unk>', '<bos>', '<eos>', '<pad>', '<mask>'])
  return new Pipeline({ normalizer, added_tokens: added }, vocabulary, first)
}

/** TIPSv2's: byte pairs within words. */
export function* tipsPipeline(
  file: SentencePieceFile,
  first: (text: string) => string,
): Steps<Pipeline> {
  const vocabulary = yield* mergesOfPieces({ ...file, byteFallback: true }, undefined)
  const added = addedPieces(file, ['<unk>', '<pad>'])
  return new Pipeline(wordParts(added), vocabulary, normalizing(file.charsmap, first))
}

/** XLM-RoBERTa's and XLM-V's: a unigram model within words. */
export function* xlmPipeline(bytes: Uint8Array): Steps<Pipeline> {
  const file = yield* readSentencePiece(bytes)
  if (file.algorithm !== 'unigram') throw new Error('its model_type must be unigram, found bpe')
  const pieces: ScoredPiece[] = [
    ['<s>', 0],
    ['<pad>', 0],
    ['</s>', 0],
    ['<unk>', 0],
  ]
  for (let id = 3; id < file.pieces.length; id++) {
    pieces.push([file.pieces[id] as string, file.scores[id] as number])
  }
  pieces.push(['<mask>', 0])
  const vocabulary = yield* unigramVocabulary(pieces, { unknownId: 3, byteFallback: false })
  const added = ['<s>', '<pad>', '</s>', '<unk>', '<mask>'].map(content => ({
    content,
    id: vocabulary.ids.get(content) as number,
    normalized: false,
  }))
  return new Pipeline(
    wordParts(added),
    vocabulary,
    normalizing(file.charsmap, text => text),
  )
}

function wordParts(added: readonly AddedPiece[]): PipelineParts {
  return { added_tokens: added, pre_tokenizer: WORDS }
}

function normalizing(charsmap: Charsmap | undefined, first: (text: string) => string) {
  return charsmap ? (text: string) => charsmap.normalize(first(text)) : first
}

function requireBytePairs(file: SentencePieceFile): SentencePieceFile {
  if (file.algorithm === 'bpe') return file
  throw new Error('its model_type must be bpe, found unigram')
}

/** The file's control and user's pieces, and those of these names that it has. */
function addedPieces(file: SentencePieceFile, names: readonly string[]): AddedPiece[] {
  const added: AddedPiece[] = []
  const { pieces, types } = file
  for (const [id, content] of pieces.entries()) {
    const type = types[id]
    const isAdded = type === PieceType.control || type === PieceType.userDefined
    if (content !== '' && (isAdded || names.includes(content))) {
      added.push({ id, content, normalized: false })
    }
  }
  return added
}
