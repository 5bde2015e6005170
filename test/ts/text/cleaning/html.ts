import t from 'tap'
import { unescapeHtml, unescapeStrictHtml } from '../../../../ts/text/cleaning/html.js'

t.test("as Python's html.unescape", async t => {
  const cases: [text: string, expected: string][] = [
    ['no reference', 'no reference'],
    ['&eacute;&eacute &amp;amp;', 'éé &amp;'],
    ['&notit; &notin; &notin &no;', '¬it; ∉ ¬in &no;'],
    ['&#65;&#65 &#x41;&#X41z', 'AA AAz'],
    ['&#x80;&#129;&#x85;', '€\x81…'],
    ['&#0;&#xd800;&#1114112;', '\ufffd\ufffd\ufffd'],
    ['&#1;&#127;&#xfdd0;&#x1ffff;', ''],
    ['&#9;&#10;&#12;&#13;', '\t\n\f\r'],
    ['&#x1F600;', '😀'],
    [`&#${'9'.repeat(400)};`, '\ufffd'],
    ['& &; &# &#x; &#xg;', '& &; &# &#x; &#xg;'],
    ['&CounterClockwiseContourIntegral;', '∳'],
  ]
  for (const [text, expected] of cases) t.equal(unescapeHtml(text), expected, text)
})

t.test("as ftfy's: a semicolon is needed, capitals are understood", async t => {
  const cases: [text: string, expected: string][] = [
    ['&eacute; &eacute &EACUTE; &eACUTE;', 'é &eacute É &eACUTE;'],
    ['&SZLIG; &AMP; &LTIMES; &NOPE;', 'SS & &LTIMES; &NOPE;'],
    ['&#233; &#233 &#xe9; &#x3b; &#abc;', 'é &#233 é &#x3b; &#abc;'],
  ]
  for (const [text, expected] of cases) t.equal(unescapeStrictHtml(text), expected, text)
})
