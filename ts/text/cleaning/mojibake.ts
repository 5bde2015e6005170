/**
 * Finds and undoes mojibake: UTF-8 that was read as a single-byte character set.
 *
 * The method and its character lists are those of ftfy 6.3 (Robyn Speer, Apache-2.0,
 * https://github.com/rspeer/python-ftfy), written anew in TypeScript. CLIP was trained on text
 * that went through it, so its choices are kept even where another would be as good.
 */

import { CHARSETS, type Charset, decodeRange, decodeUtf8, encodeBytes } from './charsets.js'

// Members of character classes. Only characters that occur in mojibake are listed.
const C1 = '\\x80-\\x9f'
const UPPER = 'À-ÑØÜÝĀĂĄĆČĎĐĒĖĘĚĞĢĪİĶĹĻĽŁŃŅŇŒŘŚŞŠŢŤŮŰŸŹŻŽҐ'
const LOWER = 'ß-ñüāăąćčďđēėęěğģīįķĺļľłœŕśşšťźżžґﬁﬂ'
const GREEK_OR_CYRILLIC = 'ÞΆΈ-ΊΌΎΏΑ-ΫЁ-Яά-ωа-џ'
const GREEK_OR_CYRILLIC_LOWER = 'ά-ωа-џ'
const FACE = '°Ò-ÖÙ-Üò-öø-üŌŐŪŲ'
const COMMON = '\\xa0\\xad·´–-―’…'
const RARE = '¤¦¨ª¬¯¸ºƒˆˇ˘˛˜†‡‰⌐◊\\ufffd'
const LEGAL = '§¶'
const CURRENCY = '¢£¥₧€'
const OPENING = '¡©«¿΄΅‘‚“„•‹\\uf8ff'
const CLOSING = '®»˝”›™'
const NUMERIC = '±-³µ¹¼-¾×÷⁄№∂∆∏∑√∞∩∫≈≠≡≤≥'
const BOX = '│┌┐┘├┤┬┼═-╬▀▄█▌▐-▓'

// Python's \s and \w, which differ from JavaScript's.
const SPACE = '[\\p{White_Space}\\x1c-\\x1f]'
const WORD = '[\\p{L}\\p{N}_]'

const one = (...members: readonly string[]) => `[${members.join('')}]`
const LETTER = LOWER + UPPER
const ANY_SYMBOL = BOX + OPENING + CLOSING + CURRENCY + NUMERIC + LEGAL
const ARABIC_PAIR = `[ØÙ]${one(COMMON, CURRENCY, RARE, NUMERIC, OPENING, 'ŸŠ®°µ»')}`

/** Neighbours that hardly occur in intended text. */
const UNLIKELY = new RegExp(
  [
    one(C1),
    one(RARE, LETTER, ANY_SYMBOL) + one(RARE),
    one(RARE) + one(LETTER, ANY_SYMBOL),
    `[a-zA-Z]${one(GREEK_OR_CYRILLIC)}${one(RARE)}`,
    one(LOWER, GREEK_OR_CYRILLIC_LOWER, BOX, CLOSING, CURRENCY, NUMERIC) + one(UPPER),
    one(BOX, CLOSING, CURRENCY, NUMERIC) + one(LOWER),
    one(LOWER, BOX, CLOSING) + one(CURRENCY),
    SPACE + one(UPPER) + one(CURRENCY),
    one(UPPER, BOX) + one(NUMERIC, LEGAL),
    one(LETTER, BOX, CURRENCY, CLOSING) + one(OPENING) + one(NUMERIC),
    one(LETTER, CURRENCY, NUMERIC, BOX, LEGAL) + one(CLOSING) + one(OPENING),
    one(CURRENCY, NUMERIC, BOX) + one(OPENING),
    `[a-z]${one(UPPER)}${one(OPENING, CURRENCY)}`,
    one(BOX) + one(FACE),
    one(LETTER, CURRENCY, NUMERIC, OPENING, CLOSING, LEGAL) + one(BOX),
    one(BOX) + one(CLOSING),
    one(LETTER) + one(OPENING, CLOSING) + WORD,
    '[Œœ][^A-Za-z]',
    `${one(UPPER)}°`,
    // UTF-8 read as Windows-1252
    `[ÂÃÎÐ]${one('€œŠš¢£Ÿž\\xa0\\xad®©°·»', OPENING, CLOSING, '–—´')}`,
    '×[²³]',
    ARABIC_PAIR + ARABIC_PAIR,
    'à[²µ¹¼½¾]',
    'Ã[\\xa0¡]',
    `[a-z]${SPACE}?[ÃÂ] `,
    '^[ÃÂ] ',
    `${one('a-z.,?!', CLOSING)}Â${one(' ', OPENING, CLOSING)}`,
    // as MacRoman
    '√[±∂†≠®™´≤≥¥µø]',
    '≈[°¢]',
    '‚Ä[ìîïòôúùû†°¢π]',
    '‚[âó][àä°ê]',
    // as Windows-1251
    'вЂ',
    `[ВГРС]${one(C1, RARE, OPENING, CLOSING, CURRENCY, '°µ')}[ВГРС]`,
    'ГўВЂВ[^\\n][A-Za-z ]',
    // as Windows-1253
    'β€[™\\xa0Ά\\xad®°]',
    `[ΒΓΞΟ]${one(C1, RARE, OPENING, CLOSING, CURRENCY, '°')}[ΒΓΞΟ]`,
    // as Windows-1257
    'ā€',
  ].join('|'),
  'u',
)

/** Whether `text` holds a sequence that is more likely mojibake than meant. */
export function looksLikeMojibake(text: string): boolean {
  return UNLIKELY.test(text)
}

// What the bytes of UTF-8 sequences look like in the character sets related to Latin-1.
const readAs = (from: number, to = from) =>
  CHARSETS.filter(set => set.name === 'latin-1' || set.lossy)
    .flatMap(set => decodeRange(set, from, to))
    .join('')
const CONTINUATION = readAs(0x80, 0xbf)
const CONTINUATION_ONLY = CONTINUATION.replace(/[–—―‘’‚“”„•…]/g, '')
const UTF8_READ_AS_OTHER = new RegExp(
  `(?<!${one(CONTINUATION_ONLY)})(?:${[
    one(readAs(0xc2, 0xdf)) + one(CONTINUATION, ' '),
    `${one(readAs(0xe0, 0xef)) + one(CONTINUATION, ' ')}{2}`,
    `${one(readAs(0xf0), readAs(0xf3)) + one(CONTINUATION, ' ')}{3}`,
  ].join('|')})+`,
  'gu',
)

/** UTF-8 sequences in which a byte A0, a no-break space, was turned into a plain space. */
const SPACE_FOR_A0 = new RegExp(
  [
    '[\\xc2\\xc3\\xc5\\xce\\xd0\\xd9] ',
    '[\\xe2\\xe3] [\\x80-\\x84\\x86-\\x9f\\xa1-\\xbf]',
    '[\\xe0-\\xe3][\\x80-\\x84\\x86-\\x9f\\xa1-\\xbf] ',
    '\\xf0 [\\x80-\\xbf]{2}',
    '\\xf0[\\x80-\\xbf] [\\x80-\\xbf]',
    '\\xf0[\\x80-\\xbf]{2} ',
  ].join('|'),
  'g',
)

/** `Ã ` as a word of its own, not the start of Portuguese às, àquele, àquela, àquilo. */
const A_GRAVE_WORD = /\xc3 (?! |quele|quela|quilo|s )/g

/** UTF-8 and CESU-8 sequences with lost bytes, which read as 1A or, at most once, as '?'. */
const LOST = '\\x1a'
const LOST_BYTES = new RegExp(
  [
    `[\\xc2-\\xdf]${LOST}`,
    '[\\xc2\\xc3]\\?',
    `\\xed[\\xa0-\\xaf][${LOST}?]\\xed[\\xb0-\\xbf][${LOST}?\\x80-\\xbf]`,
    `\\xed[\\xa0-\\xaf][${LOST}?\\x80-\\xbf]\\xed[\\xb0-\\xbf][${LOST}?]`,
    `[\\xe0-\\xef][${LOST}?][${LOST}\\x80-\\xbf]`,
    `[\\xe0-\\xef][${LOST}\\x80-\\xbf][${LOST}?]`,
    `[\\xf0-\\xf4][${LOST}?][${LOST}\\x80-\\xbf]{2}`,
    `[\\xf0-\\xf4][${LOST}\\x80-\\xbf][${LOST}?][${LOST}\\x80-\\xbf]`,
    `[\\xf0-\\xf4][${LOST}\\x80-\\xbf]{2}[${LOST}?]`,
    LOST,
  ].join('|'),
  'g',
)

const REPLACEMENT_BYTES = '\xef\xbf\xbd'

/** Reads `text` as UTF-8 that was misread as one character set throughout, if it can be. */
function misreadAsOneCharset(text: string): string | undefined {
  for (const set of CHARSETS) {
    let bytes = encodeBytes(text, set)
    if (bytes === undefined) continue
    // In MacRoman an en dash and a space would match.
    if (set.name !== 'macroman' && bytes.search(SPACE_FOR_A0) >= 0) {
      bytes = bytes
        .replace(A_GRAVE_WORD, '\xc3\xa0 ')
        .replace(SPACE_FOR_A0, match => match.replace(' ', '\xa0'))
    }
    if (set.lossy) bytes = bytes.replace(LOST_BYTES, REPLACEMENT_BYTES)
    const fixed = decodeUtf8(bytes)
    if (fixed !== undefined) return fixed
  }
  return undefined
}

const windows1252 = CHARSETS.find(set => set.name === 'windows-1252') as Charset

/** Replaces C1 control characters by what the same bytes are in Windows-1252, as browsers do. */
export function fixC1Controls(text: string): string {
  return text.replace(
    /[\x80-\x9f]/g,
    char => windows1252.upperHalf[char.charCodeAt(0) - 0x80] as string,
  )
}

function fixOneLayer(text: string): string {
  if (!looksLikeMojibake(text)) return text
  const whole = misreadAsOneCharset(text)
  if (whole !== undefined) return whole
  // Only parts shorter than the text are looked into, so the recursion ends.
  const parts = text.replace(UTF8_READ_AS_OTHER, part =>
    part.length < text.length && looksLikeMojibake(part) ? fixEncoding(part) : part,
  )
  return parts !== text ? parts : fixC1Controls(text)
}

/** Undoes every layer of mojibake in `text`. */
export function fixEncoding(text: string): string {
  for (;;) {
    const fixed = fixOneLayer(text)
    if (fixed === text) return text
    text = fixed
  }
}
