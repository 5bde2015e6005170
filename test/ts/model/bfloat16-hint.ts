import { join } from 'node:path'
import t from 'tap'
import { loadAddon } from '../../../ts/engine/load-addon.js'
import { BFLOAT16_FASTER, bfloat16Hint } from '../../../ts/model/bfloat16-hint.js'
import { loadModel } from '../../../ts/model/load.js'

const sizes = { width: 768, layers: 12, heads: 12, mlp: 3072 }
const vision = { ...sizes, activation: 'gelu', registers: 0, poolingHead: null }
const info = { dtype: 'float32' as const, device: 'cpu', textSpace: true, vision }
const units = { bfloat16Units: true }

t.test('only where float32 was not asked for and bfloat16 is faster', t => {
  t.match(bfloat16Hint(undefined, info, units), /1\.7 to 1\.9 times as fast/)
  t.ok(bfloat16Hint('auto', info, units))
  t.equal(bfloat16Hint('float32', info, units), null)
  t.equal(bfloat16Hint(undefined, info, { bfloat16Units: false }), null)
  t.equal(bfloat16Hint('auto', { ...info, device: 'cuda:0' }, units), null)
  t.equal(bfloat16Hint('auto', { ...info, dtype: 'float16' }, units), null)
  t.equal(bfloat16Hint('auto', { ...info, textSpace: false }, units), null, 'not measured')
  t.equal(bfloat16Hint('auto', { ...info, vision: { ...vision, width: 384 } }, units), null)
  t.end()
})

t.test('it is said once per process', async t => {
  const path = join(t.testdir(), 'wide.safetensors')
  const addon = loadAddon()
  await addon.createCheckpoint({
    path,
    seed: 1,
    start: 'random',
    model: {
      family: 'clip',
      imageSize: 32,
      patchSize: 16,
      width: 768,
      layers: 1,
      heads: 12,
      mlp: 768,
      embedDim: 16,
      text: { width: 64, layers: 1, heads: 1, contextLength: 77, vocab: 49408 },
    },
  })
  const said: string[] = []
  const listen = (warning: Error & { code?: string }) => {
    if (warning.code === BFLOAT16_FASTER) said.push(warning.message)
  }
  process.on('warning', listen)
  t.teardown(() => process.off('warning', listen))
  const load = async (dtype?: 'auto' | 'float32') => {
    const model = await loadModel(path, { dtype })
    model.dispose()
    await new Promise(setImmediate)
  }
  await load('float32')
  t.strictSame(said, [])
  await load()
  await load('auto')
  t.equal(said.length, addon.runtime().bfloat16Units ? 1 : 0)
})
