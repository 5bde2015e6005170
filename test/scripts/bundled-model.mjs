import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packBundledModel, unpackBundledModel } from '../../scripts/build/bundled-model.mjs'
import { root } from '../../scripts/build/common.mjs'

const bytes = Buffer.from(Array.from({ length: 10_001 }, (_, i) => (i * i) % 251))

/** A folder with the weights `bytes` and what is tracked of them. */
function shipped(t) {
  const folder = t.testdir({})
  packBundledModel(bytes, folder)
  const [weights, packed, checksum] = ['', '.planes2.br', '.sha256'].map(end =>
    join(folder, `model.safetensors${end}`),
  )
  return { folder, weights, packed, checksum }
}

t.test('weights come back as they were, and are left alone while they are right', async t => {
  const { folder, weights } = shipped(t)
  t.ok(readFileSync(weights).equals(bytes))
  t.equal(unpackBundledModel(folder), false)
  for (const damage of [() => rmSync(weights), () => writeFileSync(weights, 'half of it')]) {
    damage()
    t.equal(unpackBundledModel(folder), true)
    t.ok(readFileSync(weights).equals(bytes))
  }
  t.strictSame(readdirSync(folder).length, 3, 'no temporary file is left')
  packBundledModel(bytes.subarray(5), folder, 'detector.safetensors')
  rmSync(join(folder, 'detector.safetensors'))
  t.equal(unpackBundledModel(folder), true, 'every packed file of the folder')
  t.ok(readFileSync(join(folder, 'detector.safetensors')).equals(bytes.subarray(5)))
  t.ok(readFileSync(weights).equals(bytes))
})

t.test('what is tracked is damaged', async t => {
  const { folder, weights, packed, checksum } = shipped(t)
  const [whole, sum] = [readFileSync(packed), readFileSync(checksum)]
  rmSync(weights)
  for (const half of [whole.subarray(0, whole.length / 2), Buffer.alloc(0)]) {
    writeFileSync(packed, half)
    t.throws(() => unpackBundledModel(folder), {
      message: /planes2\.br is damaged or not the file of/,
    })
  }
  writeFileSync(packed, whole)
  writeFileSync(checksum, `${'0'.repeat(64)}  model.safetensors\n`)
  t.throws(() => unpackBundledModel(folder), { message: /is damaged or not the file of/ })
  t.notOk(existsSync(weights), 'nothing was written')
  writeFileSync(checksum, sum)
  t.equal(unpackBundledModel(folder), true)
})

t.test("the package's own", async t => {
  const folder = join(root, 'models/words-tiny')
  const weights = readFileSync(join(folder, 'model.safetensors'))
  const text = readFileSync(join(folder, 'model.safetensors.sha256'), 'utf8')
  t.equal(text, `${createHash('sha256').update(weights).digest('hex')}  model.safetensors\n`)
  t.ok(statSync(join(folder, 'model.safetensors.planes2.br')).size < 6e6)
})
