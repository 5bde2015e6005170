import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ahead } from '../../../ts/base/ahead.js'
import { Batch, type BatchFlags, type Job } from '../../../ts/cli/batch.js'
import type { Run } from '../../../ts/cli/shared.js'
import { DeclipError, type ErrorCode } from '../../../ts/errors.js'

/** Opens a batch of files whose outputs are beside them; what it says is kept. */
async function open(given: string[], flags: BatchFlags = {}) {
  const said = { out: [] as string[], told: [] as string[], errors: [] as string[] }
  const run = {
    signal: new AbortController().signal,
    print: (line: string) => said.out.push(line),
    tell: (line: string) => said.told.push(line),
    complain: (error: Error) => said.errors.push(error.message),
    progress: { clear() {}, update() {}, updatePictures() {} },
  } as unknown as Run
  const plan = async (pictures: readonly { name: string }[]) =>
    pictures.map(({ name }) => ({ out: `${name}.out` }))
  return { batch: await Batch.open(given, { flags, plan }, run), ...said, said }
}

const work = (jobs: readonly Job[], run: (name: string) => Promise<string>) =>
  ahead(jobs.values(), ({ picture }) => run(picture.name), { limit: 2 })

const names = (jobs: readonly Job[]) => jobs.map(({ picture }) => picture.place)

t.test('failures are reported in their place and end with an error', async t => {
  const dir = t.testdir({ 'a.png': '', 'b.png': '', 'c.png': '' })
  const errors = join(dir, 'errors.jsonl')
  writeFileSync(errors, 'of an earlier run')
  const { batch, said } = await open([dir, join(dir, 'no.png')], { json: true, errors })
  t.strictSame(names(batch.jobs), ['a.png', 'b.png', 'c.png'])
  const run = async (name: string) => {
    if (name.endsWith('b.png')) throw new DeclipError('ERR_DECLIP_IMAGE', 'It is too small.')
    return `${name} is done`
  }
  await t.rejects(batch.take(work(batch.jobs, run)), {
    code: 'ERR_DECLIP_IMAGE',
    message: '2 of 4 pictures were left out; the lines above say why.',
  })
  const [no, a, b, c] = said.out
  t.match(JSON.parse(no ?? ''), { image: join(dir, 'no.png'), error: { code: 'ERR_DECLIP_IO' } })
  t.match([a, c], [/a\.png is done$/, /c\.png is done$/])
  const image = join(dir, 'b.png')
  const error = { code: 'ERR_DECLIP_IMAGE', message: `${image}: It is too small.` }
  t.strictSame(JSON.parse(b ?? ''), { image, error })
  t.equal(readFileSync(errors, 'utf8'), `${no}\n${b}\n`)
  t.match(said.errors, [/no\.png/, /b\.png: It is too small/])
  t.match(said.told, [/^4 pictures: 2 done, 2 failed in 0\.\d s \(.* pictures\/s\)$/])
})

t.test('a single picture fails as itself', async t => {
  const dir = t.testdir({ 'a.png': '' })
  const { batch, said } = await open([join(dir, 'a.png')], { json: true })
  const error = new DeclipError('ERR_DECLIP_IMAGE', 'x')
  await t.rejects(
    batch.take(
      work(batch.jobs, async () => {
        throw error
      }),
    ),
    error,
  )
  t.match(JSON.parse(said.out[0] ?? ''), { error: { code: 'ERR_DECLIP_IMAGE' } })
  t.strictSame([said.told, said.errors], [[], []])
  await t.rejects(open([join(dir, 'no.png')]), { code: 'ERR_DECLIP_IO', message: /no\.png/ })
  await t.rejects(open(['no.png', 'none.png']), { message: /^2 of 2 pictures were left out/ })
})

t.test('an error of all ends the run', async t => {
  const dir = t.testdir({ 'a.png': '', 'b.png': '', 'c.png': '' })
  const codes: ErrorCode[] = ['ERR_DECLIP_ABORTED', 'ERR_DECLIP_WEIGHTS', 'ERR_DECLIP_DEVICE']
  for (const code of codes) {
    const { batch, said } = await open([dir])
    const run = async (name: string) => {
      if (name.endsWith('b.png')) throw new DeclipError(code, 'x')
      return 'done'
    }
    await t.rejects(batch.take(work(batch.jobs, run)), { code })
    t.match(said.told, [/^3 pictures: 1 done, 2 not reached in .*; --skip-existing goes on/])
  }
  const { batch } = await open([dir])
  const full = new DeclipError('ERR_DECLIP_IO', 'the disk is full')
  const run = async () => batch.endWith(full)
  await t.rejects(batch.take(work(batch.jobs, run)), full, 'outputs cannot be written')
})

t.test('--skip-existing and --shard', async t => {
  const files = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`${i}.png`, '']))
  const dir = t.testdir({ ...files, '3.png.out': '', '5.png.out': {} })
  const skipped = await open([dir], { skipExisting: true })
  t.equal(skipped.batch.jobs.length, 19)
  t.equal(names(skipped.batch.jobs).includes('3.png'), false)
  await skipped.batch.take(work(skipped.batch.jobs, async () => 'done'))
  t.match(skipped.told, [/^20 pictures: 19 done, 1 skipped in /])

  const parts: string[] = []
  for (const index of [1, 2, 3]) {
    const { batch } = await open([dir], { shard: { index, count: 3 } })
    parts.push(...names(batch.jobs))
  }
  t.strictSame(parts.sort(), Object.keys(files).sort())

  const all = await open([join(dir, '3.png')], { skipExisting: true })
  t.strictSame([all.batch.jobs, all.told], [[], ['1 picture: 0 done, 1 skipped in 0.0 s']])
  const none = { flags: { skipExisting: true }, plan: async () => [{}] }
  await t.rejects(Batch.open([join(dir, '3.png')], none, {} as Run), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /--skip-existing needs/,
  })
  await t.rejects(open([dir], { errors: join(dir, 'no', 'errors') }), { code: 'ERR_DECLIP_IO' })
})
