import t from 'tap'
import { worstOf } from '../../../../ts/evaluate/report/worst.js'

t.test('the lowest scores, equal ones by id, none without a score', async t => {
  const pictures = [
    { id: 'd', score: 0.2 },
    { id: 'b', score: 0.2 },
    { id: 'a', score: 0.9 },
    { id: 'z', score: 0 },
    { id: 'n', score: null },
  ]
  t.same(
    worstOf(pictures, 3).map(({ id }) => id),
    ['z', 'b', 'd'],
  )
  t.same(worstOf([], 3), [])
})
