import t from 'tap'
import {
  fixC1Controls,
  fixEncoding,
  looksLikeMojibake,
} from '../../../../ts/text/cleaning/mojibake.js'

const misread = (text: string, label: string) => new TextDecoder(label).decode(Buffer.from(text))

t.test('undoes UTF-8 read as another character set', async t => {
  const texts = ['Zażółć gęślą jaźń', 'съешь ещё', 'γλώσσα', 'crème brûlée – “été”', '日本語 😀']
  for (const text of texts) {
    const broken = misread(text, 'windows-1252')
    t.equal(looksLikeMojibake(broken), true, broken)
    t.equal(fixEncoding(broken), text)
    t.equal(fixEncoding(misread(broken, 'windows-1252')), text, 'two layers')
  }
  t.equal(fixEncoding(misread('Привет, мир', 'windows-1251')), 'Привет, мир')
  t.equal(fixEncoding(misread('“été”', 'macintosh')), '“été”')
})

t.test('leaves meant text alone', async t => {
  const texts = ['crème brûlée', 'Ångström', 'Москва', 'ΣΟΦΟΣ', '¿qué?', '20 °C ± ½', 'À la carte']
  for (const text of texts) {
    t.equal(looksLikeMojibake(text), false, text)
    t.equal(fixEncoding(text), text)
  }
})

t.test('mends the part of a mixed text that can be mended', async t => {
  t.equal(fixEncoding('漢字 Ã© 漢字 â€“ x'), '漢字 é 漢字 – x')
  t.equal(fixEncoding('漢字 \x93x\x94'), '漢字 “x”')
  t.equal(fixC1Controls('\x80\x81\x9f'), '€\x81Ÿ')
})
