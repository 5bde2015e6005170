import t from 'tap'
import {
  confusedPairs,
  namedConfusion,
  OUTSIDE,
  rowShares,
} from '../../../../ts/evaluate/report/confusion.js'

const matrix = (...rows: number[][]) => Float64Array.from(rows.flat())

t.test('a row and column of no class are left out unless something is in them', async t => {
  const inner = namedConfusion(matrix([3, 1, 0], [0, 2, 0], [0, 0, 0]), ['a', 'b'])
  t.same(inner, { names: ['a', 'b'], counts: matrix([3, 1], [0, 2]) })
  const outer = namedConfusion(matrix([3, 1, 0], [0, 2, 0], [0, 5, 0]), ['a', 'b'])
  t.same(outer.names, ['a', 'b', OUTSIDE])
  t.equal(outer.counts.length, 9)
  t.equal(namedConfusion(matrix([1, 2], [3, 4]), ['a', 'b']).counts.length, 4)
  t.throws(() => namedConfusion(matrix([1, 2], [3, 4]), ['a', 'b', 'c']), RangeError)
})

t.test('rows are shares of what is true', async t => {
  const shares = rowShares({ names: ['a', 'b'], counts: matrix([3, 1], [0, 0]) })
  t.same([...shares.subarray(0, 2)], [0.75, 0.25])
  t.ok(Number.isNaN(shares[2]), 'a class that never occurs has none')
})

t.test('the mistakes that take most of their class come first', async t => {
  const confusion = {
    names: ['sea', 'boat', 'sky'],
    counts: matrix([900, 60, 40], [7, 3, 0], [300, 0, 0]),
  }
  t.same(confusedPairs(confusion, 3), [
    { truth: 'sky', predicted: 'sea', count: 300, share: 1 },
    { truth: 'boat', predicted: 'sea', count: 7, share: 0.7 },
    { truth: 'sea', predicted: 'boat', count: 60, share: 0.06 },
  ])
  t.same(confusedPairs({ names: ['a'], counts: matrix([4]) }, 3), [])
})
