import t from 'tap'
import { describeChecks } from '../../../ts/cli/doctor.js'

t.test('describeChecks', t => {
  t.equal(
    describeChecks([
      { name: 'Node', ok: true, detail: 'v20.19.0' },
      { name: 'Addon', ok: false, detail: 'failed', fix: 'Tried:\n  - a: none\nBuild it.' },
    ]),
    ['  ok  Node   v20.19.0', '  --  Addon  failed', '             Tried: a: none. Build it.'].join(
      '\n',
    ),
  )
  t.end()
})
