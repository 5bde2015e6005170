/**
 * What a tokenizer.json says is carried out by Hugging Face's tokenizers library for JavaScript, which is loaded here and
 * only where a model needs it. Parts of it that give other pieces than the original in Rust are replaced, which
 * scripts/check/tokenizer-agreement.mjs measures: the table of normalisations (it takes JavaScript's NFKC for every one),
 * lower case (by words, where the original has single characters), white space (JavaScript's set), Metaspace and Split
 * (they do not split) and the models (see there).
 */

import { createRequire } from 'node:module'
import { packagePath } from '../../base/package-files.js'
import type { Steps } from '../../base/steps.js'
import { DeclipError, describe } from '../../errors.js'
import { trimLeft, trimRight } from '../cleaning/white-space.js'
import { Charsmap } from './charsmap.js'
import { LargeJson } from './large-json.js'
import { checkId, type PieceVocabulary, readModel } from './vocabulary.js'

/** What is used of the library; its own declarations are not found by TypeScript's rules for modules of Node. */
interface Library {
  readonly Tokenizer: new (
    file: object,
    config: object,
  ) => {
    encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] }
    readonly post_processor:
      | ((pieces: readonly string[], pair: null, special: boolean) => { tokens: string[] })
      | null
  }
  readonly SequenceNormalizer: new (part: object) => { normalize(text: string): string }
  readonly SequencePreTokenizer: new (part: object) => TheirSplitter
  readonly SplitPreTokenizer: new (part: object) => TheirSplitter
}

interface TheirSplitter {
  pre_tokenize(word: string, options?: { section_index: number }): string[]
}

/** A part of a tokenizer.json: an object with a type. */
interface Part {
  readonly type?: unknown
  readonly [field: string]: unknown
}

/** What a tokenizer.json says beside its vocabulary. */
export interface PipelineParts {
  readonly added_tokens?: readonly AddedPiece[] | undefined
  readonly normalizer?: unknown
  readonly pre_tokenizer?: unknown
  readonly post_processor?: unknown
}

/** A piece that is found in a text before anything else. */
export interface AddedPiece {
  readonly id: number
  readonly content: string
  readonly lstrip?: boolean
  readonly rstrip?: boolean
  readonly normalized?: boolean
  readonly special?: boolean
}

/**
 * Marks a normalised text, which the library would otherwise take for an added piece where it is spelled as one; a
 * noncharacter, which is taken off again before the text is split.
 */
const NORMALIZED = '\uffff'

/** Cuts texts into pieces as a tokenizer.json says. */
export class Pipeline {
  /** Of every piece, the added ones included. */
  readonly ids: ReadonlyMap<string, number>
  /** Ids in front of every text. */
  readonly before: readonly number[]
  /** Ids behind every text. */
  readonly after: readonly number[]
  readonly #encode: (text: string) => number[]

  /**
   * @param first - done to a text before it is normalised, but not to added pieces in it
   * @throws Error saying which part is not understood
   */
  constructor(
    parts: PipelineParts,
    vocabulary: PieceVocabulary,
    first: (text: string) => string = text => text,
  ) {
    const library = loadLibrary()
    const normalize = normalizerOf(parts.normalizer, library)
    const split = splitterOf(parts.pre_tokenizer, library)
    const added = parts.added_tokens ?? []
    const { ids, names } = vocabulary
    for (const { content, id } of added) {
      ids.set(content, id)
      names[id] = content
    }
    this.ids = ids
    const tokenizer = new library.Tokenizer(
      {
        added_tokens: added,
        normalizer: parts.normalizer ?? null,
        pre_tokenizer: null,
        post_processor: parts.post_processor ?? null,
        decoder: null,
        model: { type: 'BPE', vocab: {}, merges: [], unk_token: null },
      },
      {},
    )
    // The library calls its parts as functions, and takes ours the same way.
    Object.assign(tokenizer, {
      normalizer: (text: string) => {
        const normalized = normalize(first(text))
        return normalized === '' ? '' : NORMALIZED + normalized
      },
      pre_tokenizer: (text: string, { section_index: section }: { section_index: number }) => {
        const plain = text.startsWith(NORMALIZED) ? text.slice(1) : text
        return plain === '' ? [] : split([plain], section === 0)
      },
      model: Object.assign(
        (words: readonly string[]) =>
          words.flatMap(word => Array.from(vocabulary.encode(word), id => names[id] as string)),
        { tokens_to_ids: ids, vocab: names },
      ),
    })
    this.#encode = text => tokenizer.encode(text, { add_special_tokens: false }).ids
    const frame = tokenizer.post_processor?.([NORMALIZED], null, true).tokens ?? [NORMALIZED]
    const middle = frame.indexOf(NORMALIZED)
    const idOf = (piece: string) => {
      const id = ids.get(piece)
      if (id !== undefined) return id
      throw new Error(`post_processor needs the piece '${piece}', which has no id`)
    }
    this.before = frame.slice(0, middle).map(idOf)
    this.after = frame.slice(middle + 1).map(idOf)
  }

  /** Ids of a text's pieces, without those in front and behind. */
  encode(text: string): number[] {
    return this.#encode(text)
  }
}

/** Words between white space, each with the mark of a word's beginning. */
export const WORDS = {
  type: 'Sequence',
  pretokenizers: [{ type: 'WhitespaceSplit' }, { type: 'Metaspace', prepend_scheme: 'always' }],
}

/**
 * Reads a tokenizer.json.
 *
 * @param options - `first`: as for {@link Pipeline}; `words`: what is between white space is cut by itself and the
 * table is all that is normalised by, whatever the file says, as transformers 5 has it for T5, XLM-RoBERTa and TIPSv2
 * @throws Error saying what is wrong with the file
 */
export function* readPipeline(
  file: Uint8Array,
  { first, words = false }: { first?: (text: string) => string; words?: boolean } = {},
): Steps<Pipeline> {
  const json = new LargeJson(file)
  const members = yield* json.members(json.whole)
  const model = members?.get('model')
  if (members === undefined || model === undefined) {
    throw new Error("it must hold an object 'model'")
  }
  const part = (name: string): unknown => {
    const found = members.get(name)
    return found === undefined ? undefined : json.value(found)
  }
  const vocabulary = yield* readModel(json, model)
  const parts = {
    added_tokens: addedPieces(part('added_tokens') ?? []),
    normalizer: words ? tableOf(part('normalizer')) : part('normalizer'),
    pre_tokenizer: words ? WORDS : part('pre_tokenizer'),
    post_processor: part('post_processor'),
  }
  return new Pipeline(parts, vocabulary, first)
}

/** The part of a normalizer that is a table; undefined without one. */
function tableOf(normalizer: unknown): unknown {
  const part = partOf(normalizer, 'normalizer')
  if (part?.type !== 'Sequence') return part?.type === 'Precompiled' ? part : undefined
  return listOf(part['normalizers'], 'normalizers').map(tableOf).find(Boolean)
}

function addedPieces(list: unknown): AddedPiece[] {
  if (!Array.isArray(list)) throw new Error('added_tokens must be a list')
  return list.map((entry: unknown, i) => {
    const { content, id } = (typeof entry === 'object' && entry) as Partial<AddedPiece>
    if (typeof content !== 'string' || content === '') {
      throw new Error(`added_tokens[${i}] must have a content`)
    }
    return { ...(entry as AddedPiece), content, id: checkId(id, content, 'added_tokens') }
  })
}

let library: Library | undefined

/** The library, loaded at the first call. */
function loadLibrary(): Library {
  if (library !== undefined) return library
  try {
    // At once, as `model.tokenize` needs it; and by the package's own place, which bundlers leave alone.
    const require = createRequire(packagePath('package.json'))
    library = require('@huggingface/tokenizers') as Library
  } catch (cause) {
    if (cause instanceof DeclipError) throw cause
    throw new DeclipError(
      'ERR_DECLIP_IO',
      `The package @huggingface/tokenizers, which this model's tokenizer needs, cannot be loaded: ${(cause as Error).message}. Install declip-native again, with its dependencies.`,
      { cause },
    )
  }
  return library
}

/** A part as an object; undefined where there is none. */
function partOf(value: unknown, place: string): Part | undefined {
  if (value === null || value === undefined) return undefined
  if (typeof value === 'object' && !Array.isArray(value)) return value as Part
  throw new Error(`${place} must be an object, found ${describe(value)}`)
}

function listOf(value: unknown, place: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw new Error(`${place} must be a list, found ${describe(value)}`)
}

const WHITE_SPACE = /\p{White_Space}+/u

function normalizerOf(value: unknown, library: Library): (text: string) => string {
  const part = partOf(value, 'normalizer')
  switch (part?.type) {
    case undefined:
      return text => text
    case 'Sequence': {
      const steps = listOf(part['normalizers'], 'normalizers').map(step =>
        normalizerOf(step, library),
      )
      return text => steps.reduce((done, step) => step(done), text)
    }
    case 'Precompiled': {
      const table = part['precompiled_charsmap'] ?? ''
      if (typeof table !== 'string') throw new Error('precompiled_charsmap must be base64')
      if (table === '') return text => text
      const charsmap = new Charsmap(Buffer.from(table, 'base64'))
      return text => charsmap.normalize(text)
    }
    case 'Lowercase':
      return lowerCharacters
    case 'Strip':
      return text => {
        const left = part['strip_left'] ? trimLeft(text) : text
        return part['strip_right'] ? trimRight(left) : left
      }
    default: {
      const theirs = new library.SequenceNormalizer({ type: 'Sequence', normalizers: [part] })
      return text => theirs.normalize(text)
    }
  }
}

/** Every character on its own: a sigma at the end of a word stays what it is inside one. */
export function lowerCharacters(text: string): string {
  const lower = text.toLowerCase()
  // A final sigma is the one thing that depends on its neighbours.
  return lower.includes('ς') ? Array.from(text, char => char.toLowerCase()).join('') : lower
}

/** Splits every word further; `first`: whether the words begin the whole text. */
type Splitter = (words: readonly string[], first: boolean) => readonly string[]

function splitterOf(value: unknown, library: Library): Splitter {
  const part = partOf(value, 'pre_tokenizer')
  switch (part?.type) {
    case undefined:
      return words => words
    case 'Sequence': {
      const steps = listOf(part['pretokenizers'], 'pretokenizers').map(step =>
        splitterOf(step, library),
      )
      return (words, first) => steps.reduce((done, step) => step(done, first), words)
    }
    case 'WhitespaceSplit':
      return words => words.flatMap(word => word.split(WHITE_SPACE).filter(Boolean))
    case 'Metaspace':
      return metaspace(part)
    case 'Split':
      return splitAt(part, library)
    default: {
      const theirs = new library.SequencePreTokenizer({ type: 'Sequence', pretokenizers: [part] })
      return (words, first) =>
        words.flatMap(word => theirs.pre_tokenize(word, { section_index: first ? 0 : 1 }))
    }
  }
}

/** Spaces become the mark that begins a word. */
function metaspace(part: Part): Splitter {
  const mark = String(part['replacement'] ?? '▁')
  const scheme = part['prepend_scheme'] ?? (part['add_prefix_space'] === false ? 'never' : 'always')
  const splits = part['split'] !== false
  return (words, first) =>
    words.flatMap((word, i) => {
      const marked = word.replaceAll(' ', mark)
      const prepends =
        !marked.startsWith(mark) &&
        (scheme === 'always' || (scheme === 'first' && first && i === 0))
      const whole = prepends ? mark + marked : marked
      return splits ? mergeWithNext(whole, mark) : [whole]
    })
}

/** Cuts in front of every mark. */
function mergeWithNext(text: string, mark: string): string[] {
  const parts: string[] = []
  let start = 0
  for (let at = text.indexOf(mark, 1); at > 0; at = text.indexOf(mark, at + mark.length)) {
    parts.push(text.slice(start, at))
    start = at
  }
  parts.push(text.slice(start))
  return parts
}

/** Splits at a text; patterns are left to the library. */
function splitAt(part: Part, library: Library): Splitter {
  const pattern = (part['pattern'] as { String?: unknown } | undefined)?.String
  const behavior = part['behavior']
  if (typeof pattern !== 'string' || pattern === '' || behavior !== 'MergedWithPrevious') {
    const theirs = new library.SplitPreTokenizer(part)
    return words => words.flatMap(word => theirs.pre_tokenize(word))
  }
  return words =>
    words.flatMap(word => {
      const parts = word.split(pattern)
      const last = parts.pop() as string
      return [...parts.map(each => each + pattern), last].filter(Boolean)
    })
}
