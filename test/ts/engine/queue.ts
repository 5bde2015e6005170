/** Priorities, clients, order and counts of the addon's queue. */
import t from 'tap'
import type { NativeCall, NativeTensor } from '../../../ts/engine/addon-types.js'
import { loadAddon } from '../../../ts/engine/load-addon.js'
import { loadModel, segment } from '../../../ts/index.js'
import { labelsOf, picture } from '../../support/calls.js'

const addon = loadAddon()
addon.setThreads(1)
const model = await loadModel()
t.teardown(() => model.dispose())
const image = picture(240, 240)
const classes = ['cat', 'dog', 'background']
const vocabulary = await model.vocabulary(classes)
t.teardown(() => vocabulary.dispose())
/** About 40 passes through the vision tower, five pictures each: on all threads. */
const long = { model, method: 'itaclip' as const, window: 96, stride: 24 }

/** Begins a long call and resolves when it runs. */
async function occupied(): Promise<{ stop(): void; ended: Promise<unknown> }> {
  const stop = new AbortController()
  let ended: Promise<unknown> = Promise.resolve()
  await new Promise<void>(resolve => {
    const options = { ...long, signal: stop.signal, onProgress: () => resolve() }
    ended = segment(image, vocabulary, options).catch((error: unknown) => error)
  })
  return { stop: () => stop.abort(), ended }
}

const tokens = addon.tensor(new Int32Array(77).fill(3), [1, 77], 'int32')
const small = (call: NativeCall = {}): Promise<NativeTensor> =>
  model.native.encodeText({ ...call, tokens, normalize: true })

/** Queues calls behind a long one and gives the order in which they end. */
async function orderOf(calls: readonly (readonly [string, NativeCall])[]): Promise<string> {
  const { stop, ended } = await occupied()
  const order: string[] = []
  const all = calls.map(([name, call]) => small(call).then(() => order.push(name)))
  stop()
  await Promise.all([ended, ...all])
  return order.join('')
}

t.test('high before normal before low', async t => {
  const order = await orderOf([
    ['l', { priority: 0 }],
    ['n', {}],
    ['m', { priority: 1 }],
    ['l', { priority: 0 }],
  ])
  t.equal(order, 'nmll')
})

t.test('a small call of high priority does not wait for a large one', async t => {
  const { stop, ended } = await occupied()
  await small({ priority: 2 })
  await small({ priority: 2 })
  t.equal(addon.queueStats().running[1], 1, 'the large one goes on')
  stop()
  await ended
})

t.test('a query of a view does not wait for a large picture, unless it is told to', async t => {
  using view = await model.encode(image)
  const { stop, ended } = await occupied()
  ;(await view.segment(vocabulary)).dispose()
  ;(await view.similarity('a tree')).dispose()
  t.equal(addon.queueStats().running[1], 1, 'the large one goes on')
  const told = view.segment(vocabulary, { priority: 'normal' })
  await new Promise(resolve => setTimeout(resolve, 100))
  t.equal(addon.queueStats().waiting[1], 1)
  stop()
  await ended
  ;(await told).dispose()
  for (const options of [null, 5, { priority: 'now' }]) {
    await t.rejects(view.segment(vocabulary, options as never), { code: 'ERR_DECLIP_INVALID_ARG' })
  }
})

t.test('clients take turns, each in the order in which its calls were made', async t => {
  const order = await orderOf([
    ['a', { client: 'a' }],
    ['a', { client: 'a' }],
    ['a', { client: 'a' }],
    ['b', { client: 'b' }],
    ['b', { client: 'b' }],
  ])
  t.equal(order, 'ababa')
  const [first, second, third] = [addon.ticket(), addon.ticket(), addon.ticket()]
  t.ok(first < second && second < third)
  t.equal(
    await orderOf([
      ['3', { order: third }],
      ['1', { order: first }],
      ['2', { order: second }],
    ]),
    '123',
  )
})

t.test('counts', async t => {
  const before = addon.queueStats()
  const { stop, ended } = await occupied()
  const token = new addon.CancelToken()
  const waiting = [small(), small({ priority: 0 }), small({ token })]
  const cancelled = t.rejects(waiting[2] as Promise<unknown>, { code: 'ERR_DECLIP_ABORTED' })
  const during = addon.queueStats()
  t.match(during, { threads: 1, waiting: [1, 2, 0], running: [0, 1, 0] })
  t.ok(during.poolUsed > 0)
  token.cancel()
  t.match(addon.queueStats(), { waiting: [1, 1, 0], cancelled: before.cancelled + 1 })
  await cancelled
  stop()
  await ended
  await Promise.all(waiting.slice(0, 2))
  await t.rejects(addon.inspect({ path: '/nowhere', config: {} }))
  const after = addon.queueStats()
  t.match(after, {
    waiting: [0, 0, 0],
    done: before.done + 2,
    failed: before.failed + 1,
    cancelled: before.cancelled + 2,
  })
  for (const key of ['waitMs', 'longestWaitMs', 'runMs', 'longestRunMs'] as const) {
    t.ok(after[key] > 0 && after[key] >= before[key], key)
  }
})

t.test('other threads, at once', async t => {
  const expected = await labelsOf(await segment(image, vocabulary, long))
  addon.setThreads(3)
  t.equal(addon.queueStats().threads, 3)
  const { stop, ended } = await occupied()
  stop()
  await ended
  t.same(await labelsOf(await segment(image, vocabulary, long)), expected)
  addon.setThreads(1)
})

t.test('what is no priority, order or client', t => {
  for (const call of [{ priority: 3 }, { priority: -1 }, { priority: 'high' }, { order: 'a' }]) {
    t.throws(() => small(call as NativeCall), { code: 'ERR_DECLIP_INVALID_ARG' })
  }
  t.throws(() => small({ client: 5 as never }), { code: 'ERR_DECLIP_INVALID_ARG' })
  t.end()
})
