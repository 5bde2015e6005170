import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { packageRoot } from '../../../ts/base/package-files.js'
import { finish, type Result } from '../../support/child.js'
import { writeDataFolder } from '../../support/evaluation.js'

const MAIN = join(packageRoot, 'dist/cli/main.js')
const COUNT = 8

async function setUp(t: Test) {
  const dir = t.testdir()
  const data = await writeDataFolder(join(dir, 'data'), COUNT)
  const args = ['eval', '--dataset', 'folder', '--data', data, '--model', 'words-tiny']
  // Refinement makes a picture take a while, so that there is time to end the run.
  const start = (...more: string[]): ChildProcess =>
    spawn(process.execPath, [MAIN, ...args, '--templates', 'none', '--pamr', '20', ...more])
  const run = (...more: string[]): Promise<Result> => finish(start(...more))
  return { data, start, run, args, out: join(dir, 'run'), dir }
}

const merge = (...args: string[]): Promise<Result> =>
  finish(spawn(process.execPath, [MAIN, 'merge', ...args]))

const lines = (path: string) =>
  existsSync(path) ? readFileSync(path, 'utf8').split('\n').length - 1 : 0

t.test('figures, as people and as programs read them', async t => {
  const { run, out } = await setUp(t)
  const { code, out: text, err } = await run('--out', out)
  t.equal(code, 0, err)
  t.match(text, /^folder, semantic, method clipself: 8 pictures\n/)
  t.match(text, /^ {2}class +IoU +Acc +pixels$/m)
  t.match(text, /^ {2}mIoU +\d+\.\d\d +\(mmsegmentation: /m)
  const { out: json } = await run('--json')
  t.strictSame(JSON.parse(json), JSON.parse(readFileSync(join(out, 'result.json'), 'utf8')))
  t.match(readFileSync(join(out, 'report.html'), 'utf8'), /Evaluation on folder/)
  const again = await run('--out', out)
  t.equal(again.code, 2)
  t.match(again.err, /^declip: ERR_DECLIP_INVALID_ARG: .*--resume.*\n$/)
})

t.test('killed with -9 and gone on with, the figures are the same', async t => {
  const { run, start, out } = await setUp(t)
  const whole = (await run('--json')).out
  const results = join(out, 'results.jsonl')
  for (let kills = 0; kills < 2; kills++) {
    const before = lines(results)
    const child = start('--out', out, '--resume')
    const ended = finish(child)
    while (lines(results) === before && child.exitCode === null) await setTimeout(5)
    child.kill('SIGKILL')
    await ended
  }
  const left = lines(results)
  t.ok(left >= 2 && left < COUNT, `${left} of ${COUNT} were done`)
  const { code, out: json, err } = await run('--out', out, '--resume', '--json')
  t.equal(code, 0, err)
  t.equal(json, whole)
  t.equal(lines(results), COUNT, 'none was lost or done twice')
})

t.test('Ctrl-C says how to go on', async t => {
  const { run, start, out } = await setUp(t)
  const child = start('--out', out)
  const ended = finish(child)
  while (lines(join(out, 'results.jsonl')) < 2) await setTimeout(5)
  child.kill('SIGINT')
  const { code, err } = await ended
  t.equal(code, 130)
  t.match(err, /\d+ of 8 pictures are done and kept in .*; the same command with --resume goes on/)
  t.equal((await run('--out', out, '--resume')).code, 0)
})

t.test('the examples of the help run as written', async t => {
  const dir = t.testdir()
  await writeDataFolder(join(dir, 'scenes'), COUNT)
  const { out: help } = await finish(spawn(process.execPath, [MAIN, 'eval', '--help']))
  const commands = [...help.matchAll(/^ {2}\$ declip (.*)$/gm)].map(([, line = '']) => line)
  const own = commands.filter(line => !line.includes('voc21'))
  t.equal(own.length, 7)
  for (const line of own) {
    const { code, err } = await finish(
      spawn(process.execPath, [MAIN, ...line.split(' ')], { cwd: dir }),
    )
    t.equal(code, 0, `${line}: ${err}`)
  }
  const result = (folder: string) => readFileSync(join(dir, folder, 'result.json'), 'utf8')
  t.equal(result('whole'), result('run'), 'parts come to what a run in one go does')
  t.ok(existsSync(join(dir, 'whole/report.html')))
  rmSync(join(dir, 'parts/results-2-of-2.jsonl'))
  const half = await merge(join(dir, 'parts'))
  t.equal(half.code, 1)
  t.match(half.out, /missing/, 'the numbers are there')
  t.match(half.err, /ERR_DECLIP_IO: parts 2\/2 are missing: \d+ of 8 pictures have no result/)
})

t.test('a picture that fails', async t => {
  const { data, run, out } = await setUp(t)
  writeFileSync(join(data, 'images/003.png'), 'x')
  const { code, out: text, err } = await run('--out', out)
  t.equal(code, 1)
  t.match(text, /7 pictures, 1 failed/)
  t.match(err, /003\.png/)
  t.match(err, /ERR_DECLIP_IMAGE: 1 of 8 pictures failed and no figure counts them; .* --resume/)
})

t.test('a full disk', { skip: process.platform === 'win32' && 'no ulimit' }, async t => {
  const { run, args, out } = await setUp(t)
  // Failures of a picture fill the file up to the limit.
  const results = join(out, 'results.jsonl')
  const whole = await run('--out', out, '--json')
  const [first = ''] = readFileSync(results, 'utf8').split('\n')
  const failed = (length: number) => {
    const error = { code: 'ERR_DECLIP_IO', message: 'x'.repeat(length) }
    return `${JSON.stringify({ id: '001', error })}\n`
  }
  // So that there is room for a line and a part of the next.
  const room = 64 * 1024 - Math.round(1.5 * first.length)
  writeFileSync(results, failed(room - failed(0).length))
  const command = [MAIN, ...args, '--templates', 'none', '--pamr', '20', '--out', out, '--resume']
  const quoted = [process.execPath, ...command].map(arg => `'${arg}'`).join(' ')
  const full = await finish(spawn('bash', ['-c', `ulimit -f 64; exec ${quoted} --no-report`]))
  t.equal(full.code, 1)
  t.match(full.err, /ERR_DECLIP_IO: Cannot write .*results\.jsonl: the file is too large/)
  t.match(readFileSync(results, 'utf8'), /\n$/, 'no line is torn')
  const { code, out: json, err } = await run('--out', out, '--resume', '--json')
  t.equal(code, 0, err)
  t.equal(json, whole.out)
})

t.test('wrong usage', async t => {
  const { run, out } = await setUp(t)
  const wrong: [string[], number, RegExp][] = [
    [['--resume'], 2, /--resume needs --out/],
    [['--shard', '0/2'], 2, /Expected 'i\/n'/],
    [['--classes', 'a; b'], 2, /4 classes/],
    [['--data', out], 1, /ERR_DECLIP_IO/],
  ]
  for (const [args, exit, message] of wrong) {
    const { code, err } = await run(...args)
    t.equal(code, exit, args.join(' '))
    t.match(err, message)
  }
})

t.test('a folder that cannot be written', async t => {
  const skip = process.getuid?.() === 0 && 'root may write everywhere'
  if (skip) return t.comment(skip)
  const { run, dir } = await setUp(t)
  const { code, err } = await run('--out', join(dir, 'data', '..', '..', '..', '/proc/run'))
  t.equal(code, 1)
  t.match(err, /ERR_DECLIP_IO/)
})
