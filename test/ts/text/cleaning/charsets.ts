import t from 'tap'
import {
  CHARSETS,
  decodeRange,
  decodeUtf8,
  encodeBytes,
} from '../../../../ts/text/cleaning/charsets.js'

const BYTES = Uint8Array.from({ length: 128 }, (_, i) => 0x80 + i)

t.test('tables equal those of the platform', async t => {
  for (const set of CHARSETS) {
    // The encoding standard has no cp437 and reads 'latin-1' as Windows-1252; Node 20 does the
    // opposite. Windows-1254 has all but six characters of Windows-1252.
    if (['cp437', 'latin-1', 'windows-1252'].includes(set.name)) continue
    const label = set.name === 'macroman' ? 'macintosh' : set.name
    const expected = [...new TextDecoder(label).decode(BYTES)]
    for (const [i, char] of decodeRange(set, 0x80, 0xff).entries()) {
      const byte = 0x80 + i
      if (char.charCodeAt(0) === byte) continue // unassigned, or as in Latin-1
      t.equal(char, expected[i], `${set.name} ${byte.toString(16)}`)
    }
  }
})

t.test('bytes and characters are one to one', async t => {
  for (const set of CHARSETS) {
    const upper = decodeRange(set, 0x80, 0xff)
    t.equal(new Set(upper).size, 128, set.name)
    t.equal(encodeBytes(upper.join(''), set), String.fromCharCode(...BYTES), set.name)
    t.equal(encodeBytes('plain\n', set), 'plain\n')
    t.equal(encodeBytes('漢', set), undefined)
    t.equal(encodeBytes('\ufffd', set), set.lossy ? '\x1a' : undefined)
    t.equal(encodeBytes('\x1a', set), set.lossy ? undefined : '\x1a')
  }
})

t.test('UTF-8 and its variants', async t => {
  const bytesOf = (text: string) => Buffer.from(text).toString('latin1')
  t.equal(decodeUtf8(bytesOf('é漢😀\ufeff')), 'é漢😀\ufeff')
  t.equal(decodeUtf8('\xed\xa0\xbd\xed\xb2\xa9'), '💩')
  t.equal(decodeUtf8('a\xc0\x80b'), 'a\0b')
  for (const bytes of ['\xc3', '\xc0\xaf', '\xed\xa0\xbd', '\xed\xb2\xa9\xed\xa0\xbd', '\xff']) {
    t.equal(decodeUtf8(bytes), undefined, JSON.stringify(bytes))
  }
})
