/**
 * CLIP's cleaning of a text before it is split into words: `ftfy.fix_text` with its default
 * options, `html.unescape` twice, white space collapsed, lower case.
 */

import { unescapeHtml, unescapeStrictHtml } from './html.js'
import { fixC1Controls, fixEncoding } from './mojibake.js'
import { collapseSpace } from './white-space.js'

const PLAIN = /^[\t\n\x20-\x25\x27-\x7e]*$/

const ESC = '\x1b'
const TERMINAL_ESCAPE = new RegExp(`${ESC}\\[[\\p{Nd};]*[a-zA-Z]`, 'gu')
const CONTROL = /(?![\t\n\f\r\x80-\x9f])\p{Cc}|[\u206a-\u206f\ufeff\ufff9-\ufffc]/gu
const LIGATURE = /[ĲĳŉǄ-ǌǱ-ǳﬀ-ﬆ]/g
const WIDE_OR_NARROW = /[\u3000\uff01-\uffef]/g

const toCompatible = (char: string) => char.normalize('NFKC')

function fixLine(line: string, readsHtml: boolean): string {
  for (let text = line; ; ) {
    const fixed = fixC1Controls(fixEncoding(readsHtml ? unescapeStrictHtml(text) : text))
      // NFKC would also turn the long s of this one into a plain s.
      .replace(LIGATURE, char => (char === 'ﬅ' ? 'ſt' : toCompatible(char)))
      .replace(WIDE_OR_NARROW, toCompatible)
      .replace(/[“-‟]/g, '"')
      .replace(/[ʼ‘-‛]/g, "'")
      .replace(/\r\n|[\r\u2028\u2029\x85]/g, '\n')
      .replace(/\p{Surrogate}/gu, '\ufffd')
      .replace(TERMINAL_ESCAPE, '')
      .replace(CONTROL, '')
      .normalize('NFC')
    if (fixed === text) return text
    text = fixed
  }
}

/**
 * `ftfy.fix_text` with its default options: undoes mojibake, reads HTML character references,
 * straightens quotes, expands ligatures and full-width letters, removes control characters and
 * terminal escapes, normalises to NFC.
 */
export function fixText(text: string): string {
  if (PLAIN.test(text)) return text
  let readsHtml = true
  return text.replace(/[^\n]*\n|[^\n]+$/g, line => {
    // From the first '<' on, the text is taken to be HTML that means its references.
    if (line.includes('<')) readsHtml = false
    return fixLine(line, readsHtml)
  })
}

/**
 * What open_clip does to a text: 'whitespace' is ftfy, HTML references read twice and white space collapsed; 'lower',
 * which is CLIP's own, also lower case; 'canonicalize' has blanks for underscores and no ASCII punctuation.
 */
export type Cleaning = 'lower' | 'whitespace' | 'canonicalize'

/** The 32 characters of Python's `string.punctuation`. */
const PUNCTUATION = /[!-/:-@[-`{-~]/g

/** Without ASCII punctuation. */
export function removePunctuation(text: string): string {
  return text.replace(PUNCTUATION, '')
}

/**
 * The text as CLIP's tokenizer sees it. OpenAI and open_clip collapse white space by different
 * sets, which differ only in U+001C..U+001F; {@link fixText} has removed those.
 */
export function cleanText(text: string, cleaning: Cleaning = 'lower'): string {
  const read = unescapeHtml(unescapeHtml(fixText(text)))
  if (cleaning === 'whitespace') return collapseSpace(read)
  if (cleaning === 'lower') return collapseSpace(read).toLowerCase()
  return collapseSpace(removePunctuation(read.replaceAll('_', ' ')).toLowerCase())
}
