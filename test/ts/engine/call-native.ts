import { getEventListeners } from 'node:events'
import t from 'tap'
import type { Progress } from '../../../ts/base/call.js'
import type { NativeCall } from '../../../ts/engine/addon-types.js'
import { callNative } from '../../../ts/engine/call-native.js'

/** An addon whose tokens remember whether they were cancelled. */
class CancelToken {
  static made: CancelToken[] = []
  cancelled = false
  constructor() {
    CancelToken.made.push(this)
  }
  cancel(): void {
    this.cancelled = true
  }
}
const addon = { CancelToken }
t.beforeEach(() => {
  CancelToken.made = []
})

t.test('hands the call a token and returns its result', async t => {
  const seen: NativeCall[] = []
  const run = async (call: NativeCall) => seen.push(call)
  t.equal(await callNative(addon, {}, run), 1)
  await callNative(addon, { priority: 'high', client: 'me', order: 7 }, run)
  t.match(seen, [
    { token: CancelToken.made[0], onProgress: undefined, priority: 1, order: undefined },
    { priority: 2, client: 'me', order: 7 },
  ])
  t.notOk(CancelToken.made[0]?.cancelled)
})

t.test('errors of the native part get their class and the stack of the caller', async t => {
  const native = Object.assign(new Error('no'), { code: 'ERR_DECLIP_WEIGHTS' })
  const call = callNative(addon, {}, () => Promise.reject(native))
  const error = await call.catch((error: unknown) => error as Error)
  t.match(error, { name: 'DeclipError', code: 'ERR_DECLIP_WEIGHTS', cause: native })
  t.match((error as Error).stack, /callNative/)
  await t.rejects(
    callNative(addon, {}, () => {
      throw native
    }),
    { name: 'DeclipError', code: 'ERR_DECLIP_WEIGHTS' },
    'also where the call throws at once',
  )
  await t.rejects(
    callNative(addon, {}, () => Promise.reject(new RangeError('a bug'))),
    { code: 'ERR_DECLIP_INTERNAL', message: 'a bug' },
  )
})

t.test('signal', async t => {
  let runs = 0
  const run = async () => {
    runs += 1
  }
  const done = AbortSignal.abort(new Error('early'))
  await t.rejects(callNative(addon, { signal: done }, run), {
    code: 'ERR_DECLIP_ABORTED',
    cause: { message: 'early' },
  })
  t.equal(runs, 0, 'an aborted call does not begin')

  const stop = new AbortController()
  let fail: (error: Error) => void = () => {}
  const call = callNative(
    addon,
    { signal: stop.signal },
    () =>
      new Promise((_, reject) => {
        fail = reject
      }),
  )
  stop.abort('late')
  t.ok(CancelToken.made[0]?.cancelled, 'the token is told')
  fail(new Error('stopped'))
  await t.rejects(call, { name: 'AbortError', code: 'ERR_DECLIP_ABORTED', cause: 'late' })

  const later = new AbortController()
  await callNative(addon, { signal: later.signal }, run)
  later.abort()
  t.notOk(CancelToken.made[1]?.cancelled, 'nothing listens after the end')
})

t.test('calls that share a signal put one listener on it', async t => {
  const { signal } = new AbortController()
  const calls = Array.from({ length: 12 }, () =>
    callNative(addon, { signal }, async () => getEventListeners(signal, 'abort').length),
  )
  t.strictSame(await Promise.all(calls), new Array(12).fill(1))
  t.equal(getEventListeners(signal, 'abort').length, 0)
})

t.test('progress comes with the name of its step', async t => {
  const seen: Progress[] = []
  await callNative(
    addon,
    { onProgress: progress => seen.push(progress) },
    async ({ onProgress }) => {
      onProgress?.('encode', 1, 2)
      onProgress?.('pixels', 2, 2)
      onProgress?.('pixels', 1, 3)
    },
  )
  t.same(seen, [
    { step: 'encode', done: 1, total: 2 },
    { step: 'pixels', done: 2, total: 2 },
    { step: 'pixels', done: 1, total: 3 },
  ])
})

t.test('a progress callback that throws ends the call with its error', async t => {
  const bug = new TypeError('in the callback')
  const onProgress = () => {
    throw bug
  }
  for (const settles of [() => undefined, () => Promise.reject(new Error('cancelled'))]) {
    const call = callNative(addon, { onProgress }, async call => {
      call.onProgress?.('encode', 1, 2)
      return settles()
    })
    t.equal(await call.catch((error: unknown) => error), bug)
    t.ok(CancelToken.made.at(-1)?.cancelled, 'and stops it')
  }
})
