import { getEventListeners } from 'node:events'
import t from 'tap'
import { onAbort } from '../../../ts/base/abort.js'

const count = (signal: AbortSignal) => getEventListeners(signal, 'abort').length

t.test('many wait for one signal with one listener', async t => {
  const { signal, abort } = controller()
  const told: number[] = []
  const takeBack = Array.from({ length: 30 }, (_, i) => onAbort(signal, () => told.push(i)))
  t.equal(count(signal), 1)
  takeBack[3]?.()
  takeBack[3]?.()
  abort()
  t.strictSame(
    told,
    [...Array(30).keys()].filter(i => i !== 3),
  )
})

t.test('nothing is left once nobody waits', async t => {
  const { signal, abort } = controller()
  const tell = () => t.fail('was taken back')
  const [first, second] = [onAbort(signal, tell), onAbort(signal, tell)]
  first()
  t.equal(count(signal), 1)
  second()
  t.equal(count(signal), 0)
  second()
  let told = 0
  const third = onAbort(signal, () => told++)
  second()
  t.equal(count(signal), 1, 'an old one does not take back a new one')
  abort()
  t.equal(told, 1)
  third()
})

t.test('one that takes another back while the signal fires', async t => {
  const { signal, abort } = controller()
  let other = () => {}
  onAbort(signal, () => other())
  other = onAbort(signal, () => t.fail('was taken back'))
  abort()
  t.doesNotThrow(() => onAbort(undefined, () => {})())
})

function controller() {
  const made = new AbortController()
  return { signal: made.signal, abort: () => made.abort() }
}
