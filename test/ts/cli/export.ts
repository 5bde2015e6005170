import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import sharp from 'sharp'
import t from 'tap'
import { packageRoot } from '../../../ts/base/package-files.js'
import { picture } from '../../support/calls.js'
import { finish } from '../../support/child.js'

const MAIN = join(packageRoot, 'dist/cli/main.js')
const SET = [
  ['--classes', 'dog; pizza; tree', '--background', 'none', '--to', 'coco', '--min-area', '0'],
  // A small pass, for what does not depend on the quality of the labels.
  ['--templates', 'none', '--short-side', '64', '--window', '0', '--threads', '1'],
].flat()

const start = (args: readonly string[]): ChildProcess =>
  spawn(process.execPath, [MAIN, 'export', ...args])
const run = (args: readonly string[]) => finish(start(args))

/** The files of a folder with their bytes, without what a run keeps for itself. */
const contents = (dir: string): Record<string, string> =>
  Object.fromEntries(
    (readdirSync(dir, { recursive: true }) as string[])
      .filter(name => !name.startsWith('.export') && statSync(join(dir, name)).isFile())
      .sort()
      .map(name => [name, readFileSync(join(dir, name)).toString('base64')]),
  )

const linesOf = (path: string): number => {
  try {
    return readFileSync(path, 'utf8').split('\n').length - 1
  } catch {
    return 0
  }
}

const dir = t.testdir({ 'broken.txt': 'x' })
const pictures = join(dir, 'pictures')
mkdirSync(join(pictures, 'below'), { recursive: true })
for (let i = 0; i < 12; i++) {
  const { data, width, height } = picture(160, 120, i + 1)
  const path = join(pictures, i % 3 ? `${i}.png` : `below/${i}.png`)
  await sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toFile(path)
}
const whole = join(dir, 'whole')

t.test('a folder becomes a data set', async t => {
  const { code, out, err } = await run([pictures, '--recursive', ...SET, '--out', whole, '--json'])
  t.equal(code, 0, err)
  const lines = out
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))
  t.equal(lines.length, 12)
  t.match(
    lines.find(({ image }) => image.endsWith('0.png')),
    {
      annotations: Number,
      files: ['images/10.png'],
    },
  )
  t.match(err, /12 pictures: 12 done in/)
  t.match(err, /a data set of 12 pictures is in .*whole: annotations\/instances_default\.json/)
})

t.test('killed in the middle, again and again, it becomes the same', async t => {
  const out = join(dir, 'killed')
  const args = [pictures, '--recursive', ...SET, '--out', out, '--skip-existing']
  const part = join(out, '.export/all.jsonl')
  for (const lines of [2, 6, 10]) {
    const child = start(args)
    const ended = once(child, 'exit')
    while (child.exitCode === null && linesOf(part) < lines) await setTimeout(5)
    child.kill('SIGKILL')
    const [, signal] = await ended
    t.equal(signal, 'SIGKILL', `after ${linesOf(part)} pictures`)
  }
  const { code, err } = await run(args)
  t.equal(code, 0, err)
  t.match(err, /12 pictures: \d+ done, \d+ skipped/)
  t.strictSame(contents(out), contents(whole))
})

t.test('a disk that is full ends the run, which goes on later', async t => {
  const out = join(dir, 'full')
  const args = [pictures, '--recursive', ...SET, '--out', out, '--pictures', 'symlink']
  const command = `ulimit -f 6 && exec "${process.execPath}" "${MAIN}" export "$@"`
  const { code, err } = await finish(spawn('bash', ['-c', command, 'bash', ...args]))
  t.equal(code, 1)
  t.match(err, /ERR_DECLIP_IO: Cannot write .*: the file is too large/)
  t.match(err, /--skip-existing goes on with the rest/)
  const again = await run([...args, '--skip-existing'])
  t.equal(again.code, 0, again.err)
  t.strictSame(contents(out), { ...contents(whole), 'export.json': contents(out)['export.json'] })
})

t.test('a picture that fails is named and left out', async t => {
  const some = join(dir, 'some')
  mkdirSync(some)
  writeFileSync(join(some, 'broken.png'), 'no picture')
  writeFileSync(join(some, 'good.png'), readFileSync(join(pictures, '1.png')))
  const [out, errors] = [join(dir, 'some-set'), join(dir, 'errors.jsonl')]
  const { code, err } = await run([some, ...SET, '--out', out, '--errors', errors])
  t.equal(code, 1)
  t.match(err, /1 of 2 pictures were left out/)
  t.match(JSON.parse(readFileSync(errors, 'utf8')), {
    image: join(some, 'broken.png'),
    error: { code: 'ERR_DECLIP_IMAGE' },
  })
  const { images } = JSON.parse(contentsOf(out)) as { images: { file_name: string }[] }
  t.strictSame(
    images.map(image => image.file_name),
    ['good.png'],
  )
})

const contentsOf = (out: string) =>
  readFileSync(join(out, 'annotations/instances_default.json'), 'utf8')

t.test('parts are merged by declip merge', async t => {
  const parts = [1, 2].map(i => join(dir, `part-${i}`))
  for (const [i, out] of parts.entries()) {
    const args = [pictures, '--recursive', ...SET, '--out', out, '--shard', `${i + 1}/2`]
    t.equal((await run(args)).code, 0)
  }
  const out = join(dir, 'merged')
  const merge = spawn(process.execPath, [MAIN, 'merge', ...parts, '--out', out, '--json'])
  const merged = await finish(merge)
  t.equal(merged.code, 0, merged.err)
  t.match(JSON.parse(merged.out), { pictures: 12, missing: [] })
  t.strictSame(contents(out), contents(whole))
  const one = await finish(spawn(process.execPath, [MAIN, 'merge', parts[0] as string]))
  t.equal(one.code, 1)
  t.match(one.err, /Parts 2\/2 are missing/)
})

t.test('wrong usage', async t => {
  const cases: [string[], RegExp][] = [
    [[pictures, '--classes', 'a', '--out', whole], /required option '--to <format>'/],
    [[pictures, '--classes', 'a', '--to', 'voc', '--out', whole], /Allowed choices are coco/],
    [[pictures, '--classes', 'a', '--to', 'coco'], /required option '--out <folder>'/],
    [
      [join(pictures, '1.png'), join(dir, 'some/../pictures/1.png'), ...SET, '--out', 'x'],
      /would both be called '1\.png'/,
    ],
    [[pictures, '--recursive', ...SET, '--out', whole], /There is a data set in .* already/],
  ]
  for (const [args, message] of cases) {
    const { code, err } = await run(args)
    t.equal(code, 2, err)
    t.match(err, message)
  }
})
