import { Tensor } from '../engine/tensor.js'
import { tokenizeOrCut } from './cut-texts.js'
import type { TokenizeOptions } from './text-tokenizer.js'
import { defaultTokenizer } from './tokenizer.js'

/**
 * Token ids of texts by CLIP's own tokenizer, without a model: int32 [T, contextLength], start and
 * end ids included, padded with 0.
 *
 * @param texts - one text or several
 * @param options - a text that is longer than `contextLength` is cut, with a warning of code 'DECLIP_TEXT_CUT' once
 * unless `truncate: true` says that this is meant
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG for a text that is too long with `truncate: false`
 *
 * @example
 * ```ts
 * const ids = tokenize(['a photo of a cat.', 'sky'])
 * ids.shape // [2, 77]
 * ```
 */
export function tokenize(texts: string | readonly string[], options: TokenizeOptions = {}): Tensor {
  const { contextLength = 77 } = options
  const { data, shape } = tokenizeOrCut(defaultTokenizer(), texts, { ...options, contextLength })
  return Tensor.from(data, shape)
}
