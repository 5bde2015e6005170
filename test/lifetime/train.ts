/** Runs of training that end in the middle: killed, stopped by Ctrl-C, on a full disk. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { pause, plainEnv } from '../support/calls.js'
import { contrastive, writeShards } from '../support/training.js'

const MAIN = join(dirname(fileURLToPath(import.meta.url)), '../../dist/cli/main.js')
const folder = t.testdir()
const shards = await writeShards(folder)

/** Steps of a run: enough that it can be interrupted, about two seconds. */
const STEPS = 60

interface Child {
  readonly process: ChildProcess
  readonly ended: Promise<{ code: number | null; errors: string }>
}

/** `declip train` with a configuration file of its own. */
function start(name: string, options: string[] = [], changes: object = {}, limit?: string): Child {
  const config = {
    ...contrastive(shards, name),
    steps: STEPS,
    saveEvery: 1,
    threads: 1,
    ...changes,
  }
  const file = join(folder, `${name}.json`)
  if (options.length === 0) writeFileSync(file, JSON.stringify(config))
  const args = [MAIN, 'train', '--config', file, ...options]
  const child = limit
    ? spawn('bash', ['-c', `${limit}; exec "$@"`, 'bash', process.execPath, ...args], {
        env: plainEnv(),
      })
    : spawn(process.execPath, args, { env: plainEnv() })
  let errors = ''
  child.stderr?.on('data', data => {
    errors += data
  })
  child.stdout?.resume()
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, errors }))
  return { process: child, ended }
}

const steps = (name: string): number[] =>
  readFileSync(join(folder, name, 'log.jsonl'), 'utf8')
    .split('\n')
    .slice(0, -1)
    .map(line => JSON.parse(line).step)

/** Waits for something that a child does. */
async function until(child: Child, holds: () => boolean): Promise<void> {
  let over = false
  void child.ended.then(() => {
    over = true
  })
  while (!holds()) {
    if (over) throw new Error(`it ended too early: ${(await child.ended).errors}`)
    await pause(1)
  }
}

const saved = (name: string, file: string) => readFileSync(join(folder, name, file))
const names = (name: string) =>
  existsSync(join(folder, name)) ? readdirSync(join(folder, name)) : []
const logged = (name: string, count: number) => () =>
  names(name).includes('log.jsonl') && steps(name).length >= count

const RESULTS = [
  'state.safetensors',
  'model/open_clip_model.safetensors',
  'model-average/open_clip_model.safetensors',
]
const ALL = Array.from({ length: STEPS }, (_, i) => i + 1)

const whole = start('whole')
t.match(await whole.ended, { code: 0, errors: '' })
t.same(steps('whole'), ALL)

t.test('killed at any time, a run goes on to the same bytes', async t => {
  const moments: [string, () => boolean][] = [
    // Between the temporary file of a state and its renaming, or soon after.
    ['while it saves', () => names('killed').some(name => /^state.*\.tmp$/.test(name))],
    ['after some steps', logged('killed', 15)],
    ['while it saves again', () => names('killed').some(name => /^state.*\.tmp$/.test(name))],
  ]
  for (const [i, [what, holds]] of moments.entries()) {
    const child = start('killed', i === 0 ? [] : ['--resume'])
    if (i > 0) await until(child, logged('killed', steps('killed').length + 3))
    await until(child, holds)
    child.process.kill('SIGKILL')
    t.equal((await child.ended).code, null, what)
  }
  const left = steps('killed').length
  t.ok(left < STEPS, `${left} steps before the last start`)
  t.match(await start('killed', ['--resume']).ended, { code: 0, errors: '' })
  t.same(steps('killed'), ALL)
  for (const file of RESULTS) t.ok(saved('killed', file).equals(saved('whole', file)), file)
  t.notOk(names('killed').some(name => name.endsWith('.tmp')))
})

t.test('Ctrl-C saves and exits with 130, and the run goes on', async t => {
  const child = start('stopped')
  await until(child, logged('stopped', 5))
  child.process.kill('SIGINT')
  const { code, errors } = await child.ended
  t.equal(code, 130)
  const done = steps('stopped').length
  t.match(errors, `ERR_DECLIP_ABORTED: The run was stopped after step ${done} of ${STEPS}`)
  t.ok(done < STEPS)
  t.match(await start('stopped', ['--resume']).ended, { code: 0 })
  for (const file of RESULTS) t.ok(saved('stopped', file).equals(saved('whole', file)), file)
})

t.test('a second Ctrl-C exits at once', async t => {
  // A step of so many pictures takes longer than the test waits.
  const child = start('impatient', [], {
    batch: 24,
    accumulate: 1,
    imageSize: 256,
    saveEvery: 1000,
  })
  await until(child, () => names('impatient').includes('log.jsonl'))
  child.process.kill('SIGINT')
  await pause(20)
  child.process.kill('SIGINT')
  t.equal((await child.ended).code, 130)
})

t.test('without room for the state, the last one stays', async t => {
  // Files of more than some blocks of 1024 bytes cannot be written: a state has megabytes.
  const limit = 'ulimit -f 2000'
  const first = start('full', [], { saveEvery: 3 })
  await until(first, logged('full', 4))
  first.process.kill('SIGKILL')
  await first.ended
  const before = saved('full', 'state.safetensors')
  const { code, errors } = await start('full', ['--resume'], {}, limit).ended
  t.equal(code, 1)
  t.match(errors, /ERR_DECLIP_IO/)
  t.ok(saved('full', 'state.safetensors').equals(before), 'the state is that of before')
  t.match(await start('full', ['--resume']).ended, { code: 0 })
  for (const name of RESULTS) t.ok(saved('full', name).equals(saved('whole', name)), name)
})
