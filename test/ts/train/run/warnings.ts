/** What a run says about a processor that it does not suit, and about data that it leaves out. */
import t from 'tap'
import { leftOut } from '../../../../ts/train/data/batches.js'
import { slowFormat } from '../../../../ts/train/run/run.js'

const layers = { float32: 'oneDNN', bfloat16: 'oneDNN', int8: 'refused' }
const libtorch = 'LibTorch\u2019s linear layer'
const without = { cpu: 'AVX2', layers: { ...layers, float32: libtorch, bfloat16: libtorch } }

t.test('bfloat16 without units for it', async t => {
  t.match(slowFormat({ dtype: 'bfloat16', device: 'cpu' }, without), /AVX2.*many times slower/)
  t.equal(slowFormat({ dtype: 'bfloat16', device: 'cuda' }, without), null)
  t.equal(slowFormat({ dtype: 'float32', device: 'cpu' }, without), null)
  t.equal(slowFormat({ dtype: 'bfloat16', device: 'cpu' }, { cpu: 'AVX512', layers }), null)
})

t.test('labelled boxes that are not learnt from', async t => {
  const box: [number, number, number, number] = [0, 0, 8, 8]
  const regions = [{ box, label: 'cat' }, { box }, { box, label: 'dog' }]
  t.equal(leftOut({ regions }, 3), null)
  t.match(leftOut({ regions }, 2), /regions\.maxBoxes.*first 2 boxes/)
  t.equal(leftOut({ regions: regions.slice(0, 2) }, 1), null)
})
