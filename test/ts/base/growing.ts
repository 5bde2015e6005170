import t from 'tap'
import { Growing } from '../../../ts/base/growing.js'

t.test('what was added is there, however much', async t => {
  const list = new Growing(n => new Float64Array(n))
  const expected: number[] = []
  for (let i = 0; i < 1000; i++) {
    list.push(i, -i / 3)
    list.append([i / 7])
    expected.push(i, -i / 3, i / 7)
  }
  list.append([])
  t.same([...list.view()], expected)
  t.equal(list.length, 3000)
})

t.test('a view stays as it is', async t => {
  const list = new Growing(n => new Uint8Array(n))
  list.push(1, 2, 3)
  const view = list.view()
  for (let i = 0; i < 200; i++) list.push(9)
  t.same([...view], [1, 2, 3])
})
