/** What all tokenizers have in common, and the rows of ids that models take. */

import { DeclipError, describe, invalid } from '../errors.js'

/** Options of {@link TextTokenizer.tokenize}. */
export interface TokenizeOptions {
  /** Ids per text, 2 to 65536. Default: the tokenizer's own, 77 for CLIP's. */
  contextLength?: number | undefined
  /** Cuts longer texts and ends them with the end id (true, the default), or throws (false). */
  truncate?: boolean | undefined
}

/** Ids of T texts, each padded to L ids. */
export interface Tokens {
  /** Row-major [T, L]. */
  readonly data: Int32Array
  readonly shape: readonly [texts: number, contextLength: number]
}

/** Turns texts into ids. */
export interface TextTokenizer {
  /**
   * Reads the files that it needs, in turns with the event loop; the other methods read them at once where nobody has
   * waited for this. Not there where nothing is to be read.
   *
   * @throws {@link DeclipError} ERR_DECLIP_WEIGHTS for files that are missing, damaged or not understood, ERR_DECLIP_IO
   * for such that cannot be read
   */
  ready?(): Promise<void>
  /** Tells tokenizers apart that make different ids of a text; CLIP's have none. @internal */
  readonly key?: string | undefined
  /** Ids per text unless `tokenize` is told otherwise. */
  readonly contextLength: number
  /** Id behind the end of a text that is shorter than its row. */
  readonly padId: number
  /**
   * Ids of one text at full length, those that a model wants in front and behind included.
   *
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG if `text` is not a string
   */
  encode(text: string): number[]
  /**
   * Ids of several texts as the rows of one array.
   *
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG for anything but texts, and for a text that is too long with
   * `truncate: false`
   */
  tokenize(texts: string | readonly string[], options?: TokenizeOptions): Tokens
}

/** The largest context length, in ids; far above any model's. */
const LONGEST_CONTEXT = 65536

/**
 * The rows of a tokenizer's ids.
 *
 * @param tokenizer - whose texts these are
 * @param cut - shortens ids that are too long to a row, in place
 * @throws DeclipError as {@link TextTokenizer.tokenize}
 * @internal
 */
export function tokenRows(
  tokenizer: Pick<TextTokenizer, 'encode' | 'contextLength' | 'padId'>,
  texts: string | readonly string[],
  options: TokenizeOptions,
  cut: (ids: number[], length: number) => void,
): Tokens {
  if (typeof options !== 'object' || options === null)
    throw invalid('options', 'an object', options)
  const { contextLength = tokenizer.contextLength, truncate = true } = options
  if (typeof texts !== 'string' && !Array.isArray(texts)) {
    throw invalid('texts', 'a string or an array of strings', texts)
  }
  if (!Number.isInteger(contextLength) || contextLength < 2 || contextLength > LONGEST_CONTEXT) {
    throw invalid('contextLength', `an integer from 2 to ${LONGEST_CONTEXT}`, contextLength)
  }
  if (typeof truncate !== 'boolean') throw invalid('truncate', 'true or false', truncate)
  const list = typeof texts === 'string' ? [texts] : texts
  const data = new Int32Array(list.length * contextLength).fill(tokenizer.padId)
  for (const [i, text] of list.entries()) {
    if (typeof text !== 'string') throw invalid(`texts[${i}]`, 'a string', text)
    const ids = tokenizer.encode(text)
    if (ids.length > contextLength) {
      if (!truncate) throw tooLong(text, ids.length, contextLength)
      cut(ids, contextLength)
    }
    data.set(ids, i * contextLength)
  }
  return { data, shape: [list.length, contextLength] }
}

function tooLong(text: string, length: number, contextLength: number): DeclipError {
  return new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `A text must have at most ${contextLength} ids (contextLength) with truncate: false, received ` +
      `${describe(text)} with ${length}. Shorten it or allow it to be cut with truncate: true.`,
  )
}
