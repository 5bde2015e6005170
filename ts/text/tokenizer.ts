import { invalid } from '../errors.js'
import type { BytePairEncoder } from './byte-pairs.js'
import { type Cleaning, cleanText } from './cleaning/fix-text.js'
import { CLIP_MERGES_FILE, CLIP_SYMBOLS, clipEncoder } from './clip-merges.js'
import { kindOfFolder } from './folder-kind.js'
import { FolderTokenizer } from './folder-tokenizer.js'
import {
  type TextTokenizer,
  type TokenizeOptions,
  type Tokens,
  tokenRows,
} from './text-tokenizer.js'
import { readVocabulary, unusable, type Vocabulary } from './tokenizer-files.js'

/**
 * Which code base's spelling of the two special tokens a text may contain. Each takes the other's
 * for ordinary text; everything else is the same.
 */
export type SpecialTokens = 'openai' | 'open_clip'

/** Spellings of the start and end tokens inside a text, lower case. */
const SPECIAL_TOKENS = {
  openai: ['<|startoftext|>', '<|endoftext|>'],
  open_clip: ['<start_of_text>', '<end_of_text>'],
} as const satisfies Record<SpecialTokens, readonly [start: string, end: string]>

/** Options of {@link Tokenizer}. */
export interface TokenizerOptions {
  /** Spelling of the special tokens inside a text. Default 'openai'. */
  specialTokens?: SpecialTokens | undefined
  /** Default: CLIP's own. @internal */
  vocabulary?: Vocabulary | undefined
  /** Ids per text. Default 77. @internal */
  contextLength?: number | undefined
  /** What is done to a text first. Default: open_clip's 'lower', which is OpenAI's too. @internal */
  clean?: Cleaning | undefined
}

/**
 * CLIP's byte-pair tokenizer: the ids of OpenAI's and open_clip's Python code, their cleaning of
 * the text included (ftfy, HTML references, white space, lower case).
 *
 * @example
 * ```ts
 * const tokenizer = new Tokenizer()
 * tokenizer.encode('a photo of a cat.') // [49406, 320, 1125, 539, 320, 2368, 269, 49407]
 * ```
 */
export class Tokenizer implements TextTokenizer {
  /** Ids per text unless `tokenize` is told otherwise: 77, or the model's. */
  readonly contextLength: number
  /** Id behind the end of a text that is shorter than its row: 0. */
  readonly padId = 0
  /** Tells an unusual cleaning of texts. @internal */
  readonly key: string | undefined
  /** Id in front of every text; 49406 in CLIP's vocabulary. */
  readonly startId: number
  /** Id behind every text; 49407 in CLIP's vocabulary. */
  readonly endId: number
  readonly #encoder: BytePairEncoder
  readonly #specialIds: ReadonlyMap<string, number>
  readonly #words: RegExp
  readonly #clean: Cleaning

  /**
   * A tokenizer with CLIP's vocabulary of 49,408 ids.
   *
   * @param options - spelling of the special tokens
   * @throws DeclipError ERR_DECLIP_INVALID_ARG for an unknown spelling; ERR_DECLIP_IO if the
   * package's vocabulary cannot be read
   */
  constructor(options: TokenizerOptions = {}) {
    const {
      specialTokens = 'openai',
      vocabulary = clipVocabulary(),
      contextLength = 77,
      clean = 'lower',
    } = options
    if (!Object.hasOwn(SPECIAL_TOKENS, specialTokens)) {
      throw invalid('specialTokens', "'openai' or 'open_clip'", specialTokens)
    }
    const [start, end] = SPECIAL_TOKENS[specialTokens]
    const idOf = (name: string) => {
      const id = vocabulary.ids.get(name)
      if (id === undefined) throw unusable(vocabulary.path, `the special token ${name} has no id`)
      return id
    }
    this.startId = idOf(start)
    this.endId = idOf(end)
    this.contextLength = contextLength
    this.#clean = clean
    this.key = clean === 'lower' ? undefined : `clip ${clean}`
    this.#encoder = vocabulary.encoder
    this.#specialIds = new Map([
      [start, this.startId],
      [end, this.endId],
    ])
    this.#words = wordPattern(SPECIAL_TOKENS[specialTokens])
  }

  /**
   * The tokenizer of a folder from the hub, as its configurations say: CLIP's (`vocab.json` and `merges.txt`, or
   * `tokenizer.json`; the special tokens are spelled as in the vocabulary), SigLIP's, SigLIP 2's, MetaCLIP 2's, TIPSv2's,
   * or the one of an `open_clip_config.json`. Rows are as long as the model's texts.
   *
   * @param folder - path of the folder
   * @throws DeclipError ERR_DECLIP_WEIGHTS if the files are missing or unusable, ERR_DECLIP_IO if
   * one cannot be read, ERR_DECLIP_INVALID_ARG if `folder` is not a string
   * @example
   * ```ts
   * const tokenizer = await Tokenizer.fromFolder('clip-vit-base-patch16')
   * ```
   */
  static async fromFolder(folder: string): Promise<TextTokenizer> {
    if (typeof folder !== 'string' || folder === '') {
      throw invalid('folder', 'the path of a folder', folder)
    }
    const { kind, contextLength, clean } = await kindOfFolder(folder)
    if (kind !== 'clip') {
      const options = { contextLength: contextLength ?? 64, clean }
      const tokenizer = new FolderTokenizer(kind, folder, options)
      await tokenizer.ready()
      return tokenizer
    }
    // Of an open_clip folder, which has the vocabulary by heart.
    if (clean) return new Tokenizer({ specialTokens: 'open_clip', contextLength, clean })
    return clipTokenizerOf(folder)
  }

  /**
   * Ids of one text, from the start id to the end id, at full length.
   *
   * @param text - any string
   * @throws DeclipError ERR_DECLIP_INVALID_ARG if `text` is not a string
   * @example
   * ```ts
   * new Tokenizer().encode('cat') // [49406, 2368, 49407]
   * ```
   */
  encode(text: string): number[] {
    if (typeof text !== 'string') throw invalid('text', 'a string', text)
    const ids = [this.startId]
    for (const [word] of cleanText(text, this.#clean).matchAll(this.#words)) {
      const special = this.#specialIds.get(word)
      if (special !== undefined) ids.push(special)
      else for (const id of this.#encoder.encode(word)) ids.push(id)
    }
    ids.push(this.endId)
    return ids
  }

  /**
   * Ids of several texts as the rows of one array, padded with 0.
   *
   * @param texts - one string or several
   * @param options - row length in ids and what happens to longer texts
   * @throws DeclipError ERR_DECLIP_INVALID_ARG for anything else, and for a text of more than
   * `contextLength` ids if `truncate` is false
   * @example
   * ```ts
   * const { data, shape } = new Tokenizer().tokenize(['a cat', 'a dog']) // shape [2, 77]
   * ```
   */
  tokenize(texts: string | readonly string[], options: TokenizeOptions = {}): Tokens {
    return tokenRows(this, texts, options, (ids, length) => {
      ids.length = length
      ids[length - 1] = this.endId
    })
  }
}

/**
 * Splits clean text into special tokens, contractions, runs of letters, single digits and runs of
 * anything else but white space. The reference ignores case. In lower-cased text that changes two
 * things only: the long s stands for an s, and U+0345, which folds to a letter but is none, is in
 * no word at all.
 */
function wordPattern(special: readonly string[]): RegExp {
  const literal = special.map(name => name.replace(/[|]/g, '\\|')).join('|')
  return new RegExp(
    `${`${literal}|'s`.replaceAll('s', '[sſ]')}|'(?:t|re|ve|m|ll|d)` +
      '|\\p{L}+|\\p{N}|[^\\p{White_Space}\\p{L}\\p{N}\\u0345]+',
    'gu',
  )
}

/**
 * CLIP's tokenizer with the vocabulary of a folder.
 *
 * @throws DeclipError ERR_DECLIP_WEIGHTS if the files are missing or unusable, ERR_DECLIP_IO if one cannot be read
 */
export async function clipTokenizerOf(folder: string): Promise<Tokenizer> {
  const vocabulary = await readVocabulary(folder)
  const openClip = vocabulary.ids.has(SPECIAL_TOKENS.open_clip[0])
  return new Tokenizer({ specialTokens: openClip ? 'open_clip' : 'openai', vocabulary })
}

let clip: Vocabulary | undefined

/** CLIP's vocabulary; the ids are those of the special tokens, in both spellings. */
function clipVocabulary(): Vocabulary {
  if (clip === undefined) {
    const ids = new Map<string, number>()
    for (const [start, end] of Object.values(SPECIAL_TOKENS)) {
      ids.set(start, CLIP_SYMBOLS).set(end, CLIP_SYMBOLS + 1)
    }
    clip = { encoder: clipEncoder(), ids, path: CLIP_MERGES_FILE }
  }
  return clip
}

const shared = new Map<SpecialTokens, Tokenizer>()

/**
 * The tokenizer with CLIP's vocabulary, made on first use and shared after that.
 *
 * @param specialTokens - spelling of the special tokens inside a text, default 'openai'
 * @throws DeclipError as {@link Tokenizer}'s constructor
 * @example
 * ```ts
 * defaultTokenizer().encode('cat') // [49406, 2368, 49407]
 * ```
 */
export function defaultTokenizer(specialTokens: SpecialTokens = 'openai'): Tokenizer {
  let tokenizer = shared.get(specialTokens)
  if (tokenizer === undefined) {
    tokenizer = new Tokenizer({ specialTokens })
    shared.set(specialTokens, tokenizer)
  }
  return tokenizer
}
