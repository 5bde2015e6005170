import { getEventListeners } from 'node:events'
import t from 'tap'
import { until } from '../../../ts/base/abort.js'
import type { Call } from '../../../ts/base/call.js'
import { admit } from '../../../ts/engine/admission.js'
import { loadAddon } from '../../../ts/engine/load-addon.js'
import { configure } from '../../../ts/engine/settings.js'
import { stats } from '../../../ts/engine/stats.js'

/** A call that goes on until it is told to end, or its signal fires. */
function callThatWaits(options: Parameters<typeof admit>[0] = {}, rest?: { counts?: boolean }) {
  let end = () => {}
  const ended = new Promise<void>(resolve => {
    end = resolve
  })
  const result = admit(options, call => until(ended, call.signal), rest)
  return { end, result }
}

t.afterEach(() => configure({ maxWaiting: Number.POSITIVE_INFINITY }))

loadAddon()

t.test('work begins at once and gets the options with a place of its own', async t => {
  const seen: (Call & { other: number })[] = []
  const work = async (call: Call & { other: number }) => seen.push(call)
  const { signal } = new AbortController()
  const results = [1, 2, 3].map(other => admit({ other, signal, priority: 'low' }, work))
  t.match(
    seen,
    [1, 2, 3].map(other => ({ other, signal, priority: 'low' })),
  )
  const [a = 0, b = 0, c = 0] = seen.map(({ order }) => order)
  t.ok(a < b && b < c)
  t.same(await Promise.all(results), [1, 2, 3])
})

t.test('what every call takes is checked', async t => {
  const work = async () => t.fail('began')
  for (const [options, message] of [
    [null, /^options must be an object, received null/],
    [{ signal: {} }, /^signal must be an AbortSignal/],
    [{ priority: 1 }, /^priority must be 'high', 'normal' or 'low', received 1/],
    [{ client: 7 }, /^client must be a string, received 7/],
    [{ timeout: -1 }, /^timeout must be a number of milliseconds, 0 to 2147483647, received -1/],
    [{ timeout: '5' }, /^timeout must be/],
    [{ timeout: Number.NaN }, /^timeout must be/],
    [{ timeout: 2 ** 31 }, /^timeout must be/],
  ] as const) {
    await t.rejects(admit(options as never, work), { code: 'ERR_DECLIP_INVALID_ARG', message })
  }
  const cause = new Error('before')
  await t.rejects(admit({ signal: AbortSignal.abort(cause) }, work), {
    code: 'ERR_DECLIP_ABORTED',
    cause,
  })
})

t.test('one more than may wait is refused at once', async t => {
  configure({ maxWaiting: 1 })
  const { refused } = stats()
  const running = callThatWaits()
  const waiting = callThatWaits()
  const loading = callThatWaits({}, { counts: false })
  await t.rejects(
    admit({}, async () => t.fail('began')),
    {
      code: 'ERR_DECLIP_BUSY',
      message: /^Busy: 2 calls have not ended, .* 1 may wait \(configure\(\{ maxWaiting \}\)\)/,
    },
  )
  t.equal(stats().refused, refused + 1)
  t.equal(await admit({}, async () => 5, { refusable: false }), 5, 'a part of what was let in')
  running.end()
  await running.result
  t.equal(await admit({}, async () => 6), 6)
  waiting.end()
  loading.end()
  await Promise.all([waiting.result, loading.result])
})

t.test('a deadline from entry', async t => {
  const late = callThatWaits({ timeout: 5 })
  await t.rejects(late.result, {
    name: 'AbortError',
    code: 'ERR_DECLIP_ABORTED',
    cause: { name: 'TimeoutError', message: 'The call took longer than 5 ms' },
  })
  // The caller's own signal still stops it, and nothing listens afterwards.
  const stop = new AbortController()
  const both = callThatWaits({ timeout: 60_000, signal: stop.signal })
  stop.abort('mine')
  await t.rejects(both.result, { code: 'ERR_DECLIP_ABORTED', cause: 'mine' })
  const { signal } = new AbortController()
  const ends = callThatWaits({ timeout: 60_000, signal })
  ends.end()
  await ends.result
  t.equal(getEventListeners(signal, 'abort').length, 0)
})

t.test('how calls ended is counted', async t => {
  const before = stats()
  await admit({}, async () => 1)
  await admit({}, async () => 1, { counts: false })
  await admit({}, () => Promise.reject(new Error('no'))).catch(() => {})
  const late = callThatWaits({ timeout: 1 })
  t.equal(stats().waiting, before.waiting + 1)
  await late.result.catch(() => {})
  const after = stats()
  for (const how of ['done', 'failed', 'aborted'] as const) t.equal(after[how], before[how] + 1)
  t.equal(after.waiting, before.waiting)
  const { buckets, count, sum } = after.callSeconds
  t.equal(count, before.callSeconds.count + 1)
  t.ok(sum > before.callSeconds.sum)
  t.match(buckets.at(-1), { le: Number.POSITIVE_INFINITY, count })
  const counts = buckets.map(bucket => bucket.count)
  t.same(
    counts,
    [...counts].sort((a, b) => a - b),
    'cumulative',
  )
})
