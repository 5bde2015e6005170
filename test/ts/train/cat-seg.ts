/** Training of CAT-Seg as a whole: the run's folder, killed and resumed, evaluated on the way, in two processes. */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { packageRoot } from '../../../ts/base/package-files.js'
import { evaluate, loadModel, segment, type TrainConfig, train } from '../../../ts/index.js'
import { plainEnv } from '../../support/calls.js'
import { finish } from '../../support/child.js'
import { LABELLED_CLASSES, writeLabelled } from '../../support/labelled.js'

const MAIN = join(packageRoot, 'dist/cli/main.js')
const folder = t.testdir()
const scenes = join(folder, 'scenes')
const held = join(folder, 'held')
await writeLabelled(scenes, 8)
await writeLabelled(held, 2, 8)

const STEPS = 6
const SIZES = {
  side: 64,
  canvas: 96,
  cut: 64,
  stride: 32,
  head: {
    channels: 32,
    window: 4,
    guidance: [16, 16],
    decoder: [32, 16],
    decoderGuidance: [16, 8],
    imageGuidance: 16,
    textGuidance: 16,
    wordLimit: 8,
  },
}
const config = (out: string, changes: Partial<TrainConfig> = {}): TrainConfig => ({
  objective: 'cat-seg',
  model: 'words-tiny',
  data: { kind: 'labels', path: scenes },
  batch: 2,
  steps: STEPS,
  saveEvery: 2,
  // With more, some sums of a step depend in their last bit on what the process has done before.
  threads: 1,
  schedule: { rate: 2e-3 },
  optimizer: { clipNorm: 1 },
  catSeg: SIZES,
  out: join(folder, out),
  ...changes,
})

const bytes = (...path: string[]) => readFileSync(join(folder, ...path))
const lines = (out: string) =>
  bytes(out, 'log.jsonl')
    .toString()
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
const logged = (out: string) =>
  existsSync(join(folder, out, 'log.jsonl'))
    ? bytes(out, 'log.jsonl').toString().split('\n').length - 1
    : 0

function start(config: TrainConfig, ...args: string[]) {
  const path = join(folder, `${config.out.split('/').at(-1)}.json`)
  writeFileSync(path, JSON.stringify(config))
  return spawn(process.execPath, [MAIN, 'train', '--config', path, ...args], { env: plainEnv() })
}

t.test('a run makes a CAT-Seg that is evaluated on the way', async t => {
  const seen: { miou: number }[] = []
  const result = await train(
    config('one', {
      steps: 12,
      evaluate: { every: 6, data: held, keepBest: true },
      optimizer: { clipNorm: 1, emaDecay: 0.5 },
    }),
    { onProgress: at => at.evaluation && seen.push(at.evaluation as { miou: number }) },
  )
  const all = lines('one')
  t.strictSame(Object.keys(all[0].losses), ['mask'])
  t.ok(all.at(-1).loss < 0.95 * all[0].loss, `${all[0].loss} falls to ${all.at(-1).loss}`)
  t.equal(seen.length, 2)
  t.ok(Number.isFinite(seen[0]?.miou))
  t.ok(result.best !== null && existsSync(result.best))
  t.notOk(
    readdirSync(join(folder, 'one')).some(name => name === 'evaluated' || name.endsWith('.tmp')),
  )
  // The last figures are those of the last averaged weights, text tower included.
  const average = await loadModel(result.average as string)
  const again = await evaluate({
    model: average,
    dataset: 'folder',
    data: held,
    method: 'cat-seg',
    catSeg: { sliding: false, pooling: 2 },
  })
  t.equal((again as { miou: number }).miou, seen.at(-1)?.miou)
  average.dispose()
  const model = await loadModel(result.model)
  t.match(model.info.catSeg, {
    channels: 32,
    side: 64,
    canvas: 96,
    cut: 64,
    stride: 32,
    window: 4,
    wordLimit: 8,
    prompt: 'A photo of a {} in the scene',
    names: [...LABELLED_CLASSES],
  })
  const found = await segment(join(held, 'images/picture-8.png'), ['red square', 'a tree'], {
    model,
  })
  t.strictSame(found.labels.shape, [found.height, found.width])
  model.dispose()

  // It learns further; sizes of a new head are refused then.
  const further = { model: result.model, steps: 1, catSeg: { clip: 'none' as const } }
  const more = await train(config('more', further))
  t.ok(existsSync(more.model))
  await t.rejects(train(config('refused', { ...further, catSeg: SIZES })), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /^catSeg\.head has the sizes of a new head/,
  })
})

t.test('a run that is killed goes on bit for bit', async t => {
  const whole = await finish(start(config('whole')))
  t.equal(whole.code, 0, whole.err)
  const killed = start(config('broken'))
  for (let i = 0; i < 1200 && logged('broken') < 3; i++) await setTimeout(25)
  killed.kill('SIGKILL')
  await finish(killed)
  t.ok(existsSync(join(folder, 'broken/state.safetensors')))
  const { code, err } = await finish(start(config('broken'), '--resume'))
  t.equal(code, 0, err)
  t.ok(bytes('broken/state.safetensors').equals(bytes('whole/state.safetensors')))
  t.strictSame(
    lines('broken').map(({ step, losses }) => ({ step, losses })),
    lines('whole').map(({ step, losses }) => ({ step, losses })),
  )
})

t.test(
  'two processes train together',
  { skip: process.platform !== 'linux' && 'process groups are built on Linux only' },
  async t => {
    const { code, out, err } = await finish(
      start(
        config('two', { batch: 1, evaluate: { every: STEPS, data: held } }),
        '--nproc',
        '2',
        '--set',
        'steps=3',
      ),
    )
    t.equal(code, 0, err)
    t.match(out, /3 steps done\n {2}model/)
    t.equal(lines('two').length, 3)
    t.ok(lines('two').at(-1).evaluation)
  },
)

t.test('what cannot be learnt from is an error with a way out', async t => {
  await t.rejects(train(config('dino', { data: { kind: 'labels', path: join(folder, 'no') } })), {
    code: 'ERR_DECLIP_IO',
  })
  const other = join(folder, 'other')
  await writeLabelled(other, 3)
  mkdirSync(join(folder, 'few'), { recursive: true })
  // Labels beyond the classes: most pictures cannot be used.
  await t.rejects(
    train(config('beyond', { data: { kind: 'labels', path: other }, classes: ['red square'] })),
    { code: 'ERR_DECLIP_IMAGE', message: /the label \d of .* none of the data set's 1 classes/ },
  )
})
