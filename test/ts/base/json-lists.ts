import { appendFileSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { type JsonItem, readJsonLists } from '../../../ts/base/json-lists.js'
import { writeTree } from '../../support/tree.js'

async function items(path: string, ...lists: string[]) {
  const found: Record<string, JsonItem[]> = Object.fromEntries(lists.map(name => [name, []]))
  const visit = Object.fromEntries(
    lists.map(name => [name, (item: JsonItem) => (found[name] as JsonItem[]).push(item)]),
  )
  const file = await readJsonLists(path, visit)
  return { found, file }
}

t.test('items as JSON.parse() has them, whatever they are', async t => {
  const folder = t.testdir()
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.jsonValue(), { maxLength: 20 }),
      fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 4 }),
      fc.constantFrom(undefined, 1, '\t', '\r\n'),
      async (list, others, indent) => {
        const { list: _, ...rest } = others
        writeTree(folder, { 'a.json': JSON.stringify({ ...rest, list }, null, indent) })
        const { found, file } = await items(join(folder, 'a.json'), 'list')
        const expected = JSON.parse(JSON.stringify(list))
        const same =
          JSON.stringify(found['list']?.map(({ value }) => value)) === JSON.stringify(expected)
        const again = await file.read((found['list'] ?? []).map(({ range }) => range))
        return same && JSON.stringify(again) === JSON.stringify(expected)
      },
    ),
    { numRuns: 25 },
  )
})

t.test('many items, in turns of the event loop', async t => {
  const list = Array.from({ length: 8_000 }, (_, i) => ({
    id: i,
    text: 'é"\\{[',
    points: [i, 0.5],
  }))
  const folder = writeTree(t.testdir(), { 'a.json': { info: {}, list, last: 3 } })
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  const { found, file } = await items(join(folder, 'a.json'), 'list')
  clearInterval(timer)
  t.ok(turns > 0, `the timer fired ${turns} times meanwhile`)
  t.same(
    found['list']?.map(({ value }) => value),
    list,
  )
  t.same(found['list']?.map(({ index }) => index).slice(-2), [7_998, 7_999])
  t.same([...file.members], ['info', 'list', 'last'])
})

t.test('numbers that only Python writes', async t => {
  const text = '{"list": [{"a": [NaN, 1]}, {"a": "NaN, -Infinity"}, {"a": -Infinity}]}'
  const folder = writeTree(t.testdir(), { 'a.json': text })
  const { found, file } = await items(join(folder, 'a.json'), 'list')
  const expected = [{ a: ['NaN', 1] }, { a: 'NaN, -Infinity' }, { a: '-Infinity' }]
  t.same(
    found['list']?.map(({ value }) => value),
    expected,
  )
  t.same(await file.read((found['list'] ?? []).map(({ range }) => range)), expected)
})

t.test('what is no JSON is named by line and column', async t => {
  const cases: [text: string, message: RegExp][] = [
    ['', /line 1, column 1: the file is empty/],
    ['[1, 2]', /line 1, column 1: expected an object with lists, found '\[1, 2\]'/],
    ['{"list": {"a": 1}}', /column 10: "list" must be a list/],
    ['{"list": [1, 2', /column 15: the file ends within what begins on line 1, column 14/],
    [
      '{"list": [1,\n {"a": "b',
      /line 2, column 10: the file ends within .* line 2, column 8; it is cut/,
    ],
    ['{"list": [1,\n {"a": [1, 2', /line 2, column 13: .*begins on line 2, column 2/],
    ['{"list": [1,\n {"a": }]}', /line 2, column 8: expected a value, found '}'/],
    [
      '{"list": [1,\n {"é": 1 2}]}',
      /line 2, column 11: expected ',' or the closing bracket, found '2}'/,
    ],
    ['{"list": [1 2]}', /column 13: expected ',' or ']' after item 0 of "list", found '2\]}'/],
    ['{"list": [1], "list": []}', /column 15: the member "list" stands there twice/],
    ['{"list": []} x', /column 14: text follows the end/],
    ['{"list" []}', /column 9: expected ':' after the name/],
    ['{"a": 1 "list": []}', /column 9: expected ',' or '}' after a member/],
    ['{a: 1}', /column 2: expected the name of a member, found 'a: 1}'/],
    ['{"list": [,1]}', /line 1, column 11: expected a value or ']', found ',1/],
    ['{"list": [1,]}', /line 1, column 1[23]: expected a value/],
    ['{"list": [{"a": 01}]}', /column 17: expected a value, found '01}'/],
    ['{"list": [{"a": tru}]}', /column 17: expected a value, found 'tru}'/],
    ['{"list": [{"a": [1}]}]}', /column 19: expected ',' or the closing bracket, found '}/],
  ]
  for (const [text, message] of cases) {
    const folder = writeTree(t.testdir(), { 'a.json': text })
    await t.rejects(items(join(folder, 'a.json'), 'list'), { code: 'ERR_DECLIP_IO', message }, text)
  }
  const utf16 = writeTree(t.testdir(), { 'a.json': Buffer.from('\ufeff{}', 'utf16le') })
  await t.rejects(items(join(utf16, 'a.json'), 'list'), {
    message: /UTF-16 text; save it as UTF-8/,
  })
  const marked = writeTree(t.testdir(), { 'a.json': '\ufeff{"list": [1]}' })
  t.equal((await items(join(marked, 'a.json'), 'list')).found['list']?.length, 1)
  await t.rejects(items(join(marked, 'none.json'), 'list'), { code: 'ERR_DECLIP_IO' })
})

t.test('a file that was changed is not come back to', async t => {
  const path = join(writeTree(t.testdir(), { 'a.json': '{"list": [1, 2]}' }), 'a.json')
  const { found, file } = await items(path, 'list')
  const ranges = (found['list'] ?? []).map(({ range }) => range)
  t.same(await file.read(ranges), [1, 2])
  appendFileSync(path, ' ')
  utimesSync(path, 1, 1)
  await t.rejects(file.read(ranges), { code: 'ERR_DECLIP_IO', message: /was changed while/ })
})

t.test('stopped', async t => {
  const path = join(writeTree(t.testdir(), { 'a.json': '{"list": [1, 2]}' }), 'a.json')
  await t.rejects(readJsonLists(path, {}, AbortSignal.abort()), { code: 'ERR_DECLIP_ABORTED' })
})
