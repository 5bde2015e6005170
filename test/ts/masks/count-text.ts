import fc from 'fast-check'
import t from 'tap'
import { countText } from '../../../ts/masks/count-text.js'
import { compressRle } from '../../support/label-shapes.js'

t.test("counts become pycocotools' text", async t => {
  t.equal(countText([15, 16, 31, 32, 1, 1000, 3, 999999]), '?`0o0`0ROXn02gb_n0')
  const count = fc.oneof(fc.integer({ min: 0, max: 70 }), fc.integer({ min: 0, max: 2 ** 30 }))
  const lists = fc.array(count, { minLength: 1, maxLength: 12 })
  fc.assert(fc.property(lists, counts => countText(counts) === compressRle(counts)))
})
