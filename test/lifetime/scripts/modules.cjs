/** The CommonJS and the ES module build of the package in one process. Prints 'same'. */
const assert = require('node:assert')
const commonjs = require('../../../dist/cjs/index.js')

const picture = {
  data: new Uint8Array(96 * 96 * 3).map((_, i) => (i * 7919) % 251),
  width: 96,
  height: 96,
}
const run = async ({ segment }) => {
  const seg = await segment(picture, ['cat', 'dog', 'background'])
  return Buffer.from(await seg.labels.data()).toString('base64')
}

void import('../../../dist/esm/index.js').then(async esm => {
  assert.notStrictEqual(esm.Tensor, commonjs.Tensor)
  const [a, b] = await Promise.all([run(esm), run(commonjs)])
  assert.strictEqual(a, b)
  // A handle of one build is no instance of the other's class, which has to say so.
  const foreign = commonjs.Tensor.from(new Float32Array(3 * 96 * 96), [1, 3, 96, 96])
  const model = await esm.loadModel()
  await assert.rejects(model.encodeImage(foreign), { code: 'ERR_DECLIP_INVALID_ARG' })
  console.log('same')
})
