/** `require` and `import` of the package in one process are one package. Prints 'same'. */
const assert = require('node:assert')
const required = require('declip-native')

const picture = {
  data: new Uint8Array(96 * 96 * 3).map((_, i) => (i * 7919) % 251),
  width: 96,
  height: 96,
}

void import('declip-native').then(async imported => {
  const names = Object.keys(required).sort()
  assert.deepStrictEqual(
    names,
    Object.keys(imported)
      .filter(name => name !== 'module.exports')
      .sort(),
  )
  for (const name of names) assert.strictEqual(imported[name], required[name], name)

  const model = await required.loadModel()
  assert(model instanceof imported.Model)
  const tensor = required.Tensor.from(new Float32Array(3 * 96 * 96), [1, 3, 96, 96])
  await imported.segment(picture, ['cat', 'dog', 'background'], { model })
  await model.encodeImage(tensor)
  await assert.rejects(required.loadModel('/nowhere'), imported.DeclipError)
  console.log('same')
})
