import t from 'tap'
import { ahead, type Outcome } from '../../../ts/base/ahead.js'

/** A promise that is settled from outside. */
function deferred<T>() {
  let resolve: (value: T) => void = () => {}
  const promise = new Promise<T>(settle => {
    resolve = settle
  })
  return { promise, resolve }
}

async function collect<T, R>(outcomes: AsyncIterable<Outcome<T, R>>) {
  const seen: [T, number, unknown][] = []
  for await (const { item, index, result } of outcomes) {
    seen.push([item, index, result.status === 'fulfilled' ? result.value : result.reason.message])
  }
  return seen
}

t.test('results come in the order of the items, as many at a time as are allowed', async t => {
  let [running, most] = [0, 0]
  const work = async (n: number) => {
    running += 1
    most = Math.max(most, running)
    await new Promise(resolve => setTimeout(resolve, 5 * (4 - n)))
    running -= 1
    if (n === 2) throw new Error('two')
    return n * n
  }
  t.strictSame(await collect(ahead([1, 2, 3].values(), work, { limit: 2 })), [
    [1, 0, 1],
    [2, 1, 'two'],
    [3, 2, 9],
  ])
  t.equal(most, 2)
  t.strictSame(await collect(ahead([].values(), work, { limit: 2 })), [])
  const throwing = () => {
    throw new Error('at once')
  }
  t.strictSame(await collect(ahead([1].values(), throwing, { limit: 1 })), [[1, 0, 'at once']])
})

t.test('what is ready does not wait for an item that is still to come', async t => {
  const second = deferred<void>()
  async function* slow() {
    yield 'a'
    await second.promise
    yield 'b'
  }
  const results = ahead(slow(), async item => item, { limit: 4 })
  t.match(await results.next(), { value: { item: 'a' } })
  second.resolve()
  t.match(await results.next(), { value: { item: 'b' } })
  t.match(await results.next(), { done: true })
})

t.test('leaving the loop closes the source and gives unused results back', async t => {
  const unused: number[] = []
  let closed = 0
  const numbers = (wait: Promise<void> | undefined) => {
    let n = 0
    return {
      async next() {
        if (n === 2) await wait
        n += 1
        return { done: false, value: n }
      },
      async return() {
        closed += 1
        return { done: true, value: undefined }
      },
    } as AsyncIterator<number>
  }
  for (const wait of [undefined, new Promise<void>(() => {})]) {
    const results = ahead(numbers(wait), async n => n, { limit: 2, abandon: n => unused.push(n) })
    await results.next()
    await results.return()
    await new Promise(setImmediate)
  }
  t.equal(closed, 2, 'also one that is waited for')
  t.strictSame(unused.slice(0, 1), [2])
})

t.test('an abort ends the wait for an item, after what was begun', async t => {
  const stop = new AbortController()
  const { signal } = stop
  async function* stuck() {
    yield 1
    await new Promise(() => {})
  }
  const results = ahead(stuck(), async n => n, { limit: 3, signal })
  t.match(await results.next(), { value: { item: 1 } })
  const next = results.next()
  stop.abort()
  await t.rejects(next, { code: 'ERR_DECLIP_ABORTED' })

  const begun = deferred<string>()
  const two = ahead([1, 2].values(), async () => begun.promise, { limit: 1, signal })
  await t.rejects(two.next(), { code: 'ERR_DECLIP_ABORTED' }, 'before anything was begun')

  const late = new AbortController()
  const some = ahead(stuck(), () => begun.promise, { limit: 3, signal: late.signal })
  const first = some.next()
  await new Promise(setImmediate)
  late.abort()
  begun.resolve('done')
  t.match(await first, { value: { item: 1, result: { value: 'done' } } })
  await t.rejects(some.next(), { code: 'ERR_DECLIP_ABORTED' })
})

t.test('values are let go of while an item is still to come', async t => {
  const gone: string[] = []
  const registry = new FinalizationRegistry((name: string) => gone.push(name))
  async function* slow() {
    for (let n = 0; n < 3; n++) yield n
    await new Promise(() => {})
  }
  const work = async (n: number) => {
    const value = { n }
    registry.register(value, `${n}`)
    return value
  }
  const results = ahead(slow(), work, { limit: 2 })
  for (let n = 0; n < 3; n++) await results.next()
  results.next().catch(() => {})
  for (let round = 0; round < 20 && gone.length < 3; round++) {
    globalThis.gc?.()
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  t.strictSame(gone.sort(), ['0', '1', '2'])
})

t.test('an error of the source comes after what it gave', async t => {
  function* broken() {
    yield 1
    yield 2
    throw new RangeError('no more')
  }
  const seen: number[] = []
  const loop = async () => {
    for await (const { item } of ahead(broken(), async n => n, { limit: 5 })) seen.push(item)
  }
  await t.rejects(loop(), RangeError)
  t.strictSame(seen, [1, 2])
})
