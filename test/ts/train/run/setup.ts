/** What a run looks at and loads, and that nothing stays behind of one that cannot be. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { NativeTrainBatch } from '../../../../ts/engine/addon-types.js'
import { loadAddon } from '../../../../ts/engine/load-addon.js'
import { type TrainConfig, train } from '../../../../ts/index.js'
import { resolveConfig } from '../../../../ts/train/config.js'
import { RunFolder } from '../../../../ts/train/run/run-folder.js'
import { plan, Setup } from '../../../../ts/train/run/setup.js'
import { fixture } from '../../../support/calls.js'
import { writePictures } from '../../../support/training.js'

const addon = loadAddon()
const folder = t.testdir()
const pictures = join(folder, 'pictures')
await writePictures(pictures, 4)
const student = fixture('train', 'student.safetensors')
const dino = fixture('vfm', 'dino.safetensors')
const alone = { rank: 0, worldSize: 1 }

const configure = (changes: Partial<TrainConfig> = {}) => ({
  objective: 'declip' as const,
  out: join(folder, 'out'),
  model: student,
  teacher: { model: dino, config: { headWidth: 32 } },
  data: { kind: 'folder' as const, path: pictures },
  imageSize: 64,
  batch: 2,
  steps: 1,
  schedule: { kind: 'constant' as const, rate: 1e-4, warmup: 0 },
  ...changes,
})

const decoding = new AbortController().signal

t.test('threads are those of the process again when a run has ended', async t => {
  const { threads } = addon.runtime()
  const inside: number[] = []
  const onProgress = () => inside.push(addon.runtime().threads)
  await train(configure({ threads: threads + 1 }), { onProgress })
  t.same(inside, [threads + 1])
  t.equal(addon.runtime().threads, threads)
  const wrong = train(
    configure({ threads: threads + 2, imageSize: 33, out: join(folder, 'wrong') }),
  )
  await t.rejects(wrong, { message: /multiples of the patch size/ })
  t.equal(addon.runtime().threads, threads)
})

t.test('nothing stays loaded of a run that cannot be set up', async t => {
  const disposed: string[] = []
  const watched = Object.assign(Object.create(addon), {
    createTrainer: async (options: never) => {
      const trainer = await addon.createTrainer(options)
      const dispose = () => {
        disposed.push('trainer')
        trainer.dispose()
      }
      // the addon's methods are read-only, so that assigning would fail
      return Object.create(trainer, { info: { value: trainer.info }, dispose: { value: dispose } })
    },
  })
  for (const [changes, message] of [
    [{ imageSize: 33 }, /multiples of the patch size/],
    [{ teacher: { model: dino, mode: 'csa', config: { headWidth: 32 } } }, /teacher\.mode/],
  ] as const) {
    disposed.length = 0
    const valid = resolveConfig(configure())
    const config = { ...valid, ...changes } as typeof valid
    const made = Setup.make({
      addon: watched,
      config,
      plan: await plan(config, alone, undefined),
      folder: new RunFolder(config.out),
      decoding,
    })
    await t.rejects(made, { message })
    t.same(disposed, ['trainer'], String(message))
  }
})

t.test('what is loaded is what was looked at', async t => {
  const config = resolveConfig(configure())
  const planned = await plan(config, alone, undefined)
  t.same(Object.keys(planned.record.weights), ['model', 'teacher.model'])
  // Names that stand for something else by now.
  const moved = {
    ...config,
    model: 'no/model',
    teacher: { ...config.teacher, model: 'no/teacher' },
  }
  const setup = await Setup.make({
    addon,
    config: moved as typeof config,
    plan: planned,
    folder: new RunFolder(config.out),
    decoding,
  })
  const { parts } = await setup.batches.make(0)
  t.equal((parts[0] as NativeTrainBatch).vfmFeatures?.shape.length, 4)
  setup.dispose()
  setup.dispose()
})

t.test('every file that can hold weights counts for their digest', async t => {
  const folderOf = join(folder, 'weights')
  mkdirSync(folderOf)
  copyFileSync(student, join(folderOf, 'model.safetensors'))
  const digest = async () => {
    const { record } = await plan(resolveConfig(configure({ model: folderOf })), alone, undefined)
    return record.weights['model']
  }
  let before = await digest()
  for (const name of ['a.ckpt', 'b.pt', 'c.pth', 'd.bin', 'e.safetensors', 'config.json']) {
    writeFileSync(join(folderOf, name), 'x')
    const after = await digest()
    t.not(after, before, name)
    before = after
  }
  writeFileSync(join(folderOf, 'README.md'), 'x')
  t.equal(await digest(), before, 'a text about them does not')
})
