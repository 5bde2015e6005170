import t from 'tap'
import type { Call } from '../../../ts/base/call.js'
import { loadAddon } from '../../../ts/engine/load-addon.js'
import { configure } from '../../../ts/engine/settings.js'
import { type Slot, takeSlot } from '../../../ts/image/decode-slots.js'

/** Asks for a slot; its name goes to `log` when it is there. */
function ask(log: string[], name: string, call: Call = {}): Promise<Slot> {
  const asked = takeSlot(call)
  asked.then(
    () => log.push(name),
    () => log.push(`no ${name}`),
  )
  return asked
}

const tick = () => new Promise(resolve => setImmediate(resolve))

t.test('by priority, then in the order of entry', async t => {
  configure({ decodeAhead: 2 })
  const log: string[] = []
  const [a, b] = await Promise.all([ask(log, 'a'), ask(log, 'b')])
  const later = [
    ask(log, 'low', { priority: 'low' }),
    ask(log, 'second', { order: 20 }),
    ask(log, 'first', { order: 10 }),
  ]
  await tick()
  t.same(log, ['a', 'b'])
  const high = await ask(log, 'high', { priority: 'high' })
  t.same(log, ['a', 'b', 'high'], 'which has a place that the others may not take')
  high.release()
  await tick()
  t.equal(log.length, 3)
  a.release()
  a.release() // counts once
  await tick()
  t.same(log.slice(3), ['first'])
  b.release()
  ;(await (later[2] as Promise<Slot>)).release()
  const second = await (later[1] as Promise<Slot>)
  await tick()
  t.same(log.slice(3), ['first', 'second'], 'low priority leaves one place to others')
  second.release()
  ;(await (later[0] as Promise<Slot>)).release()
  t.same(log.slice(3), ['first', 'second', 'low'])
})

t.test('clients take turns, and low priority gets an eighth', async t => {
  configure({ decodeAhead: 1 })
  const log: string[] = []
  const holder = await takeSlot({})
  const all = [
    ...['a1', 'a2', 'a3'].map(name => ask(log, name, { client: 'a' })),
    ...['b1', 'b2'].map(name => ask(log, name, { client: 'b' })),
    ...['c1', 'c2', 'c3', 'c4'].map(name => ask(log, name, { client: 'c' })),
    ask(log, 'low', { priority: 'low' }),
  ]
  holder.release()
  for (const slot of all) slot.then(one => setImmediate(() => one.release()))
  await Promise.all(all)
  t.equal(log.join(' '), 'a1 b1 c1 a2 b2 c2 a3 low c3 c4')
})

t.test('one that is stopped while it waits leaves the line', async t => {
  configure({ decodeAhead: 1 })
  const log: string[] = []
  const first = await ask(log, 'first')
  const stop = new AbortController()
  const stopped = ask(log, 'stopped', { signal: stop.signal })
  const next = ask(log, 'next')
  stop.abort('enough')
  await t.rejects(stopped, { code: 'ERR_DECLIP_ABORTED', cause: 'enough' })
  await t.rejects(takeSlot({ signal: stop.signal }), { code: 'ERR_DECLIP_ABORTED' })
  first.release()
  ;(await next).release()
  t.same(log, ['first', 'no stopped', 'next'])
})

t.test('bytes wait for those of other pictures, and are refused where there are none', async t => {
  const addon = loadAddon()
  const { used } = addon.memoryUse()
  configure({ decodeAhead: 3, memoryBudget: used + 100 * 2 ** 20 })
  const [a, b, c] = await Promise.all([takeSlot({}), takeSlot({}), takeSlot({})])
  await a.reserve(60 * 2 ** 20, undefined)
  const log: string[] = []
  const second = b.reserve(60 * 2 ** 20, undefined).then(() => log.push('b'))
  const stop = new AbortController()
  const third = c.reserve(80 * 2 ** 20, stop.signal)
  await tick()
  t.same(log, [])
  stop.abort()
  await t.rejects(third, { code: 'ERR_DECLIP_ABORTED' })
  c.release()
  a.release()
  await second
  t.equal(addon.memoryUse().used, used + 60 * 2 ** 20)
  b.release()
  const alone = await takeSlot({})
  await t.rejects(alone.reserve(101 * 2 ** 20, undefined), {
    code: 'ERR_DECLIP_OUT_OF_MEMORY',
    message:
      /the decoded picture needs 101 MB, \d+ MB are in use, .* configure\(\{ memoryBudget \}\)/,
  })
  alone.release()
  t.equal(addon.memoryUse().used, used)
})
