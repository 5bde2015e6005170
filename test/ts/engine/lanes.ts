/** The addon's two lanes: what is prepared for a model does not wait for one. */
import t from 'tap'
import type { NativePictureBatch, NativeTrainOptions } from '../../../ts/engine/addon-types.js'
import { loadAddon } from '../../../ts/engine/load-addon.js'
import { fixture, picture } from '../../support/calls.js'

const addon = loadAddon()
const stats = { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] }
const { data, width, height } = picture(48, 32)

const train: NativeTrainOptions = {
  objective: 'clipself',
  mode: 'qq',
  contentWeight: 1,
  contextWeight: 1,
  leastClasses: 1,
  regionLoss: 'sigmoid',
  regionWeight: 0,
  trainText: false,
  schedule: {
    kind: 'constant',
    rate: 1e-4,
    warmup: 0,
    total: 0,
    cooldown: 0,
    cooldownPower: 1,
    cooldownEnd: 0,
  },
  weightDecay: 0,
  clipNorm: 0,
  emaDecay: 0,
  device: 'cpu',
  dtype: 'float32',
  checkpointActivations: false,
  seed: 0,
}

const batch = (options: object = {}): Promise<NativePictureBatch> =>
  addon.makeBatch({
    pictures: [{ pixels: addon.tensor(data, [height, width, 3], 'uint8'), seed: 1 }],
    size: 64,
    ...stats,
    regions: { cropSize: 32, maxBoxes: 4, cropScale: 1, maxSplit: 2 },
    ...options,
  })

t.test('a batch is made while a step holds the lane for models', async t => {
  const trainer = await addon.createTrainer({
    student: fixture('train', 'student.safetensors'),
    config: {},
    train,
  })
  const token = new addon.CancelToken()
  const part = await batch()
  let ended = false
  let begun = () => {}
  const running = new Promise<void>(resolve => {
    begun = resolve
  })
  // Minutes of work, that ends when it is cancelled.
  const parts = Array.from({ length: 20_000 }, () => part)
  const step = trainer.step({ parts, token, onProgress: () => begun() })
  step.then(
    () => {
      ended = true
    },
    () => {
      ended = true
    },
  )
  await running
  const made = await Promise.all([batch(), batch(), batch()])
  t.notOk(ended, 'the step goes on')
  t.same(
    made.map(({ images }) => images.shape),
    [1, 2, 3].map(() => [1, 3, 64, 64]),
  )
  token.cancel()
  await t.rejects(step, { code: 'ERR_DECLIP_ABORTED' })
  // Made beside it, and fit to be learnt from.
  t.equal((await trainer.step({ parts: made })).step, 1)
  trainer.dispose()
})

t.test('a batch can be cancelled', async t => {
  const token = new addon.CancelToken()
  token.cancel()
  await t.rejects(batch({ token }), { code: 'ERR_DECLIP_ABORTED' })
})

t.test('batches that cannot be are refused', async t => {
  const [pixels, floats] = (['uint8', 'float32'] as const).map(dtype =>
    addon.tensor(dtype === 'uint8' ? new Uint8Array(48) : new Float32Array(48), [4, 4, 3], dtype),
  )
  const attempt = async (options: object) => batch(options)
  for (const options of [
    { pictures: 5 },
    { pictures: [] },
    { pictures: [5] },
    { pictures: [{ pixels: floats, seed: 0 }] },
    { pictures: [{ pixels: data, seed: 0 }] },
    { pictures: [{ pixels }] },
    { pictures: [{ pixels, seed: 0, proposals: [1, 2, 3, 4] }] },
    { size: 0 },
    { size: 1e6 },
    { mean: [1, 2] },
    { resizedTo: -1 },
    { regions: 5 },
    { regions: { cropSize: 32 } },
    { teacher: {} },
  ]) {
    await t.rejects(attempt(options), { code: 'ERR_DECLIP_INVALID_ARG' }, JSON.stringify(options))
  }
})
