/** Training in several processes, from the command line: against one process, stopped, killed. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import sharp from 'sharp'
import t from 'tap'
import { packageRoot } from '../../../../ts/base/package-files.js'
import { type TrainConfig, train } from '../../../../ts/index.js'
import { fixture, picture } from '../../../support/calls.js'
import { finish } from '../../../support/child.js'

if (process.platform !== 'linux') {
  t.plan(0, 'process groups are built on Linux only')
  process.exit()
}

const MAIN = join(packageRoot, 'dist/cli/main.js')
const folder = t.testdir()
const pictures = join(folder, 'pictures')
const STEPS = 40

mkdirSync(pictures)
for (let i = 0; i < 8; i++) {
  const { data, width, height } = picture(64, 48, i + 1)
  const png = sharp(data, { raw: { width, height, channels: 3 } }).png()
  await png.toFile(join(pictures, `${i}.png`))
}

/** Two pictures a step. */
const config = (out: string, changes: Partial<TrainConfig> = {}): TrainConfig => ({
  objective: 'clipself',
  model: fixture('train', 'student.safetensors'),
  data: { kind: 'folder', path: pictures },
  imageSize: 64,
  batch: 1,
  steps: STEPS,
  saveEvery: 3,
  // One for each of two processes: sums depend on their number.
  threads: 2,
  schedule: { kind: 'constant', rate: 1e-4, warmup: 0 },
  out: join(folder, out),
  ...changes,
})

const bytes = (...path: string[]) => readFileSync(join(folder, ...path))

const logged = (out: string): number => {
  const path = join(folder, out, 'log.jsonl')
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').length - 1 : 0
}

function start(config: TrainConfig, args: readonly string[], env = {}): ChildProcess {
  const path = join(folder, 'config.json')
  writeFileSync(path, JSON.stringify(config))
  return spawn(process.execPath, [MAIN, 'train', '--config', path, ...args], {
    env: { ...process.env, ...env },
  })
}

/** The processes that a launcher has started, by rank. */
function childrenOf(pid: number): Map<string, number> {
  const list = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
  return new Map(
    list.map(child => {
      const environment = readFileSync(`/proc/${child}/environ`, 'utf8')
      return [/(?:^|\0)RANK=(\d+)/.exec(environment)?.[1] ?? 'none', Number(child)]
    }),
  )
}

async function until(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 600 && !holds(); i++) await setTimeout(50)
}

const gone = (pid: number) => {
  try {
    process.kill(pid, 0)
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[2] === 'Z'
  } catch {
    return true
  }
}

await train(config('one', { accumulate: 2, threads: 1 }))

t.test('two processes learn what one does to the bit', async t => {
  const { code, out, err } = await finish(start(config('two'), ['--nproc', '2']))
  t.equal(code, 0, err)
  t.equal(err, '')
  t.match(out, /40 steps done\n {2}model/)
  t.equal(out.match(/steps done/g)?.length, 1, 'one rank speaks')
  t.ok(bytes('two/state.safetensors').equals(bytes('one/state.safetensors')))
  const weights = 'model/open_clip_model.safetensors'
  t.ok(bytes('two', weights).equals(bytes('one', weights)))
  const losses = (out: string) =>
    bytes(out, 'log.jsonl')
      .toString()
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
      .map(({ step, loss, losses, gradientNorm }) => ({ step, loss, losses, gradientNorm }))
  t.strictSame(losses('two'), losses('one'))
  t.notOk(readdirSync(join(folder, 'two')).some(name => name.endsWith('.tmp')))
})

t.test('a run that is stopped and one that is killed go on to the same weights', async t => {
  const stopped = start(config('broken'), ['--nproc=2'])
  await until(() => logged('broken') >= 5)
  const ranks = [...childrenOf(stopped.pid as number).values()]
  t.equal(ranks.length, 2)
  stopped.kill('SIGINT')
  const first = await finish(stopped)
  t.equal(first.code, 130, first.err)
  t.match(first.err, /^declip: ERR_DECLIP_ABORTED: The run was stopped after step \d+ of 40/)
  t.equal(first.err.split('\n').length, 2, 'one line')
  t.ok(ranks.every(gone))
  const saved = logged('broken')

  const killed = start(config('broken'), ['--nproc', '2', '--resume'])
  await until(() => logged('broken') >= saved + 5)
  const pid = childrenOf(killed.pid as number).get('1') as number
  const begin = performance.now()
  process.kill(pid, 'SIGKILL')
  const second = await finish(killed)
  t.equal(second.code, 1)
  t.match(second.err, /^declip: ERR_DECLIP_INTERNAL: Process 1 of 2 was ended by SIGKILL.*--resume/)
  t.equal(second.err.split('\n').length, 2, 'one line')
  t.ok(performance.now() - begin < 8000, 'nobody waits for a dead process')
  t.ok(logged('broken') < STEPS)

  const third = await finish(start(config('broken'), ['--nproc', '2', '--resume']))
  t.equal(third.code, 0, third.err)
  t.ok(bytes('broken/state.safetensors').equals(bytes('one/state.safetensors')))
})

t.test('processes end with the one that started them', async t => {
  const launcher = start(config('orphans'), ['--nproc', '2'])
  await until(() => logged('orphans') >= 2)
  const ranks = [...childrenOf(launcher.pid as number).values()]
  t.equal(ranks.length, 2)
  launcher.kill('SIGKILL')
  await once(launcher, 'close')
  await until(() => ranks.every(gone))
  t.ok(ranks.every(gone))
})

t.test('the error is that of the process that failed', async t => {
  const same = await finish(start(config('two'), ['--nproc', '2']))
  t.equal(same.code, 2)
  t.match(same.err, /^declip: ERR_DECLIP_INVALID_ARG: out: .* has a run already/)
  t.equal(same.err.split('\n').length, 2, 'one line')
  const other = await finish(start(config('two'), ['--nproc', '3', '--resume']))
  t.equal(other.code, 2)
  t.match(other.err, /the number of processes was 2 and is 3/)
  const wild = config('wild', { schedule: { kind: 'constant', rate: 1e38, warmup: 0 } })
  const { code, err } = await finish(start(wild, ['--nproc', '2']))
  t.equal(code, 1)
  t.match(err, /^declip: ERR_DECLIP_DIVERGED: Step \d: .* not\s+finite/)
})

t.test('the API takes a group', async t => {
  const group = { rank: 1, worldSize: 2, address: '127.0.0.1', port: 1, timeoutMs: 300 }
  await t.rejects(train(config('api'), { processGroup: group }), {
    code: 'ERR_DECLIP_PEER',
    message: /^Rank 1 of 2 could not meet the others at 127.0.0.1:1 within 0.3 s: /,
  })
  const alone = await train(config('api', { steps: 1 }), {
    processGroup: { ...group, rank: 0, worldSize: 1, port: 20000 + (process.pid % 20000) },
  })
  t.equal(alone.steps, 1)
})

t.test("a launcher's variables", async t => {
  const env = { WORLD_SIZE: '2', RANK: '0', MASTER_ADDR: 'localhost', MASTER_PORT: '1' }
  const both = await finish(start(config('env'), ['--nproc', '2'], env))
  t.equal(both.code, 2)
  t.match(both.err, /--nproc starts processes, but WORLD_SIZE says that a launcher has/)

  const port = `${20000 + (process.pid % 20000)}`
  const rank = (RANK: string) =>
    finish(
      start(config('env'), ['--timeout', '20'], {
        ...env,
        RANK,
        MASTER_PORT: port,
        LOCAL_WORLD_SIZE: '2',
      }),
    )
  const [first, second] = await Promise.all([rank('0'), rank('1')])
  t.equal(first.code, 0, first.err)
  t.strictSame(second, { code: 0, out: '', err: '' })
  t.ok(bytes('env/state.safetensors').equals(bytes('one/state.safetensors')))

  const alone = await finish(start(config('alone'), ['--timeout', '1'], { ...env, RANK: '1' }))
  t.equal(alone.code, 1)
  t.match(
    alone.err,
    /^declip: ERR_DECLIP_PEER: Rank 1 of 2 could not meet the others at localhost:1/,
  )
  t.equal(alone.err.split('\n').length, 2, 'one line')

  for (const RANK of ['0', '1']) {
    const waiting = start(config('waiting'), ['--timeout', '60'], {
      ...env,
      RANK,
      MASTER_PORT: port,
    })
    await setTimeout(3000)
    waiting.kill('SIGINT')
    const ended = await finish(waiting)
    t.equal(ended.code, 130, ended.err)
    t.match(ended.err, /^declip: ERR_DECLIP_ABORTED/)
  }
})
