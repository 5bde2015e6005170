import t from 'tap'
import { Prefetch } from '../../../../ts/train/data/prefetch.js'
import { pause } from '../../../support/calls.js'

t.test('things come in order and not too far ahead', async t => {
  const begun: number[] = []
  const discarded: number[] = []
  const prefetch = new Prefetch({
    make: async n => {
      begun.push(n)
      await pause(n % 3)
      return n
    },
    discard: n => discarded.push(n),
    ahead: 2,
    start: 4,
    end: 9,
  })
  t.equal(await prefetch.take(), 4)
  t.same(begun, [4, 5, 6])
  t.equal(await prefetch.take(), 5)
  t.equal(await prefetch.take(), 6)
  t.same(begun, [4, 5, 6, 7, 8], 'nothing behind the end')
  await prefetch.close()
  t.same(discarded, [7, 8])
})

t.test('an error is told to who takes that thing, and to nobody else', async t => {
  const make = async (n: number) => {
    if (n === 1) throw new Error('one')
    return n
  }
  const prefetch = new Prefetch({ make, discard: () => {}, ahead: 3, start: 0, end: 4 })
  t.equal(await prefetch.take(), 0)
  await pause(5)
  await t.rejects(prefetch.take(), { message: 'one' })
  await prefetch.close()
})
