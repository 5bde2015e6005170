/** Character references of HTML, read as Python's `html.unescape` and as ftfy read them. */

import { decodeHTML, decodeHTMLStrict } from 'entities/decode'

/** Code points that a numeric reference may not name: controls and noncharacters. */
const FORBIDDEN = /^(?:(?![\t\n\f\r])\p{Cc}|\p{Noncharacter_Code_Point})$/u

const REFERENCE = /&(?:#(?:([0-9]+)|[xX]([0-9a-fA-F]+));?|[^\t\n\f <&#;]{1,32};?)/gu

function fromNumber(codePoint: number): string {
  if (codePoint === 0 || codePoint > 0x10ffff) return '\ufffd'
  if (codePoint >= 0xd800 && codePoint <= 0xdfff) return '\ufffd'
  // HTML reads C1 controls as Windows-1252; the library knows that table.
  if (codePoint >= 0x80 && codePoint <= 0x9f) return decodeHTML(`&#${codePoint};`)
  const char = String.fromCodePoint(codePoint)
  return FORBIDDEN.test(char) ? '' : char
}

/** `html.unescape` of Python: names with or without a semicolon, numbers, invalid code points. */
export function unescapeHtml(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(REFERENCE, (match, decimal?: string, hex?: string) => {
    if (decimal !== undefined) return fromNumber(Number.parseInt(decimal, 10))
    if (hex !== undefined) return fromNumber(Number.parseInt(hex, 16))
    return decodeHTML(match)
  })
}

const STRICT_REFERENCE = /&#?[0-9A-Za-z]{1,24};/g

/**
 * ftfy's careful variant: only references that end in a semicolon, and also names written in
 * capitals that mean nothing else, such as `&EACUTE;`.
 */
export function unescapeStrictHtml(text: string): string {
  return text.replace(STRICT_REFERENCE, match => {
    if (match.startsWith('&#')) {
      const decoded = unescapeHtml(match)
      return decoded.includes(';') ? match : decoded
    }
    const decoded = decodeHTMLStrict(match)
    if (decoded !== match || decodeHTML(match) !== match) return decoded
    const lower = match.toLowerCase()
    if (lower.toUpperCase() !== match) return match
    const small = decodeHTMLStrict(lower)
    return small === lower ? match : small.toUpperCase()
  })
}
