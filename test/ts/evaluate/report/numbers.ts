import t from 'tap'
import { count, NONE, percent, points, share } from '../../../../ts/evaluate/report/numbers.js'

t.test('figures as papers write them', async t => {
  t.equal(percent(0.58286), '58.29')
  t.equal(percent(1, 0), '100')
  t.equal(percent(null), NONE)
  t.equal(percent(Number.NaN), NONE)
  t.equal(points(0.0123), '+1.23')
  t.equal(points(-0.2), '−20.00')
  t.equal(count(1234567), '1,234,567')
  t.equal(count(999), '999')
  t.equal(share(1, 3), '33.3')
  t.equal(share(1, 1e9), '<0.01')
  t.equal(share(0, 5), '0.00')
  t.equal(share(0, 0), NONE)
})
