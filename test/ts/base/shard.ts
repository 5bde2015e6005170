import t from 'tap'
import { inShard, parseShard } from '../../../ts/base/shard.js'

t.test('parts are disjoint, complete, about equal and the same for ever', t => {
  const places = Array.from({ length: 3000 }, (_, i) => `folder ${i % 7}/photo-${i}.jpg`)
  const parts = [1, 2, 3].map(index => places.filter(place => inShard(place, { index, count: 3 })))
  t.strictSame(parts.flat().sort(), places.toSorted())
  for (const part of parts) t.ok(Math.abs(part.length - 1000) < 100, `${part.length} of 3000`)
  t.ok(inShard('a.png', { index: 1, count: 1 }))
  // sha256('a.png') begins with 7f071235 805f
  t.ok(inShard('a.png', { index: (0x7f071235805f % 10) + 1, count: 10 }))
  t.end()
})

t.test('i/n', t => {
  t.strictSame(parseShard('2/4'), { index: 2, count: 4 })
  for (const text of ['0/4', '5/4', '1/0', '1', '/2', '1/2/3', '-1/2', 'a/b', '']) {
    t.equal(parseShard(text), undefined, `'${text}'`)
  }
  t.end()
})
