/** Small vocabularies of every kind, made in the test: as a tokenizer.json and as a sentencepiece file. */
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'

/** A piece of a sentencepiece file; type 1 is a normal one. */
export type Piece = readonly [piece: string, score: number, type?: number]

/** What a sentencepiece file says beside its pieces, by field number. */
export interface ModelOptions {
  /** 1 unigram, 2 byte pairs. */
  algorithm?: number
  byteFallback?: boolean
  suffix?: boolean
  charsmap?: Uint8Array
  dummyPrefix?: boolean
  removeSpaces?: boolean
  escapeSpaces?: boolean
}

export function sentencePieceFile(pieces: readonly Piece[], options: ModelOptions = {}): Buffer {
  const writer = new BinaryWriter()
  for (const [piece, score, type] of pieces) {
    writer.tag(1, WireType.LengthDelimited).fork()
    writer.tag(1, WireType.LengthDelimited).string(piece)
    writer.tag(2, WireType.Bit32).float(score)
    if (type !== undefined) writer.tag(3, WireType.Varint).int32(type)
    writer.join()
  }
  writer.tag(2, WireType.LengthDelimited).fork()
  const number = (field: number, value: number | boolean | undefined) => {
    if (value !== undefined) writer.tag(field, WireType.Varint).int32(Number(value))
  }
  number(3, options.algorithm)
  number(24, options.suffix)
  number(35, options.byteFallback)
  writer.join()
  writer.tag(3, WireType.LengthDelimited).fork()
  writer.tag(1, WireType.LengthDelimited).string('test')
  if (options.charsmap) writer.tag(2, WireType.LengthDelimited).bytes(options.charsmap)
  number(3, options.dummyPrefix)
  number(4, options.removeSpaces)
  number(5, options.escapeSpaces)
  writer.join()
  return Buffer.from(writer.finish())
}

const SPECIALS: readonly Piece[] = [
  ['<pad>', 0, 3],
  ['</s>', 0, 3],
  ['<unk>', 0, 2],
]

/** SigLIP's kind: a few words and the letters a to z. */
export const UNIGRAM: readonly Piece[] = [
  ...SPECIALS,
  ['▁a', -1],
  ['▁cat', -2],
  ['▁dog', -2.5],
  ['s', -3],
  ['▁', -4],
  ...Array.from({ length: 26 }, (_, i): Piece => [String.fromCharCode(97 + i), -8 - i / 8]),
]

/** Gemma's kind: bytes, letters and joins. */
export const PAIRS: readonly Piece[] = [
  ['<pad>', 0, 3],
  ['<eos>', 0, 3],
  ['<bos>', 0, 3],
  ['<unk>', 0, 2],
  ['\n\n', 0, 4],
  ['▁▁', 0, 4],
  ...Array.from(
    { length: 256 },
    (_, i): Piece => [`<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`, 0, 6],
  ),
  ['▁c', -1],
  ['at', -2],
  ['▁cat', -3],
  ['▁', -4],
  ...Array.from('abcdefghijklmnopqrstuvwxyzσς', (letter, i): Piece => [letter, -5 - i]),
]

/** A tokenizer.json of Gemma's kind with {@link PAIRS}. */
export function gemmaJson(change: Record<string, unknown> = {}, model: object = {}): string {
  const vocab = Object.fromEntries(PAIRS.map(([piece], id) => [piece, id]))
  const added = PAIRS.flatMap(([content, , type], id) =>
    type !== undefined && type < 5 ? [{ id, content, normalized: false, special: type !== 4 }] : [],
  )
  return JSON.stringify({
    version: '1.0',
    added_tokens: added,
    normalizer: { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
    pre_tokenizer: {
      type: 'Split',
      pattern: { String: ' ' },
      behavior: 'MergedWithPrevious',
      invert: false,
    },
    post_processor: {
      type: 'TemplateProcessing',
      single: [
        { Sequence: { id: 'A', type_id: 0 } },
        { SpecialToken: { id: '<eos>', type_id: 0 } },
      ],
      pair: [],
      special_tokens: { '<eos>': { id: '<eos>', ids: [1], tokens: ['<eos>'] } },
    },
    model: {
      type: 'BPE',
      unk_token: '<unk>',
      fuse_unk: true,
      byte_fallback: true,
      vocab,
      merges: ['▁ c', 'a t', '▁c at'],
      ...model,
    },
    ...change,
  })
}
