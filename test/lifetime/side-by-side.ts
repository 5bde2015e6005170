/** Calls that run at once give bit for bit what each gives alone. */
import t from 'tap'
import { loadAddon } from '../../ts/engine/load-addon.js'
import { loadModel, segment, Tensor } from '../../ts/index.js'
import { normalised, picture, random } from '../support/calls.js'

const addon = loadAddon()
addon.setThreads(4)
const classes = ['cat', 'dog', 'tree', 'background']
const methods = ['vanilla', 'maskclip', 'sclip', 'clearclip', 'naclip', 'itaclip'] as const

type Call = () => Promise<Tensor>

/** Calls of every kind: small ones that run side by side, and some that take several threads. */
function callsOf(model: Awaited<ReturnType<typeof loadModel>>): Call[] {
  const batch = Tensor.from(normalised(4, 96, 96), [4, 3, 96, 96])
  const masks = Tensor.from(
    Uint8Array.from({ length: 2 * 144 }, (_, i) => i % 3),
    [2, 12, 12],
  )
  const logits = async (seg: Promise<{ logits?: Tensor | undefined }>) =>
    (await seg).logits as Tensor
  const pictures = [
    [128, 96],
    [96, 96],
    [200, 150],
    [640, 480],
  ].map(([width = 0, height = 0], seed) => picture(width, height, seed))
  return [
    ...pictures.map(
      image => () => logits(segment(image, classes, { model, logits: true, shortSide: 96 })),
    ),
    ...methods.map(
      method => () => logits(segment(picture(110, 96), classes, { model, method, logits: true })),
    ),
    () => logits(segment(picture(240, 240), classes, { model, logits: true })),
    async () => {
      using view = await model.encode(picture(160, 120))
      return await logits(view.segment(classes, { logits: true, probThreshold: 0.2 }))
    },
    async () => {
      using view = await model.encode(picture(160, 120))
      return await view.similarity('a drawing of a cat')
    },
    () => model.encodeText(['a photo of a cat', 'two dogs and a very long tail'], {}),
    () => model.encodeImage(batch),
    () => model.encodeImage(picture(130, 90)),
    () => model.encodeDense(batch, { mode: 'csa' }),
    () => model.encodeBoxes(picture(130, 90), [[3, 4, 80, 60]]),
    () => model.encodeMasks(batch, masks, { imageIndex: [0, 2] }),
  ]
}

for (const dtype of ['float32', 'bfloat16'] as const) {
  t.test(dtype, async t => {
    const model = await loadModel('words-tiny', { dtype })
    const calls = callsOf(model)
    const bytesOf = async (call: Call) => {
      using tensor = await call()
      return Buffer.from(((await tensor.data()) as Float32Array).slice().buffer)
    }
    const alone: Buffer[] = []
    for (const call of calls) alone.push(await bytesOf(call))

    const next = random(3)
    const shuffled = Array.from({ length: 2 }, () => calls.map((_, index) => index))
      .flat()
      .map(index => ({ index, key: next() }))
      .sort((a, b) => a.key - b.key)
    let most = 0
    const watch = setInterval(() => {
      const [low, normal, high] = addon.queueStats().running
      most = Math.max(most, low + normal + high)
    }, 1)
    const results = shuffled.map(({ index }) => bytesOf(calls[index] as Call))
    for (const [i, { index }] of shuffled.entries()) {
      const same = (await results[i])?.equals(alone[index] as Buffer)
      if (!same) t.fail(`call ${index} differs`)
    }
    clearInterval(watch)
    t.ok(most > 1, `up to ${most} ran at once`)
    model.dispose()
  })
}
