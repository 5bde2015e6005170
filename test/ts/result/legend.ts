import sharp from 'sharp'
import t from 'tap'
import { drawLegend, type LegendEntry } from '../../../ts/result/legend.js'

const entry = (name: string, area = 0.1): LegendEntry => ({ name, area, color: [200, 0, 0] })

t.test('entries flow into as many rows as the width asks for', async t => {
  const entries = ['car', 'traffic light', 'cat', 'stop sign'].map(name => entry(name))
  const narrow = drawLegend(entries, 200, 14)
  const wide = drawLegend(entries, 2000, 14)
  t.equal(narrow.width, 200)
  t.ok(narrow.height > wide.height)
  for (const { svg, width, height } of [narrow, wide]) {
    t.match(await sharp(Buffer.from(svg)).metadata(), { format: 'svg', width, height })
  }
  t.ok(drawLegend(entries, 3, 14).width >= 140, 'never too narrow to read')
})

t.test('Latin names need no font', async t => {
  const { svg } = drawLegend([entry('Gebäude & <"b">')], 400, 14)
  t.notMatch(svg, /<text|Geb/)
  const bare = drawLegend([entry('')], 400, 14).svg
  t.equal(svg.split('<path').length - bare.split('<path').length, 13)
})

t.test('other names are text, escaped and cleaned', async t => {
  const { svg } = drawLegend([entry('猫</text>&\u0007\ud800')], 400, 14)
  t.match(svg, />猫&#60;\/text&#62;&#38;<\/text>/)
  await sharp(Buffer.from(svg)).png().toBuffer()
})

t.test('long names and long lists are cut', async t => {
  const long = drawLegend([entry('x'.repeat(5000))], 300, 14)
  t.equal(long.width, 300)
  t.ok(long.svg.split('<path').length < 60)
  const many = Array.from({ length: 500 }, (_, i) => entry(`class ${i}`, 0.002))
  t.equal(drawLegend(many, 1000, 14).svg.split('rx=').length, 42, '40 entries and the rest')
})

t.test('shares are readable', async t => {
  const glyphs = (area: number) =>
    drawLegend([{ name: '', area }], 400, 14).svg.split('<path').length - 1
  t.equal(glyphs(0.731), 3, '73%')
  t.equal(glyphs(0.052), 4, '5.2%')
  t.equal(glyphs(0.0001), 5, '<0.1%')
  t.equal(glyphs(0.0996), 3, '10%')
})
