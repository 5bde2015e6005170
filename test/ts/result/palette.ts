import t from 'tap'
import { overlayColor, vocColor } from '../../../ts/result/palette.js'

t.test('the PASCAL VOC colour map', async t => {
  // Colours of the 20 classes and the border label 255 in the VOC development kit.
  t.same(vocColor(0), [0, 0, 0])
  t.same(vocColor(1), [128, 0, 0])
  t.same(vocColor(8), [64, 0, 0])
  t.same(vocColor(15), [192, 128, 128])
  t.same(vocColor(20), [0, 64, 128])
  t.same(vocColor(255), [224, 224, 192])
})

t.test('both maps give every class its own colour', async t => {
  for (const color of [vocColor, overlayColor]) {
    const colors = Array.from({ length: 256 }, (_, i) => color(i))
    t.ok(colors.flat().every(value => Number.isInteger(value) && value >= 0 && value <= 255))
    t.ok(new Set(colors.map(String)).size > 240)
    t.equal(new Set(colors.slice(0, 40).map(String)).size, 40)
  }
})
