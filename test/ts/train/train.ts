import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  type DeclipError,
  loadModel,
  type TrainConfig,
  type TrainProgress,
  train,
} from '../../../ts/index.js'
import { fixture } from '../../support/calls.js'
import { contrastive, writePictures, writeShards } from '../../support/training.js'

const folder = t.testdir()
const shards = await writeShards(folder)
const pictures = await writePictures(join(folder, 'pictures'), 6)
const student = fixture('train', 'student.safetensors')

const lines = (out: string) =>
  readFileSync(join(out, 'log.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))

const bytes = (...path: string[]) => readFileSync(join(...path))

/** Distillation of the fixture's model on the pictures. */
const distil = (out: string, changes: Partial<TrainConfig> = {}): TrainConfig => ({
  objective: 'clipself',
  out: join(folder, out),
  model: student,
  data: { kind: 'folder', path: join(folder, 'pictures') },
  imageSize: 64,
  batch: 2,
  steps: 3,
  schedule: { kind: 'constant', rate: 1e-4, warmup: 0 },
  ...changes,
})

t.test('contrastive training with regions learns, and its weights load', async t => {
  const out = join(folder, 'contrastive')
  const reports: TrainProgress[] = []
  const config = { ...contrastive(shards, out), epochs: 12, exportEvery: 20 }
  const result = await train(config, { onProgress: report => reports.push(report) })
  t.equal(result.steps, 48)
  t.same(
    reports.map(({ step }) => step),
    Array.from({ length: 48 }, (_, i) => i + 1),
  )
  t.match(reports.at(-1), { steps: 48, epoch: 12, secondsLeft: 0, skipped: 0 })
  const log = lines(out)
  t.same(
    log.map(({ step }) => step),
    reports.map(({ step }) => step),
  )
  t.same(Object.keys(log[0].losses), ['contrastive', 'region_text'])
  t.ok(log[47].loss < 0.8 * log[0].loss, `${log[0].loss} to ${log[47].loss}`)
  t.same(
    readdirSync(out)
      .filter(name => !name.startsWith('events.out.tfevents.'))
      .sort(),
    [
      'config.json',
      'exports',
      'initial',
      'log.jsonl',
      'losses.svg',
      'model',
      'model-average',
      'state.safetensors',
    ],
  )
  t.same(readdirSync(join(out, 'exports')), ['step-0000020', 'step-0000040'])
  for (const name of [
    result.model,
    result.average as string,
    join(out, 'exports', 'step-0000020'),
  ]) {
    const model = await loadModel(name)
    t.match(model.info, { family: 'clip', imageSize: 32, contextLength: 16 })
    model.dispose()
  }
})

t.test('the same configuration gives the same weights, another seed others', async t => {
  const of = async (out: string, seed: number) => {
    await train({ ...contrastive(shards, join(folder, out)), seed })
    return bytes(folder, out, 'state.safetensors')
  }
  const first = await of('seed-0', 0)
  t.ok(first.equals(await of('seed-0-again', 0)))
  t.notOk(first.equals(await of('seed-1', 1)))
})

t.test('a run that a signal ends goes on bit for bit', async t => {
  const whole = join(folder, 'whole')
  const parts = join(folder, 'parts')
  await train(contrastive(shards, whole))
  const controller = new AbortController()
  const onProgress = ({ step }: TrainProgress) => step === 5 && controller.abort()
  const stopped = train(contrastive(shards, parts), { signal: controller.signal, onProgress })
  await t.rejects(stopped, { code: 'ERR_DECLIP_ABORTED', message: /after step 5 of 12/ })
  t.equal(lines(parts).length, 5)
  // A process that was killed later than it saved: its lines are made again.
  const log = join(parts, 'log.jsonl')
  const line = lines(parts)[4]
  writeFileSync(
    log,
    `${readFileSync(log, 'utf8')}${JSON.stringify({ ...line, step: 6 })}\n{"step": 7, "lo`,
  )
  mkdirSync(join(parts, 'export.tmp'))
  writeFileSync(join(parts, 'state.safetensors.1.tmp'), 'cut off')

  const steps: number[] = []
  await train(contrastive(shards, parts), { resume: true, onProgress: at => steps.push(at.step) })
  t.same(steps, [6, 7, 8, 9, 10, 11, 12])
  t.same(
    lines(parts).map(({ step }) => step),
    Array.from({ length: 12 }, (_, i) => i + 1),
  )
  t.same(
    lines(parts).map(({ loss }) => loss),
    lines(whole).map(({ loss }) => loss),
  )
  for (const file of [
    'state.safetensors',
    'model/open_clip_model.safetensors',
    'model-average/open_clip_model.safetensors',
  ]) {
    t.ok(bytes(whole, file).equals(bytes(parts, file)), file)
  }
  t.equal(readdirSync(parts).filter(name => name.startsWith('events.out')).length, 1)
  t.notOk(readdirSync(parts).some(name => name.endsWith('.tmp')))

  t.test('a run that is done makes nothing anew but its exports', async t => {
    rmSync(join(parts, 'model'), { recursive: true })
    await train(contrastive(shards, parts), { resume: true, onProgress: () => t.fail('a step') })
    t.ok(existsSync(join(parts, 'model')))
  })
})

t.test('what would change a run that goes on is refused', async t => {
  const out = join(folder, 'changed')
  const config = { ...contrastive(shards, out), steps: 3 }
  await t.rejects(train(config, { resume: true }), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /no run/,
  })
  t.notOk(existsSync(join(out, 'config.json')))
  await train(config)
  const attempt = (changes: object) =>
    train({ ...config, ...changes } as TrainConfig, { resume: true })
  await t.rejects(train(config), { code: 'ERR_DECLIP_INVALID_ARG', message: /has a run already/ })
  await t.rejects(attempt({ seed: 7 }), { message: /seed was 0 and is 7/ })
  await t.rejects(attempt({ schedule: { rate: 1e-3, warmup: 1 } }), {
    message: /schedule\.warmup was 2 and is 1/,
  })
  await t.rejects(attempt({ augment: undefined }), { message: /augment was .* and is not given/ })
  await t.rejects(attempt({ data: { kind: 'shards', path: shards.replace('{0..1}', '0') } }), {
    message: /data\.path was/,
  })
  await attempt({ logEvery: 2, saveEvery: 9, prefetch: 1 })

  const other = await writeShards(join(folder, 'other'))
  const moved = { ...contrastive(other, join(folder, 'moved')), steps: 3 }
  await train(moved)
  await writeShards(join(folder, 'other'), 2, 13)
  await t.rejects(train(moved, { resume: true }), { message: /data has changed/ })
})

t.test('CLIPSelf on grid cells', async t => {
  const config = distil('clipself', { alpha: 0.7 })
  const { model } = await train(config)
  const log = lines(config.out)
  t.same(Object.keys(log[0].losses), ['cosine'])
  t.ok(log.every(({ loss }) => loss > 0 && loss < 2))
  const loaded = await loadModel(model)
  t.equal(loaded.info.family, 'eva')
  loaded.dispose()
})

t.test('CLIPSelf on proposals, of several sides', async t => {
  const file = join(folder, 'proposals.json')
  const images = pictures.map((file_name, id) => ({ id, file_name }))
  const annotations = pictures.map((_, image_id) => ({ image_id, bbox: [4, 4, 30, 20] }))
  writeFileSync(file, JSON.stringify({ images, annotations }))
  const config = distil('proposals', {
    data: { kind: 'coco', path: file, images: join(folder, 'pictures') },
    regions: { source: 'proposals' },
    multiscale: [32, 64],
  })
  await train(config)
  t.equal(lines(config.out).length, 3)
})

for (const [teacher, mode, config] of [
  ['vfm/dino', 'qq', { headWidth: 32 }],
  ['vfm/dinov2-reg', 'csa', { headWidth: 32 }],
  ['families/dinov3', 'qq', {}],
  ['vfm/sam', 'kk', {}],
] as const) {
  t.test(`DeCLIP with the teacher ${teacher}`, async t => {
    const run = distil(`declip-${teacher.replace('/', '-')}`, {
      objective: 'declip',
      teacher: { model: fixture(`${teacher}.safetensors`), config },
      mode,
      accumulate: 2,
      steps: 1,
    })
    await train(run)
    const [{ losses }] = lines(run.out)
    t.same(Object.keys(losses), ['content', 'context'])
    t.ok(losses.context > 0)
  })
}

t.test('a CLIP teaches; a DINO has no dense modes', async t => {
  const clip = distil('clip-teacher', {
    objective: 'declip',
    teacher: { model: student, mode: 'qq' },
    steps: 1,
  })
  await train(clip)
  t.ok(lines(clip.out)[0].losses.context > 0)
  const dino = distil('dino-mode', {
    objective: 'declip',
    teacher: {
      model: fixture('vfm', 'dino.safetensors'),
      mode: 'qq',
      config: { headWidth: 32 },
    },
  })
  await t.rejects(train(dino), { code: 'ERR_DECLIP_INVALID_ARG', message: /teacher\.mode/ })
})

t.test('region-text with the classes of the data', async t => {
  const tiny = join(folder, 'contrastive', 'model')
  const file = join(folder, 'labelled.json')
  const images = pictures.map((file_name, id) => ({ id, file_name }))
  const annotations = pictures
    .slice(1)
    .map((_, i) => ({ image_id: i + 1, category_id: 10 * (1 + (i % 3)), bbox: [4, 4, 30, 20] }))
  const categories = [30, 10, 20].map(id => ({ id, name: `thing ${id}` }))
  writeFileSync(file, JSON.stringify({ images, annotations, categories }))
  const config: TrainConfig = {
    objective: 'region-text',
    out: join(folder, 'region-text'),
    model: tiny,
    data: { kind: 'coco', path: file, images: join(folder, 'pictures') },
    templates: 'none',
    batch: 5,
    steps: 4,
    schedule: { kind: 'constant', rate: 1e-3, warmup: 0 },
  }
  await train(config)
  t.ok(lines(config.out)[3].loss < lines(config.out)[0].loss)
  t.match(JSON.parse(String(bytes(config.out, 'config.json'))), { data: { samples: 5 } })

  const wrong = { ...config, out: join(folder, 'region-text-wrong') }
  await t.rejects(train({ ...wrong, classes: ['thing 10', 'thing 20'] }), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /box of class 'thing 30', which is not among classes/,
  })
})

t.test('what cannot be is refused before anything is written', async t => {
  const out = join(folder, 'refused')
  const attempt = (changes: object) =>
    train({ ...contrastive(shards, out), ...changes } as TrainConfig)
  for (const [changes, message] of [
    [{ batch: 100 }, /takes 100 pictures .* only 24/],
    [{ data: { kind: 'shards', path: join(folder, 'none.tar') } }, /no such file/],
    [{ imageSize: 33 }, /multiples of the patch size, 8/],
    [{ newModel: undefined, model: fixture('plain-tower', 'visual.safetensors') }, /text tower/],
    [{ steps: 2 }, /schedule\.warmup/],
    [{ newModel: undefined, model: join(folder, 'no.safetensors') }, /no checkpoint/],
  ] as const) {
    await t.rejects(attempt(changes), { message }, String(message))
    t.notOk(existsSync(join(out, 'config.json')), String(message))
  }
  await t.rejects(train(5 as never), { code: 'ERR_DECLIP_INVALID_ARG' })
  await t.rejects(train(contrastive(shards, out), { resume: 1 as never }), { message: /resume/ })
  await t.rejects(train(contrastive(shards, out), { signal: AbortSignal.abort() }), {
    code: 'ERR_DECLIP_ABORTED',
  })
})

t.test('a loss that is not finite stops and keeps the last state', async t => {
  const out = join(folder, 'diverged')
  const config: TrainConfig = {
    ...contrastive(shards, out),
    schedule: { kind: 'constant', rate: 1e30, warmup: 0 },
    saveEvery: 1,
  }
  const error = await train(config).catch(e => e as DeclipError)
  t.match(error, {
    code: 'ERR_DECLIP_DIVERGED',
    message: /finite.*last saved state.*schedule\.rate/,
  })
  const steps = lines(out).length
  t.ok(steps >= 1)
  t.match(error, { message: new RegExp(`last saved state is that of step ${steps}\\.`) })
  t.ok(existsSync(join(out, 'state.safetensors')))
})
