/** Training through the addon: DeCLIP's own losses, files, and models that can be loaded again. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type {
  NativeTrainBatch,
  NativeTrainer,
  NativeTrainOptions,
} from '../../ts/engine/addon-types.js'
import { loadAddon } from '../../ts/engine/load-addon.js'
import { loadModel } from '../../ts/index.js'
import { picture } from '../support/calls.js'
import { type Expected, Golden } from './support.js'

const addon = loadAddon()
const golden = new Golden('train')
const folder = t.testdir()

/** The options of DeCLIP's cases. */
const train: NativeTrainOptions = {
  objective: 'declip',
  mode: 'qq',
  contentWeight: 1,
  contextWeight: 0.1,
  leastClasses: 100,
  regionLoss: 'sigmoid' as const,
  regionWeight: 1,
  unlockedGroups: 2,
  trainText: true,
  schedule: {
    kind: 'constant',
    rate: 1e-3,
    warmup: 0,
    total: 0,
    cooldown: 0,
    cooldownPower: 1,
    cooldownEnd: 0,
  },
  weightDecay: 0.1,
  clipNorm: 0,
  emaDecay: 0,
  device: 'cpu',
  dtype: 'float32',
  checkpointActivations: true,
  seed: 0,
}

const create = (options: Partial<NativeTrainOptions> = {}): Promise<NativeTrainer> =>
  addon.createTrainer({
    student: golden.path('student.safetensors'),
    config: {},
    train: { ...train, ...options },
  })

function batchOf(id: string): NativeTrainBatch {
  const inputs = golden.case(id).inputs as Record<string, Expected> & { images: Expected[] }
  const tensor = ({ file, tensor }: Expected) => golden.tensor(file, tensor)
  const native = (spec: Expected) => {
    const { data, shape } = tensor(spec)
    return addon.tensor(data, shape, 'float32')
  }
  const images = inputs.images.map(tensor)
  const pixels = new Float32Array(images.flatMap(({ data }) => [...data]))
  return {
    images: addon.tensor(pixels, [images.length, ...(images[0]?.shape ?? []).slice(1)], 'float32'),
    boxes: native(inputs['boxes'] as Expected),
    crops: native(inputs['crops'] as Expected),
    vfmFeatures: native(inputs['vfm_features'] as Expected),
  }
}

t.test("losses of three steps are the program's", async t => {
  const batch = batchOf('declip-qq')
  const trainer = await create()
  t.equal(trainer.trainable.length, golden.case('declip-qq').values?.['trainable_count'])
  for (let step = 1; step <= 3; step++) {
    const result = await trainer.step({ parts: [batch] })
    t.equal(result.step, step)
    t.equal(result.learningRate, 1e-3)
    for (const name of ['content', 'context']) {
      const { data, atol, rtol } = golden.expected('declip-qq', `step${step}.loss_${name}`)
      const expected = data[0] as number
      const off = Math.abs((result.losses[name] as number) - expected)
      t.ok(off <= atol + rtol * expected, `step ${step}, ${name}: off by ${off}`)
    }
  }
  const path = join(folder, 'model.safetensors')
  await trainer.exportCheckpoint({ path, alpha: 0.7, average: false })
  const model = await loadModel(path)
  t.equal(model.info.family, 'eva')
  model.dispose()
  trainer.dispose()
  t.throws(() => trainer.step({ parts: [batch] }), { code: 'ERR_DECLIP_DISPOSED' })
})

t.test('a saved state goes on bit for bit', async t => {
  const batch = batchOf('declip-qq')
  const state = join(folder, 'state.safetensors')
  const [whole, resumed] = await Promise.all([create(), create()])
  await whole.step({ parts: [batch] })
  await whole.save({ path: state })
  t.equal(await resumed.load({ path: state }), 1)
  t.same(await resumed.step({ parts: [batch] }), await whole.step({ parts: [batch] }))
  const files = await Promise.all(
    [whole, resumed].map(async (trainer, i) => {
      const path = join(folder, `after-${i}.safetensors`)
      await trainer.save({ path })
      trainer.dispose()
      return readFileSync(path)
    }),
  )
  t.ok(files[0]?.equals(files[1] as Buffer))
})

t.test('a step can be cancelled and then made', async t => {
  const batch = batchOf('declip-qq')
  const trainer = await create()
  const token = new addon.CancelToken()
  token.cancel()
  await t.rejects(trainer.step({ parts: [batch], token }), { code: 'ERR_DECLIP_ABORTED' })
  t.equal((await trainer.step({ parts: [batch] })).step, 1)
  trainer.dispose()
})

t.test('regions of a picture are what a step takes', async t => {
  const { data } = picture(120, 90)
  const pixels = addon.tensor(data, [90, 120, 3], 'uint8')
  const made = (regions: object, proposals?: Float64Array) =>
    addon.makeBatch({
      pictures: [{ pixels, seed: 7, proposals }],
      size: 128,
      mean: [0.5, 0.5, 0.5],
      std: [0.25, 0.25, 0.25],
      regions: { cropSize: 96, maxBoxes: 5, cropScale: 1, ...regions },
    })
  const grid = await made({ maxSplit: 6 })
  t.same(grid.images.shape, [1, 3, 128, 128])
  t.same(grid.boxes?.shape, [1, 5, 5])
  const crops = grid.crops?.shape[0] as number
  t.ok(crops >= 1 && crops <= 5)
  const proposed = await made(
    { minSize: 8, maxSize: 1024, cropScale: 1.5 },
    new Float64Array([10, 10, 60, 50, 0, 0, 2, 2]),
  )
  t.same(proposed.crops?.shape, [1, 3, 96, 96])

  const trainer = await create({ objective: 'clipself' })
  const { losses } = await trainer.step({ parts: [grid, proposed] })
  t.ok((losses['cosine'] as number) > 0)
  trainer.dispose()
})

t.test('a new model learns pictures and captions', async t => {
  const path = join(folder, 'new')
  const model = {
    family: 'clip' as const,
    imageSize: 32,
    patchSize: 8,
    width: 32,
    layers: 2,
    heads: 4,
    mlp: 64,
    embedDim: 16,
    text: { width: 16, layers: 1, heads: 2, contextLength: 6, vocab: 12 },
  }
  await addon.createCheckpoint({ path, seed: 3, model, start: 'random' })
  const trainer = await addon.createTrainer({
    student: path,
    config: {},
    train: { ...train, unlockedGroups: undefined, objective: 'contrastive' },
  })
  const pixels = Float32Array.from({ length: 2 * 3 * 32 * 32 }, (_, i) => Math.sin(i * i))
  const parts = [
    {
      images: addon.tensor(pixels, [2, 3, 32, 32], 'float32'),
      tokens: addon.tensor(new Int32Array([10, 3, 11, 0, 10, 4, 5, 11]), [2, 4], 'int32'),
    },
  ]
  const first = await trainer.step({ parts })
  let last = first
  for (let i = 0; i < 20; i++) last = await trainer.step({ parts })
  t.ok(last.total < first.total / 2, `${first.total} to ${last.total}`)
  trainer.dispose()
  const wrong = addon.createCheckpoint({
    path,
    seed: 3,
    model: { ...model, heads: 5 },
    start: 'random',
  })
  await t.rejects(wrong, { code: 'ERR_DECLIP_INVALID_ARG' })
})

t.test('what does not fit is refused', async t => {
  const invalid = { code: 'ERR_DECLIP_INVALID_ARG' }
  const attempt = async (options: object) => create(options as Partial<NativeTrainOptions>)
  for (const options of [
    { objective: 'distill' },
    { mode: 'vanilla' },
    { schedule: { ...train.schedule, kind: 'linear' } },
    { schedule: { ...train.schedule, kind: 'cosine' } },
    { unlockedGroups: 0 },
    { unlockedGroups: 1.5 },
    { dtype: 'float16' },
    { emaDecay: 2 },
    { seed: 'x' },
    { objective: 'region-text' },
    { classFeatures: {} },
  ]) {
    await t.rejects(attempt(options), invalid, JSON.stringify(options))
  }
  const trainer = await create()
  for (const parts of [undefined, 5, [], [5], [{}], [{ images: {} }]]) {
    const step = async () => trainer.step({ parts: parts as never })
    await t.rejects(step(), invalid, JSON.stringify(parts))
  }
  trainer.dispose()
})
