import t from 'tap'
import { describeChecks } from '../../../ts/cli/doctor.js'

t.test('describeChecks', t => {
  t.equal(
    describeChecks([
      { name: 'Node', state: 'ok', detail: 'v20.19.0' },
      { name: 'Cache', state: 'note', detail: 'read-only' },
      {
        name: 'Native part',
        state: 'failed',
        detail: 'failed',
        fix: 'Tried:\n  - a: none\nBuild it.',
      },
      { name: 'GPU', state: 'skipped', detail: 'needs: Native part' },
    ]),
    [
      '  ok    Node         v20.19.0',
      '  note  Cache        read-only',
      '  FAIL  Native part  failed',
      '                     Tried: a: none. Build it.',
      '  -     GPU          needs: Native part',
    ].join('\n'),
  )
  t.end()
})
