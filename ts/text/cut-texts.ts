import { warnOnce } from '../base/warn.js'
import type { TextTokenizer, TokenizeOptions, Tokens } from './text-tokenizer.js'

/** Code of the warning that the end of a text was left out. */
export const CUT_TEXT_WARNING = 'DECLIP_TEXT_CUT'

/**
 * Ids of texts, of which those that are too long are cut, as every tokenizer here does unless told otherwise.
 * What nobody asked to be cut is said once for each length.
 *
 * @param options - `truncate`: true where the caller knows, false to have long texts refused
 * @throws DeclipError as the tokenizer
 * @internal
 */
export function tokenizeOrCut(
  tokenizer: Pick<TextTokenizer, 'tokenize'>,
  texts: string | readonly string[],
  options: TokenizeOptions & { contextLength: number },
): Tokens {
  if (options.truncate !== undefined) return tokenizer.tokenize(texts, options)
  try {
    return tokenizer.tokenize(texts, { ...options, truncate: false })
  } catch {
    // Anything else that is wrong with them is thrown again.
    const cut = tokenizer.tokenize(texts, options)
    const { contextLength } = options
    warnOnce(
      `A text is longer than the ${contextLength} tokens that this model reads, and its end was left out. Shorten it, load a model with a longer context, or give truncate: true to have texts cut without this warning, false to have them refused.`,
      CUT_TEXT_WARNING,
      `cut at ${contextLength}`,
    )
    return cut
  }
}
