/** Weights that hold NaN or infinity, under names or in files of other programs. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { packageRoot } from '../../../ts/base/package-files.js'
import { inspectCheckpoint, loadModel } from '../../../ts/index.js'
import { picture } from '../../support/calls.js'

const bytes = readFileSync(join(packageRoot, 'models/words-tiny/model.safetensors'))

/** words-tiny with a float16 value in one place of a tensor. */
function spoilt(t: Test, name: string, value: number): string {
  const copy = Buffer.from(bytes)
  const length = Number(copy.readBigUInt64LE(0))
  const header = JSON.parse(copy.subarray(8, 8 + length).toString())
  t.equal(header[name].dtype, 'F16')
  copy.writeUInt16LE(value, 8 + length + header[name].data_offsets[0])
  const path = join(t.testdir(), 'model.safetensors')
  writeFileSync(path, copy)
  return path
}

const NAN = 0x7e00
const INFINITY = 0x7c00

t.test('a vision tower with NaN or infinity is not loaded', async t => {
  const name = 'visual.transformer.resblocks.2.mlp.c_fc.weight'
  for (const value of [NAN, INFINITY]) {
    const path = spoilt(t, name, value)
    for (const dtype of ['float32', 'bfloat16'] as const) {
      await t.rejects(loadModel(path, { dtype }), {
        code: 'ERR_DECLIP_WEIGHTS',
        message: `tensor "${name}" holds NaN or infinite numbers`,
      })
    }
  }
})

t.test('a text tower with NaN answers no question about texts', async t => {
  const model = await loadModel(spoilt(t, 'text_projection', NAN))
  t.teardown(() => model.dispose())
  const expected = { code: 'ERR_DECLIP_WEIGHTS', message: '"text_projection" holds NaN' }
  await t.rejects(model.encodeText(['a dog']), expected)
  await t.rejects(model.vocabulary(['background', 'dog']), expected)
  t.ok(await model.encodeImage(picture(96, 96)), 'pictures do not need it')
})

t.test('a folder may hold any one file that ends as weights do', async t => {
  for (const ending of ['safetensors', 'pt', 'pth', 'bin', 'ckpt']) {
    const folder = t.testdir()
    writeFileSync(join(folder, `epoch=3.${ending}`), bytes)
    t.equal((await inspectCheckpoint(folder)).format, 'openai', ending)
  }
})
