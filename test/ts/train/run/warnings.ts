/** What a run says about a processor that it does not suit, and about data that it leaves out. */
import t from 'tap'
import { leftOut } from '../../../../ts/train/data/batches.js'
import { slowFormat } from '../../../../ts/train/run/run.js'

const without = { cpu: 'AVX2', bfloat16Units: false }
const having = { cpu: 'AVX512', bfloat16Units: true }

t.test('bfloat16 without units for it', async t => {
  t.match(slowFormat({ dtype: 'bfloat16', device: 'cpu' }, without), /AVX2.*many times slower/)
  t.equal(slowFormat({ dtype: 'bfloat16', device: 'cuda' }, without), null)
  t.equal(slowFormat({ dtype: 'float32', device: 'cpu' }, without), null)
  t.equal(slowFormat({ dtype: 'bfloat16', device: 'cpu' }, having), null)
})

t.test('labelled boxes that are not learnt from', async t => {
  const box: [number, number, number, number] = [0, 0, 8, 8]
  const regions = [{ box, label: 'cat' }, { box }, { box, label: 'dog' }]
  t.equal(leftOut({ regions }, 3), null)
  t.match(leftOut({ regions }, 2), /regions\.maxBoxes.*first 2 boxes/)
  t.equal(leftOut({ regions: regions.slice(0, 2) }, 1), null)
})
