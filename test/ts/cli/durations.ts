import t from 'tap'
import { duration, perSecond } from '../../../ts/cli/durations.js'

t.test('how long and how fast', t => {
  t.strictSame([0, 12.34, 59.94, 59.96, 200.4, 3599.6, 7500].map(duration), [
    '0.0 s',
    '12.3 s',
    '59.9 s',
    '1 min 0 s',
    '3 min 20 s',
    '1 h 0 min',
    '2 h 5 min',
  ])
  t.equal(perSecond(50, 4), '12.5 pictures/s')
  t.equal(perSecond(1, 0), '1000.0 pictures/s')
  t.end()
})
