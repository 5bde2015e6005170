import t from 'tap'
import { eachLine, inTurns } from '../../../ts/base/event-loop.js'

t.test('visits every line in order', async t => {
  const lines: number[] = []
  await eachLine(5, 3, line => lines.push(line))
  t.same(lines, [0, 1, 2, 3, 4])
})

t.test('others get their turn between long lines', async t => {
  const order: string[] = []
  const other = new Promise<void>(resolve =>
    setImmediate(() => {
      order.push('other')
      resolve()
    }),
  )
  await eachLine(3, 1e7, line => order.push(`line ${line}`))
  await other
  t.same(order, ['line 0', 'other', 'line 1', 'line 2'])
})

t.test('items are visited in order, others get their turn in between', async t => {
  const order: string[] = []
  setImmediate(() => order.push('other'))
  const begun = performance.now()
  await inTurns(Array(600).keys(), (item, index) => {
    t.equal(item, index)
    if (index === 0) while (performance.now() - begun < 20);
    if (index % 300 === 0) order.push(`item ${index}`)
  })
  t.strictSame(order, ['item 0', 'other', 'item 300'])
})
