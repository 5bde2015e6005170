/**
 * The single-byte character sets that UTF-8 is commonly misread as. Bytes are kept in "binary
 * strings", one character U+0000..U+00FF per byte, so that byte patterns are ordinary RegExps.
 */

/** Bytes 80..FF, 32 to a row; a space stands for the character with the byte's own number. */
const UPPER_HALVES = {
  'windows-1252': [
    '€ ‚ƒ„…†‡ˆ‰Š‹Œ Ž  ‘’“”•–—˜™š›œ žŸ',
    ' ¡¢£¤¥¦§¨©ª«¬ ®¯°±²³´µ¶·¸¹º»¼½¾¿',
    'ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×ØÙÚÛÜÝÞß',
    'àáâãäåæçèéêëìíîïðñòóôõö÷øùúûüýþÿ',
  ],
  'windows-1251': [
    'ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–— ™љ›њќћџ',
    ' ЎўЈ¤Ґ¦§Ё©Є«¬ ®Ї°±Ііґµ¶·ё№є»јЅѕї',
    'АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ',
    'абвгдежзийклмнопрстуфхцчшщъыьэюя',
  ],
  'windows-1250': [
    '€ ‚ „…†‡ ‰Š‹ŚŤŽŹ ‘’“”•–— ™š›śťžź',
    ' ˇ˘Ł¤Ą¦§¨©Ş«¬ ®Ż°±˛ł´µ¶·¸ąş»Ľ˝ľż',
    'ŔÁÂĂÄĹĆÇČÉĘËĚÍÎĎĐŃŇÓÔŐÖ×ŘŮÚŰÜÝŢß',
    'ŕáâăäĺćçčéęëěíîďđńňóôőö÷řůúűüýţ˙',
  ],
  'windows-1253': [
    '€ ‚ƒ„…†‡ ‰ ‹     ‘’“”•–— ™ ›    ',
    ' ΅Ά£¤¥¦§¨©ª«¬ ®―°±²³΄µ¶·ΈΉΊ»Ό½ΎΏ',
    'ΐΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡÒΣΤΥΦΧΨΩΪΫάέήί',
    'ΰαβγδεζηθικλμνξοπρςστυφχψωϊϋόύώÿ',
  ],
  'windows-1254': [
    '€ ‚ƒ„…†‡ˆ‰Š‹Œ    ‘’“”•–—˜™š›œ  Ÿ',
    ' ¡¢£¤¥¦§¨©ª«¬ ®¯°±²³´µ¶·¸¹º»¼½¾¿',
    'ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏĞÑÒÓÔÕÖ×ØÙÚÛÜİŞß',
    'àáâãäåæçèéêëìíîïğñòóôõö÷øùúûüışÿ',
  ],
  'windows-1257': [
    '€ ‚ „…†‡ ‰ ‹ ¨ˇ¸ ‘’“”•–— ™ › ¯˛ ',
    ' ¡¢£¤¥¦§Ø©Ŗ«¬ ®Æ°±²³´µ¶·ø¹ŗ»¼½¾æ',
    'ĄĮĀĆÄÅĘĒČÉŹĖĢĶĪĻŠŃŅÓŌÕÖ×ŲŁŚŪÜŻŽß',
    'ąįāćäåęēčéźėģķīļšńņóōõö÷ųłśūüżž˙',
  ],
  'iso-8859-2': [
    ' '.repeat(32),
    ' Ą˘Ł¤ĽŚ§¨ŠŞŤŹ ŽŻ°ą˛ł´ľśˇ¸šşťź˝žż',
    'ŔÁÂĂÄĹĆÇČÉĘËĚÍÎĎĐŃŇÓÔŐÖ×ŘŮÚŰÜÝŢß',
    'ŕáâăäĺćçčéęëěíîďđńňóôőö÷řůúűüýţ˙',
  ],
  macroman: [
    'ÄÅÇÉÑÖÜáàâäãåçéèêëíìîïñóòôöõúùûü',
    '†°¢£§•¶ß®©™´¨≠ÆØ∞±≤≥¥µ∂∑∏π∫ªºΩæø',
    '¿¡¬√ƒ≈∆«»…\xa0ÀÃÕŒœ–—“”‘’÷◊ÿŸ⁄€‹›ﬁﬂ',
    '‡·‚„‰ÂÊÁËÈÍÎÏÌÓÔ\uf8ffÒÚÛÙıˆ˜¯˘˙˚¸˝˛ˇ',
  ],
  cp437: [
    'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒ',
    'áíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐',
    '└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀',
    'αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\xa0',
  ],
} as const

/** Name of a character set of {@link CHARSETS}. */
export type CharsetName = 'latin-1' | keyof typeof UPPER_HALVES

/** One character set. */
export interface Charset {
  readonly name: CharsetName
  /** Characters of bytes 80..FF. */
  readonly upperHalf: readonly string[]
  /** Whether byte 1A stands for U+FFFD, the trace of a byte that a strict decoder gave up on. */
  readonly lossy: boolean
  /** Byte of each character that is not its own byte. */
  readonly bytes: ReadonlyMap<string, string>
}

const LOST_BYTE = '\x1a'

function charset(name: CharsetName, rows: readonly string[]): Charset {
  const upperHalf = Array.from(rows.join(''), (char, i) =>
    char === ' ' ? String.fromCharCode(0x80 + i) : char,
  )
  const lossy = name.startsWith('windows-')
  const bytes = new Map<string, string>()
  for (let byte = 0; byte < 0x80; byte++) {
    const char = String.fromCharCode(byte)
    if (!(lossy && char === LOST_BYTE)) bytes.set(char, char)
  }
  for (const [i, char] of upperHalf.entries()) bytes.set(char, String.fromCharCode(0x80 + i))
  if (lossy) bytes.set('\ufffd', LOST_BYTE)
  return { name, upperHalf, lossy, bytes }
}

/** In the order in which they are tried, the likeliest first. */
export const CHARSETS: readonly Charset[] = [
  charset('latin-1', Array(4).fill(' '.repeat(32))),
  ...Object.entries(UPPER_HALVES).map(([name, rows]) => charset(name as CharsetName, rows)),
]

/** The bytes that read as `text` in `set`, or undefined if there are none. */
export function encodeBytes(text: string, set: Charset): string | undefined {
  let bytes = ''
  for (const char of text) {
    const byte = set.bytes.get(char)
    if (byte === undefined) return undefined
    bytes += byte
  }
  return bytes
}

/** Characters that one of the bytes `from`..`to` (80..FF) stands for in `set`. */
export function decodeRange(set: Charset, from: number, to: number): readonly string[] {
  return set.upperHalf.slice(from - 0x80, to - 0x80 + 1)
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Reads bytes as UTF-8, and as two of its variants: CESU-8, where a surrogate pair takes twice
 * three bytes, and Java's C0 80 for U+0000. A final line feed counts as the missing last byte of
 * either, as in ftfy. Undefined if the bytes are none of these.
 */
export function decodeUtf8(bytes: string): string | undefined {
  const standard = bytes
    .replace(/\xc0(?:\x80|\n$)/g, '\0')
    .replace(
      /\xed([\xa0-\xaf])([\x80-\xbf])\xed([\xb0-\xbf])([\x80-\xbf]|\n$)/g,
      (_, a: string, b: string, c: string, d: string) => {
        const bits = (char: string, mask: number) => char.charCodeAt(0) & mask
        const high = (bits(a, 0x0f) << 16) | (bits(b, 0x3f) << 10)
        const codePoint = 0x10000 + high + ((bits(c, 0x0f) << 6) | bits(d, 0x3f))
        return Buffer.from(String.fromCodePoint(codePoint)).toString('latin1')
      },
    )
  try {
    return strictUtf8.decode(Buffer.from(standard, 'latin1'))
  } catch {
    return undefined
  }
}
