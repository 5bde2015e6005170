import t from 'tap'
import { BYTE_SYMBOLS, parseMerges, toMergeTable } from '../../../ts/text/symbols.js'

const ids = new Map([...BYTE_SYMBOLS, 'ab', 'abc</w>'].map((name, id) => [name, id]))

t.test('merges files', async t => {
  t.strictSame(await parseMerges('#version: 0.2\na b\r\nab c</w>\n\n'), [
    ['a', 'b'],
    ['ab', 'c</w>'],
  ])
  t.strictSame(await parseMerges('# 1</w>'), [['#', '1</w>']])
  for (const line of ['ab', ' b', 'a ', 'a b c']) {
    await t.rejects(parseMerges(`#version\n${line}`), { message: /^line 2 / }, line)
  }
})

t.test('merges as ids', async t => {
  const { bytes, pairs, joined } = await toMergeTable(ids, [
    ['a', 'b'],
    ['ab', 'c</w>'],
  ])
  t.strictSame([...bytes], [...Array(512).keys()])
  t.strictSame([...joined], [512, 513])
  t.strictSame([...pairs], [97, 98, 512, 256 + 99])
})

t.test('a symbol without an id is named', async t => {
  await t.rejects(toMergeTable(ids, [['a', 'zzzz']]), { message: /merge 1 .*'azzzz'/ })
  await t.rejects(toMergeTable(new Map(), []), { message: /a byte needs the symbol/ })
})
