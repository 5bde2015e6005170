import { mkdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { packageRoot } from '../../../ts/base/package-files.js'
import { releaseModels } from '../../../ts/index.js'
import { keptModel } from '../../../ts/model/kept-models.js'
import type { Model } from '../../../ts/model/model.js'

t.afterEach(() => releaseModels())

/** Something that was loaded, and how often it was disposed. */
function fake(device: string, dtype: string) {
  const model = { info: { device, dtype }, disposed: 0, dispose: () => (model.disposed += 1) }
  return model as typeof model & Model
}
const never = () => t.fail('it is loaded already') as never

t.test('one model, however its device and number format are asked for', async t => {
  const first = fake('cpu', 'float32')
  t.equal(await keptModel('words-tiny', 'auto', 'auto', async () => first), first)
  t.equal(await keptModel('words-tiny', 'auto', 'auto', never), first)
  t.equal(await keptModel('words-tiny', 'cpu', 'float32', never), first, 'what it is')
  const twin = fake('cpu', 'float32')
  t.equal(await keptModel('words-tiny', 'cpu', 'auto', async () => twin), first)
  t.equal(twin.disposed, 1, 'known only once it was loaded')
  const half = fake('cpu', 'bfloat16')
  t.equal(await keptModel('words-tiny', 'cpu', 'bfloat16', async () => half), half)
  await releaseModels()
  t.ok(first.disposed >= 1 && half.disposed === 1)
})

t.test('calls at the same time wait for one load', async t => {
  const model = fake('cpu', 'float32')
  const [a, b] = await Promise.all([
    keptModel('a.pt', 'auto', 'auto', async () => model),
    keptModel('a.pt', 'cpu', 'float32', never),
  ])
  t.equal(a, model)
  t.equal(b, model)
})

t.test('one file, however its path is written', async t => {
  const file = join(packageRoot, 'models/words-tiny/classes.txt')
  const model = fake('cpu', 'float32')
  t.equal(await keptModel(file, 'auto', 'auto', async () => model), model)
  for (const other of [
    relative(process.cwd(), file),
    `./${relative(process.cwd(), file)}`,
    join(packageRoot, 'models/../models/words-tiny/classes.txt'),
    pathToFileURL(file).href,
  ]) {
    t.equal(await keptModel(other, 'auto', 'auto', never), model, other)
  }
})

t.test('a folder that has the name of the bundled model is another one', async t => {
  const folder = t.testdir()
  mkdirSync(join(folder, 'words-tiny'))
  const here = process.cwd()
  process.chdir(folder)
  t.teardown(() => process.chdir(here))
  const [bundled, own] = [fake('cpu', 'float32'), fake('cpu', 'float32')]
  t.equal(await keptModel('words-tiny', 'auto', 'auto', async () => bundled), bundled)
  t.equal(await keptModel('./words-tiny', 'auto', 'auto', async () => own), own)
})

t.test('what failed is tried again', async t => {
  await t.rejects(
    keptModel('b.pt', 'auto', 'auto', async () => {
      throw new Error('no memory')
    }),
    /no memory/,
  )
  const model = fake('cpu', 'float32')
  t.equal(await keptModel('b.pt', 'auto', 'auto', async () => model), model)
})
