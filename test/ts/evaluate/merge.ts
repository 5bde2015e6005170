import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { evaluate } from '../../../ts/evaluate/evaluate.js'
import { merge } from '../../../ts/evaluate/merge.js'
import type { EvaluateOptions } from '../../../ts/evaluate/options.js'
import { writeDataFolder } from '../../support/evaluation.js'

const COUNT = 9
const SHARDS = ['1/3', '2/3', '3/3']

async function setUp(t: Test) {
  const dir = t.testdir()
  const data = await writeDataFolder(join(dir, 'data'), COUNT)
  const run = (options: Partial<EvaluateOptions> = {}) =>
    evaluate({ dataset: 'folder', data, model: 'words-tiny', templates: 'none', ...options })
  return { data, run, path: (...parts: string[]) => join(dir, ...parts) }
}

t.test('parts come to what a run in one go comes to, byte for byte', async t => {
  const { run, path } = await setUp(t)
  const whole = await run({ out: path('whole') })
  for (const shard of SHARDS) {
    await run({ out: path('shared'), shard })
    await run({ out: path(`own-${shard.replace('/', '-')}`), shard })
  }
  const own = SHARDS.map(shard => path(`own-${shard.replace('/', '-')}`))
  const files = SHARDS.map(shard => path('shared', `results-${shard.replace('/', '-of-')}.jsonl`))
  for (const [i, parts] of [[path('shared')], own, own.toReversed(), files].entries()) {
    const out = path(`merged-${i}`)
    const merged = await merge(parts, { out })
    t.strictSame(merged.result, whole)
    t.match(merged, { missingParts: [], doubled: [] })
    t.equal(merged.parts.length, 3)
    const read = (folder: string, name: string) => readFileSync(join(folder, name), 'utf8')
    t.equal(read(out, 'result.json'), read(path('whole'), 'result.json'))
    t.equal(read(out, 'results.jsonl').split('\n').length, COUNT + 1)
  }
  t.strictSame((await merge([path('merged-0')])).result, whole, 'what was united is a part as well')
  t.strictSame(await run({ out: path('merged-1'), resume: true }), whole, 'and can be gone on with')
  await t.rejects(merge([path('shared')], { out: path('whole') }), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /holds results of an earlier run/,
  })
})

t.test('what is missing is named', async t => {
  const { run, path } = await setUp(t)
  for (const shard of ['1/3', '3/3']) await run({ out: path('parts'), shard })
  const { result, missingParts } = await merge([path('parts')])
  t.strictSame(missingParts, ['2/3'])
  t.equal(result.pictures + result.missing.length, COUNT)
  t.ok(result.missing.length > 0)
  // A part that did not come to its end.
  const file = path('parts', 'results-1-of-3.jsonl')
  const lines = readFileSync(file, 'utf8').trim().split('\n')
  const { id } = JSON.parse(lines.at(-1) as string) as { id: string }
  writeFileSync(file, `${lines.slice(0, -1).join('\n')}\n{"id":"${id}`)
  t.ok((await merge([path('parts')])).result.missing.includes(id))
})

t.test('a picture in two parts', async t => {
  const { run, path } = await setUp(t)
  const whole = await run()
  for (const shard of SHARDS) await run({ out: path('parts'), shard })
  mkdirSync(path('again'))
  for (const name of ['settings.json', 'results-1-of-3.jsonl']) {
    copyFileSync(path('parts', name), path('again', name))
  }
  const again = path('again', 'results-1-of-3.jsonl')
  const text = readFileSync(again, 'utf8')
  writeFileSync(again, text.replaceAll(/"ms":\d+/g, '"ms":123456'))
  const { result, doubled } = await merge([path('parts'), path('again')])
  t.strictSame(result, whole)
  t.equal(doubled.length, text.trim().split('\n').length, 'the time it took does not count')
  writeFileSync(again, text.replace(/(\d+)\],"width/, '$11],"width'))
  await t.rejects(merge([path('parts'), path('again')]), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message:
      /^Picture '\d+' was measured twice with different results, in .*parts.* and in .*again/,
  })
})

t.test('parts of other runs, and what is no part', async t => {
  const { run, path } = await setUp(t)
  await run({ out: path('a'), shard: '1/2' })
  await run({ out: path('b'), shard: '2/2', stride: 24 })
  await t.rejects(merge([path('a'), path('b')]), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message:
      /b.results-2-of-2\.jsonl was made with other settings than .*a.results-1-of-2\.jsonl: .*values\.stride is 32 there and 24 here/,
  })
  const invalid = 'ERR_DECLIP_INVALID_ARG'
  await t.rejects(merge([]), { code: invalid, message: /parts must be a list of folders/ })
  await t.rejects(merge([path('data')]), { code: invalid, message: /there is no settings\.json/ })
  await t.rejects(merge([path('none')]), { code: 'ERR_DECLIP_IO' })
  rmSync(path('a', 'results-1-of-2.jsonl'))
  await t.rejects(merge([path('a')]), { code: invalid, message: /there is no results/ })
  const signal = AbortSignal.abort()
  await t.rejects(merge([path('b')], { signal }), { code: 'ERR_DECLIP_ABORTED' })
})
