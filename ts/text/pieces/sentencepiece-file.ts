/**
 * Reads sentencepiece's model files (`spiece.model`, `sentencepiece.bpe.model`, `tokenizer.model`): protocol buffers
 * with the pieces of a vocabulary and how texts are normalised and cut. Field numbers: sentencepiece_model.proto.
 */

import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'
import type { Steps } from '../../base/steps.js'
import { Charsmap } from './charsmap.js'

/** How a model cuts texts, by its number in the file. */
const ALGORITHMS = ['', 'unigram', 'bpe', 'word', 'char'] as const

/** What a piece is for, by its number in the file. */
export const PieceType = {
  normal: 1,
  unknown: 2,
  control: 3,
  userDefined: 4,
  unused: 5,
  byte: 6,
} as const

/** A model file. */
export interface SentencePieceFile {
  /** By id. */
  readonly pieces: readonly string[]
  /** By id; float32 in the file. */
  readonly scores: Float64Array
  /** {@link PieceType}, by id. */
  readonly types: Uint8Array
  readonly algorithm: (typeof ALGORITHMS)[number]
  /** Whether unknown characters become their bytes. */
  readonly byteFallback: boolean
  readonly charsmap: Charsmap | undefined
  readonly addDummyPrefix: boolean
  readonly removeExtraWhitespaces: boolean
}

/** Pieces read in a step. */
const PIECES_PER_STEP = 512

/**
 * Reads a model file.
 *
 * @throws Error saying what is wrong with it, RangeError where it is cut off
 */
export function* readSentencePiece(file: Uint8Array): Steps<SentencePieceFile> {
  const pieces: string[] = []
  const scores: number[] = []
  const types: number[] = []
  let algorithm: SentencePieceFile['algorithm'] = 'unigram'
  let byteFallback = false
  let charsmap: Charsmap | undefined
  let addDummyPrefix = true
  let removeExtraWhitespaces = true
  let told = 0
  const reader = new BinaryReader(file)
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag()
    if (field === 2 || field === 3) told++
    if (field === 1 || field === 2 || field === 3) expect(wire, WireType.LengthDelimited, field)
    if (field === 1) {
      const { piece, score, type } = readPiece(reader.bytes())
      pieces.push(piece)
      scores.push(score)
      types.push(type)
      if (pieces.length % PIECES_PER_STEP === 0) yield
    } else if (field === 2) {
      const trainer = readFields(reader.bytes(), { 3: 'varint', 24: 'varint', 35: 'varint' })
      algorithm = ALGORITHMS[Number(trainer[3] ?? 1)] ?? ''
      byteFallback = trainer[35] === 1
      if (trainer[24] === 1) {
        throw new Error(
          'treat_whitespace_as_suffix is set, and pieces that end a word are not read',
        )
      }
    } else if (field === 3) {
      const normalizer = readFields(reader.bytes(), {
        2: 'bytes',
        3: 'varint',
        4: 'varint',
        5: 'varint',
      })
      const table = normalizer[2]
      if (table instanceof Uint8Array && table.length > 0) charsmap = new Charsmap(table)
      addDummyPrefix = normalizer[3] !== 0
      removeExtraWhitespaces = normalizer[4] !== 0
      if (normalizer[5] === 0) {
        throw new Error('escape_whitespaces is off, and pieces with spaces are not read')
      }
    } else reader.skip(wire, field)
  }
  if (pieces.length > 0 && told < 2) {
    throw new Error('it ends before it says how texts are normalised and cut')
  }
  if (pieces.length === 0) throw new Error('it has no pieces')
  if (algorithm !== 'unigram' && algorithm !== 'bpe') {
    throw new Error(`its model_type must be unigram or bpe, found '${algorithm}'`)
  }
  return {
    pieces,
    scores: Float64Array.from(scores),
    types: Uint8Array.from(types),
    algorithm,
    byteFallback,
    charsmap,
    addDummyPrefix,
    removeExtraWhitespaces,
  }
}

function readPiece(bytes: Uint8Array): { piece: string; score: number; type: number } {
  const fields = readFields(bytes, { 1: 'bytes', 2: 'float', 3: 'varint' })
  const name = fields[1]
  const score = Number(fields[2] ?? 0)
  const type = Number(fields[3] ?? PieceType.normal)
  if (!Number.isFinite(score)) throw new Error(`the score of a piece is ${score}`)
  if (type < PieceType.normal || type > PieceType.byte) {
    throw new Error(`the type of a piece is ${type}`)
  }
  return { piece: name instanceof Uint8Array ? utf8.decode(name) : '', score, type }
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true })

type Kind = 'varint' | 'float' | 'bytes'

const WIRE: Readonly<Record<Kind, WireType>> = {
  varint: WireType.Varint,
  float: WireType.Bit32,
  bytes: WireType.LengthDelimited,
}

/** The wanted fields of a message; the last of each, as protocol buffers have it. */
function readFields(
  bytes: Uint8Array,
  wanted: Readonly<Record<number, Kind>>,
): Record<number, number | Uint8Array> {
  const found: Record<number, number | Uint8Array> = {}
  const reader = new BinaryReader(bytes)
  while (reader.pos < reader.len) {
    const [field, wire] = reader.tag()
    const kind = wanted[field]
    if (kind === undefined) {
      reader.skip(wire, field)
      continue
    }
    expect(wire, WIRE[kind], field)
    if (kind === 'varint') found[field] = reader.int32()
    else if (kind === 'float') found[field] = reader.float()
    else found[field] = reader.bytes()
  }
  return found
}

function expect(found: WireType, wanted: WireType, field: number): void {
  if (found !== wanted) {
    throw new Error(`field ${field} must have the wire type ${wanted}, found ${found}`)
  }
}
