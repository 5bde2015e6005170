/** Memory that is given back: by dispose, by garbage collection, over many calls. */
import t from 'tap'
import { loadModel, segment, segmentMany, Tensor } from '../../ts/index.js'
import { pause, picture } from '../support/calls.js'

const MB = 2 ** 20
const classes = ['cat', 'dog', 'background']
const model = await loadModel()
t.teardown(() => model.dispose())

/** Finalizers of native handles run between turns of the event loop. */
async function collect(): Promise<void> {
  for (let round = 0; round < 4; round++) {
    globalThis.gc?.()
    await pause(5)
  }
}

t.ok(globalThis.gc, 'this test needs node --expose-gc, see .taprc')

t.test('200 segment calls in flat memory', async t => {
  const image = picture(96, 96)
  const run = async (times: number) => {
    for (let i = 0; i < times; i++) (await segment(image, classes, { model })).dispose()
    await collect()
    return process.memoryUsage().rss
  }
  const warm = await run(50)
  const end = await run(150)
  const growth = end - warm
  t.ok(growth < 0.05 * warm, `grew by ${(growth / MB).toFixed(1)} of ${(warm / MB).toFixed(0)} MB`)
})

t.test('handles that nobody disposed are collected', async t => {
  let collected = 0
  const registry = new FinalizationRegistry(() => {
    collected += 1
  })
  await collect()
  const image = picture(96, 96)
  const make = async () => {
    for (let i = 0; i < 10; i++) {
      const tensor = Tensor.from(new Uint8Array(4 * MB), [4 * MB])
      const view = await model.encode(image)
      const seg = await view.segment(classes, { logits: true })
      for (const handle of [tensor, view, seg, seg.labels]) registry.register(handle, undefined)
    }
  }
  await make()
  await collect()
  t.ok(collected >= 36, `${collected} of 40 collected`)
})

t.test('a garbage collector that is not asked sees the size of tensors', async t => {
  const before = process.memoryUsage().rss
  const data = new Uint8Array(8 * MB)
  let most = 0
  for (let i = 0; i < 200; i++) {
    Tensor.from(data.fill(i), [8 * MB])
    await new Promise(setImmediate)
    most = Math.max(most, process.memoryUsage().rss - before)
  }
  t.ok(most < 800 * MB, `at most ${(most / MB).toFixed(0)} MB of 1600 were held`)
})

t.test('dispose gives the memory back at once', async t => {
  // So large that malloc maps and unmaps each, and more than fits into what it has free. Nothing but dispose
  // comes between the readings: what V8 frees of its own does not count.
  const data = new Uint8Array(64 * MB).fill(1)
  const tensors = Array.from({ length: 12 }, () => Tensor.from(data, [64 * MB]))
  const before = process.memoryUsage().rss
  for (const tensor of tensors) tensor.dispose()
  const freed = before - process.memoryUsage().rss
  t.ok(freed > 384 * MB, `${(freed / MB).toFixed(0)} of 768 MB freed`)
})

t.test('models', async t => {
  const load = async (times: number) => {
    for (let i = 0; i < times; i++) (await loadModel('words-tiny', { dtype: 'bfloat16' })).dispose()
    await collect()
    return process.memoryUsage().rss
  }
  const warm = await load(5)
  const growth = (await load(10)) - warm
  t.ok(growth < 30 * MB, `10 models of 10 MB each: ${(growth / MB).toFixed(1)} MB more`)
})

t.test('segmentMany holds a few pictures only', async t => {
  let made = 0
  function* pictures() {
    for (; made < 60; made++) yield picture(400, 400, made)
  }
  const options = { model, window: 0, shortSide: 96 }
  let [warm, most, count] = [0, 0, 0]
  for await (const seg of segmentMany(pictures(), classes, options)) {
    seg.dispose()
    count += 1
    const { rss } = process.memoryUsage()
    if (count === 20) warm = rss
    if (count > 20) most = Math.max(most, rss - warm)
  }
  t.equal(count, 60)
  t.ok(most < 40 * MB, `40 pictures of 0.5 MB: ${(most / MB).toFixed(1)} MB more`)
})
