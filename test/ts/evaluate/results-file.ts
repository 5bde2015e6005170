import { appendFileSync, chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ResultsFile, readResults } from '../../../ts/evaluate/results-file.js'

const ids = async (path: string) => {
  const found: string[] = []
  for await (const { id } of readResults(path)) found.push(id)
  return found
}

t.test('lines that are appended side by side are whole and all there', async t => {
  const path = join(t.testdir(), 'results.jsonl')
  const file = await ResultsFile.open(path)
  const lines = Array.from({ length: 200 }, (_, i) => ({ id: `${i}`, pairs: [0, 1, i] }))
  await Promise.all(lines.map(line => file.append(line)))
  await file.close()
  t.equal(readFileSync(path, 'utf8'), lines.map(line => `${JSON.stringify(line)}\n`).join(''))
  t.strictSame(
    await ids(path),
    lines.map(({ id }) => id),
  )
})

t.test('a torn last line is not read, and dropped when the file is opened', async t => {
  const path = join(t.testdir(), 'results.jsonl')
  const whole = '{"id":"a"}\n{"id":"b"}\n'
  for (const torn of ['{"id":"c', '{', `{"id":"${'c'.repeat(3_000_000)}`, '\0\0\0']) {
    writeFileSync(path, whole + torn)
    t.strictSame(await ids(path), ['a', 'b'])
    const file = await ResultsFile.open(path)
    t.equal(readFileSync(path, 'utf8'), whole)
    await file.append({ id: 'd' })
    await file.close()
    t.strictSame(await ids(path), ['a', 'b', 'd'])
  }
  writeFileSync(path, '{"id":"a')
  await (await ResultsFile.open(path)).close()
  t.equal(readFileSync(path, 'utf8'), '', 'nothing but a torn line')
})

t.test('lines longer than what is read at a time', async t => {
  const path = join(t.testdir(), 'results.jsonl')
  const id = 'é'.repeat(200_000)
  writeFileSync(path, `${JSON.stringify({ id })}\n${JSON.stringify({ id: 'b' })}\n`)
  t.strictSame(await ids(path), [id, 'b'])
})

t.test('what is no result is named by file and line', async t => {
  const path = join(t.testdir(), 'results.jsonl')
  for (const bad of ['{"id":', '[]', '7', 'null', '{"name":"a"}', '{"id":3}', '']) {
    writeFileSync(path, `{"id":"a"}\n${bad}\n{"id":"b"}\n`)
    await t.rejects(
      ids(path),
      { code: 'ERR_DECLIP_INVALID_ARG', message: `${path}, line 2: this is no result` },
      bad,
    )
  }
  await t.rejects(ids(join(t.testdirName, 'no')), { code: 'ERR_DECLIP_IO' })
})

t.test('a file that cannot be written', async t => {
  const dir = t.testdir({ 'results.jsonl': '' })
  await t.rejects(ResultsFile.open(join(dir, 'no', 'results.jsonl')), {
    code: 'ERR_DECLIP_IO',
    message: /Cannot write .*results\.jsonl/,
  })
  if (process.getuid?.() === 0) return t.comment('root may write everywhere')
  chmodSync(join(dir, 'results.jsonl'), 0o444)
  await t.rejects(ResultsFile.open(join(dir, 'results.jsonl')), { code: 'ERR_DECLIP_IO' })
})

t.test('what another process appends is left', async t => {
  const path = join(t.testdir(), 'results.jsonl')
  const file = await ResultsFile.open(path)
  await file.append({ id: 'a' })
  appendFileSync(path, '{"id":"b"}\n')
  await file.append({ id: 'c' })
  await file.close()
  t.strictSame(await ids(path), ['a', 'b', 'c'])
})
