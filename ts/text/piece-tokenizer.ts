import { invalid } from '../errors.js'
import {
  type TextTokenizer,
  type TokenizeOptions,
  type Tokens,
  tokenRows,
} from './text-tokenizer.js'

/** What a {@link PieceTokenizer} is made of. */
export interface PieceRules {
  /** Ids of a text's pieces; the text has no lone surrogates. */
  readonly pieces: (text: string) => readonly number[]
  /** Of every piece. */
  readonly ids: ReadonlyMap<string, number>
  /** Ids in front of every text. */
  readonly before?: readonly number[] | undefined
  /** Ids behind every text. */
  readonly after?: readonly number[] | undefined
  /** Whether a text that spells its own end gets no other. */
  readonly endsOnce?: boolean | undefined
  readonly padId: number
  readonly contextLength: number
}

/** Tokenizer of a vocabulary that is not CLIP's. */
export class PieceTokenizer implements TextTokenizer {
  readonly contextLength: number
  readonly padId: number
  readonly #rules: PieceRules

  constructor(rules: PieceRules) {
    this.contextLength = rules.contextLength
    this.padId = rules.padId
    this.#rules = rules
  }

  /** Id behind every text, if there is one. */
  get endId(): number | undefined {
    return this.#rules.after?.at(-1)
  }

  encode(text: string): number[] {
    if (typeof text !== 'string') throw invalid('text', 'a string', text)
    const { before = [], after = [], endsOnce = false, pieces } = this.#rules
    const ids = [...before]
    for (const id of pieces(wellFormed(text))) ids.push(id)
    if (!endsOnce || ids.at(-1) !== after[0]) ids.push(...after)
    return ids
  }

  tokenize(texts: string | readonly string[], options: TokenizeOptions = {}): Tokens {
    const { after = [] } = this.#rules
    return tokenRows(this, texts, options, (ids, length) => {
      ids.length = length - after.length
      ids.push(...after)
    })
  }
}

/** Half a character becomes the replacement character, as where it is written in UTF-8. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd')
}
