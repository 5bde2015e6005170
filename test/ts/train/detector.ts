/** Training of a detector as a whole: the run's folder, killed and resumed, evaluated on the way, in two processes. */
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { packageRoot } from '../../../ts/base/package-files.js'
import { detect, evaluate, loadModel, type TrainConfig, train } from '../../../ts/index.js'
import { plainEnv } from '../../support/calls.js'
import { finish } from '../../support/child.js'
import { writeRectangles } from '../../support/objects.js'

const MAIN = join(packageRoot, 'dist/cli/main.js')
const folder = t.testdir()
const scenes = join(folder, 'scenes')
const held = join(folder, 'held')
await writeRectangles(scenes, 8)
await writeRectangles(held, 3, 8)

const STEPS = 8
const config = (out: string, changes: Partial<TrainConfig> = {}): TrainConfig => ({
  objective: 'fvit',
  model: 'words-tiny',
  data: { kind: 'coco', path: join(scenes, 'annotations.json'), images: join(scenes, 'images') },
  templates: 'none',
  imageSize: 64,
  batch: 2,
  steps: STEPS,
  saveEvery: 2,
  threads: 2,
  schedule: { rate: 1e-3, warmup: 2 },
  detector: {
    novel: ['green square'],
    channels: 16,
    hidden: 32,
    convolutions: 1,
    masks: true,
    jitter: [0.7, 1.3],
  },
  out: join(folder, out),
  ...changes,
})

const bytes = (...path: string[]) => readFileSync(join(folder, ...path))
const lines = (out: string) =>
  readFileSync(join(folder, out, 'log.jsonl'), 'utf8')
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

const views = (kind: 'memory' | 'file'): Partial<TrainConfig> => ({
  // With more, some sums of a step depend in their last bit on what the process has done before.
  threads: 1,
  detector: { ...config('').detector, views: 2, cache: { kind } },
})

t.test('a run makes a detector that is evaluated on the way', async t => {
  const seen: object[] = []
  const result = await train(
    config('one', { evaluate: { every: 4, data: held, limit: 2, keepBest: true } }),
    { onProgress: at => at.evaluation && seen.push(at.evaluation) },
  )
  const all = lines('one')
  t.equal(all.length, STEPS)
  t.match(Object.keys(all[0].losses).sort(), ['bbox', 'cls', 'mask', 'rpn_bbox', 'rpn_cls'])
  t.strictSame(
    all.flatMap(({ step, evaluation }) => (evaluation ? [step] : [])),
    [4, 8],
  )
  t.strictSame(
    seen,
    all.flatMap(({ evaluation = [] }) => evaluation),
  )
  t.ok(Object.keys(seen[0] as object).length > 0)
  t.ok(Math.abs(all[0].learningRate - 1e-6) < 1e-12, 'mmcv’s warm-up')
  t.ok(result.best !== null && existsSync(result.best))
  t.notOk(
    readdirSync(join(folder, 'one')).some(name => name === 'evaluated' || name.endsWith('.tmp')),
  )
  t.ok(
    bytes(
      'one',
      readdirSync(join(folder, 'one')).find(name => name.startsWith('events')) as string,
    ).includes('evaluation/'),
  )
  const model = await loadModel(result.model)
  // The last figures are those of the last weights.
  const again = await evaluate({
    model,
    task: 'detection',
    dataset: 'folder',
    data: held,
    limit: 2,
    novel: ['green square'],
  })
  t.match(again, { ap: (seen.at(-1) as { ap: number }).ap })
  t.match(model.info.detector, { classes: 3, novel: ['green square'], masks: true, side: 64 })
  const found = await detect(join(held, 'images/picture-8.png'), ['red square'], { model })
  t.ok(found)
  model.dispose()
})

t.test('a run that is killed goes on bit for bit, with the maps that it kept', async t => {
  // In processes of their own, as the one that is killed.
  for (const [out, kind] of [
    ['whole', 'file'],
    ['remembered', 'memory'],
  ] as const) {
    const { code, err } = await finish(start(config(out, views(kind))))
    t.equal(code, 0, err)
  }
  const state = bytes('whole/state.safetensors')
  t.ok(state.equals(bytes('remembered/state.safetensors')), 'kept in files or in memory')
  const killed = start(config('broken', { ...views('file'), steps: STEPS }))
  for (let i = 0; i < 1200 && logged('broken') < 3; i++) await setTimeout(25)
  killed.kill('SIGKILL')
  await finish(killed)
  t.ok(existsSync(join(folder, 'broken/state.safetensors')))
  t.ok(readdirSync(join(folder, 'broken/maps')).length > 0)
  const { code, err } = await finish(start(config('broken', views('file')), '--resume'))
  t.equal(code, 0, err)
  t.ok(bytes('broken/state.safetensors').equals(state))
  t.strictSame(
    lines('broken').map(({ step, losses }) => ({ step, losses })),
    lines('whole').map(({ step, losses }) => ({ step, losses })),
  )
})

t.test(
  'two processes train together',
  { skip: process.platform !== 'linux' && 'process groups are built on Linux only' },
  async t => {
    const evaluate = { every: STEPS, data: held, limit: 1 }
    const { code, out, err } = await finish(
      start(config('two', { batch: 1, evaluate }), '--nproc', '2'),
    )
    t.equal(code, 0, err)
    t.match(out, /8 steps done\n {2}model/)
    t.equal(lines('two').length, STEPS)
    t.ok(lines('two').at(-1).evaluation)
    // Statistics of batch norms are those of both: about what one process makes of both pictures.
    t.ok(Math.abs(lines('two')[0].loss - lines('one')[0].loss) < 0.2 * lines('one')[0].loss)
  },
)
