import { readFileSync } from 'node:fs'
import t from 'tap'
import { cleanText, fixText } from '../../../../ts/text/cleaning/fix-text.js'

interface Case {
  text: string
  fixed: string
  clean: string
}

const { cases } = JSON.parse(
  readFileSync(new URL('../../../fixtures/text-cleaning/cases.json', import.meta.url), 'utf8'),
) as { cases: Case[] }

t.test('equals ftfy and CLIP on random mixtures', async t => {
  t.equal(cases.length, 500)
  for (const [i, { text, fixed, clean }] of cases.entries()) {
    t.equal(fixText(text), fixed, `case ${i}`)
    t.equal(cleanText(text), clean, `case ${i}`)
  }
})

t.test('each repair', async t => {
  const repairs: [name: string, text: string, fixed: string][] = [
    ['plain text', 'a photo of a "cat", etc.\n', 'a photo of a "cat", etc.\n'],
    ['nothing', '', ''],
    ['one layer of mojibake', 'schÃ¶n', 'schön'],
    ['two layers', 'schÃƒÂ¶n', 'schön'],
    ['a part of the text', 'âœ” 漢字', '✔ 漢字'],
    ['quotes, straightened', '“it’s”', '"it\'s"'],
    ['ligatures', 'ﬂuﬃeﬆ ﬅ Ǆ', 'fluffiest ſt DŽ'],
    ['widths', 'ＬＯＵＤ　ｶﾞ', 'LOUD ガ'],
    ['HTML', 'P&EACUTE;REZ &amp;lt; &amp', 'PÉREZ < &amp'],
    ['line breaks', 'a\r\nb\rc\u2028d\u0085e', 'a\nb\nc\nd…e'],
    ['lone surrogates', 'a\ud83db\udca9', 'a\ufffdb\ufffd'],
    ['terminal escapes', '\x1b[36;44mblue\x1b[0m', 'blue'],
    ['control characters', '\ufeffa\0b\x7fc\u206a\ufffc', 'abc'],
    ['composition', 'e\u0301', 'é'],
    ['a no-break space turned into a space', 'voilÃ le travail', 'voilà le travail'],
    ['lost bytes', 'â€œlikeâ€�', '"like�'],
    ['CESU-8', '\xed\xa0\xbd\xed\xb2\xa9 x', '💩 x'],
    ['C1 control characters', 'a\x93b\x94', 'a"b"'],
  ]
  for (const [name, text, fixed] of repairs) t.equal(fixText(text), fixed, name)
})

t.test('from the first < on, HTML keeps its references', async t => {
  t.equal(fixText('&eacute;\n<b>&eacute;\n&eacute;'), 'é\n<b>&eacute;\n&eacute;')
})

t.test('cleaning unescapes, collapses, strips, lowers', async t => {
  t.equal(cleanText(' A&NBSP;\t\u2003B &amp;amp;lt; ΟΔΟΣ İ\n'), 'a b < οδος i\u0307')
})
