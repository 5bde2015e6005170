/** What a run says about a processor that it does not suit. */
import t from 'tap'
import { slowFormat } from '../../../ts/train/run.js'

const layers = { float32: 'oneDNN', bfloat16: 'oneDNN', int8: 'refused' }
const without = { cpu: 'AVX2', layers: { ...layers, bfloat16: 'LibTorch' } }

t.test('bfloat16 without units for it', async t => {
  t.match(slowFormat({ dtype: 'bfloat16', device: 'cpu' }, without), /AVX2.*many times slower/)
  t.equal(slowFormat({ dtype: 'bfloat16', device: 'cuda' }, without), null)
  t.equal(slowFormat({ dtype: 'float32', device: 'cpu' }, without), null)
  t.equal(slowFormat({ dtype: 'bfloat16', device: 'cpu' }, { cpu: 'AVX512', layers }), null)
})
