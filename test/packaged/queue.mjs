/**
 * The example of a queue, from the packed package, on a Redis of its own: 500 pictures, two workers, of which one is
 * killed in the middle, a Redis that is killed too, and a picture that is none.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { createServer } from 'node:net'
import { extname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import sharp from 'sharp'
import t from 'tap'
import { root } from '../../scripts/build/common.mjs'
import { pathForTests } from '../../scripts/check/packaged.mjs'
import { installedProject, runIn, runNode } from './support.mjs'
import { installTools, tool } from './tools/install.mjs'
import { missing, systemProgram } from './tools/system.mjs'

const example = join(root, 'examples/queue')
const LIBRARIES = ['bullmq', 'fastify', 'ioredis', 'prom-client']
const COUNT = 500
const CLASSES = 'background; tree; dog, puppy; butterfly'
const OPTIONS = '{"shortSide":64}'
const DAMAGED = 'sub/damaged "ö" (1).jpg'
const LOCK_MS = 2000

t.test('the libraries are those of the tests', async t => {
  const read = folder => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const [{ dependencies }, tools] = [read(example), read(join(root, 'test/packaged/tools'))]
  for (const name of LIBRARIES) t.equal(dependencies[name], tools.dependencies[name], name)
})

t.test('what the compose file starts', async t => {
  await installTools()
  const { parse } = createRequire(import.meta.url)(tool('yaml'))
  const { services, volumes } = parse(readFileSync(join(example, 'compose.yaml'), 'utf8'), {
    merge: true,
  })
  const { redis, worker, produce, collect } = services
  t.match(redis.command, /--appendonly yes/)
  t.match(redis.command, /--maxmemory-policy noeviction/)
  t.ok(redis.healthcheck?.test, 'redis is looked after')
  for (const volume of redis.volumes) t.ok(volume.split(':')[0] in volumes, volume)
  for (const each of [worker, produce, collect]) {
    t.equal(each.depends_on.redis.condition, 'service_healthy')
    t.equal(each.environment.REDIS_URL, 'redis://redis:6379')
  }
  const drain = Number(/\d+/.exec(worker.environment.DRAIN_MS)[0]) / 1000
  t.ok(Number.parseInt(worker.stop_grace_period, 10) > drain, 'time to drain')
  t.match(readFileSync(join(example, 'Dockerfile'), 'utf8'), 'HEALTHCHECK')
})

const server = systemProgram('redis-server')
t.test('a folder by two workers', { skip: server ? false : missing('redis-server') }, async t => {
  await installTools()
  const folder = installedProject(t)
  cpSync(example, join(folder, 'queue'), { recursive: true })
  for (const name of LIBRARIES) {
    symlinkSync(tool(name), join(folder, 'node_modules', name))
  }
  const places = await makePictures(folder)
  const redis = await startRedis(t, folder)
  const env = {
    REDIS_URL: `redis://127.0.0.1:${redis.port}`,
    PICTURES: join(folder, 'pictures'),
    OUT: join(folder, 'out'),
    LOCK_MS: String(LOCK_MS),
    BACKOFF_MS: '200',
    PORT: '0',
  }
  const run = (script, ...args) =>
    runIn(folder, process.execPath, [join('queue', script), ...args], { env })
  const produce = (...args) =>
    run('produce.mjs', '--classes', CLASSES, '--options', OPTIONS, ...args)
  const output = name => join(folder, 'out/run', name)
  const countResults = () => filesIn(output('results')).length

  for (const time of ['first', 'second']) {
    const { code, stdout, stderr } = await produce()
    t.equal(code, 0, stderr)
    t.equal(
      stdout,
      `${COUNT + 1} pictures: 0 done, ${COUNT + 1} in the queue or failed, 0 retried\n`,
      time,
    )
  }
  const other = await run('produce.mjs', '--classes', 'sky')
  t.equal(other.code, 1)
  t.match(other.stderr, "Run 'run' was begun for other classes or options")

  const [first, second] = await Promise.all([
    startWorker(t, folder, env),
    startWorker(t, folder, env),
  ])
  t.equal(await first.metric('declip_queue_jobs{state="failed"}'), 0)
  const jobs = await Promise.all(
    ['wait', 'active', 'delayed'].map(state => first.metric(`declip_queue_jobs{state="${state}"}`)),
  )
  const settled = countResults()
  t.ok(jobs.reduce((a, b) => a + b) + settled >= COUNT, 'all are queued, once')
  t.ok(jobs.reduce((a, b) => a + b) <= COUNT + 1)
  t.equal((await first.get('/ready')).status, 200)

  await until(() => countResults() >= 100)
  first.child.kill('SIGKILL')
  const killed = countResults()
  t.ok(killed < COUNT, `${killed} were done when a worker was killed`)

  // All state is on Redis's disk: killed as well, it goes on where it was.
  await wait(1100) // appendfsync everysec
  await redis.kill()
  await until(async () => (await second.get('/ready')).status === 503)
  t.equal((await second.get('/health')).status, 200, 'alive without Redis')
  await redis.start()
  await until(async () => (await second.get('/ready')).status === 200)

  // A worker that is told to stop gives back what it cannot finish.
  const third = await startWorker(t, folder, { ...env, DRAIN_MS: '1' })
  const stalled = 'declip_pictures_total{outcome="stalled"}'
  await until(async () => (await third.metric('declip_picture_seconds_count')) >= 1)
  const missedByThird = (await third.metric(stalled)) || 0
  third.child.kill('SIGTERM')
  const [code] = await once(third.child, 'exit')
  t.equal(code, 0, third.stderr())
  t.match(third.stdout(), /drained\n$/)

  const collected = await run('collect.mjs', '--wait')
  t.equal(collected.code, 1, 'not all are done')
  t.equal(
    collected.stdout.split('\n')[0],
    `${COUNT + 1} pictures: ${COUNT} done, 1 failed, 0 in the queue, 0 missing`,
    collected.stderr + second.stderr(),
  )
  t.match(collected.stdout, `failed after 3 tries: ${DAMAGED}: ERR_DECLIP_IMAGE: `)
  const [failed, ...none] = lines(output('failed.jsonl')).map(line => JSON.parse(line))
  t.strictSame(none, [])
  t.match(failed, { picture: DAMAGED, attempts: 3, error: /^ERR_DECLIP_IMAGE: / })

  const results = lines(output('results.jsonl')).map(line => JSON.parse(line))
  t.strictSame(
    results.map(({ picture }) => picture),
    places,
    'every picture once',
  )
  t.strictSame(filesIn(output('masks')).sort(), places.map(place => `${place}.png`).sort())
  t.notOk(existsSync(output('.tmp')), 'nothing is left of what was killed')
  const workers = new Set(results.map(({ worker }) => worker))
  t.equal(workers.size, 3, 'each worker has done some')
  const missedBySecond = (await second.metric(stalled)) || 0
  t.ok(missedBySecond + missedByThird >= 1, 'the killed one was missed')
  t.equal(
    await second.metric('declip_picture_seconds_count'),
    results.filter(({ worker }) => worker === second.name()).length,
  )
  const tries = await second.metric('declip_pictures_total{outcome="retried"}')
  t.ok(tries <= 2)

  await t.test('masks are those of the command line', async t => {
    const some = places.filter((_, i) => i % 100 === 0)
    const pictures = some.map(place => join('pictures', place))
    const cli = 'node_modules/declip-native/dist/cli/main.js'
    const options = ['--classes', CLASSES, '--short-side', '64', '--model', 'words-tiny']
    await runNode(folder, [cli, 'segment', ...pictures, ...options, '--out', 'direct/{file}.png'])
    for (const place of some) {
      const direct = readFileSync(join(folder, 'direct', `${place.split('/').pop()}.png`))
      t.ok(direct.equals(readFileSync(output(`masks/${place}.png`))), place)
    }
  })

  await t.test('a picture that is mended is tried again', async t => {
    cpSync(join(folder, 'pictures', places[0]), join(folder, 'pictures', DAMAGED))
    t.match((await produce()).stdout, '1 in the queue or failed, 0 retried', 'not by itself')
    t.match((await produce('--retry-failed')).stdout, '1 in the queue or failed, 1 retried')
    const { code, stdout } = await run('collect.mjs', '--wait')
    t.equal(
      stdout,
      `${COUNT + 1} pictures: ${COUNT + 1} done, 0 failed, 0 in the queue, 0 missing\n`,
    )
    t.equal(code, 0)
  })

  await t.test('a worker that is asked to stop', async t => {
    second.child.kill('SIGTERM')
    const [code] = await once(second.child, 'exit')
    t.equal(code, 0, second.stderr())
  })

  await t.test('what it costs', async t => {
    cpSync(join(folder, 'pictures', places[0]), join(folder, 'few/0.jpg'))
    cpSync(join(folder, 'pictures', places[1]), join(folder, 'few/1.jpg'))
    const args = ['queue/overhead.mjs', '--rounds', '1', '--options', OPTIONS]
    const few = { ...env, PICTURES: join(folder, 'few') }
    const printed = await runNode(folder, args, { env: few })
    t.comment(printed)
    t.match(
      printed,
      /2 pictures, 1 rounds: segmentMany\(\) [\d.]+ ms a picture, one worker [\d.]+ ms/,
    )
    t.match(printed, /a waiting picture takes \d+ bytes of Redis/)
  })

  await t.test('without Redis', async t => {
    await redis.kill()
    const { code, stderr } = await run('collect.mjs')
    t.equal(code, 1)
    t.match(stderr, `No Redis answers at redis://127.0.0.1:${redis.port}: connect ECONNREFUSED`)
  })
})

/** Small pieces of the scenes, each another, in two folders; a file that is no picture. Returns the places of the good ones, sorted. */
async function makePictures(folder) {
  const [width, height] = [96, 72]
  const scenes = join(root, 'models/scenes')
  const names = readdirSync(scenes).filter(name => name.endsWith('.png'))
  const opened = await Promise.all(
    names.map(async name => {
      const { data, info } = await sharp(join(scenes, name))
        .removeAlpha()
        .raw()
        .toBuffer({ resolveWithObject: true })
      return { data, raw: { width: info.width, height: info.height, channels: info.channels } }
    }),
  )
  mkdirSync(join(folder, 'pictures/sub'), { recursive: true })
  const places = []
  for (let i = 0; i < COUNT; i++) {
    const { data, raw } = opened[i % opened.length]
    const place = `${i % 2 ? 'sub/' : ''}${String(i).padStart(3, '0')}.jpg`
    const left = (7 * i) % (raw.width - width)
    const top = (5 * i) % (raw.height - height)
    await sharp(data, { raw })
      .extract({ left, top, width, height })
      .jpeg()
      .toFile(join(folder, 'pictures', place))
    places.push(place)
  }
  writeFileSync(join(folder, 'pictures', DAMAGED), 'no picture')
  writeFileSync(join(folder, 'pictures/notes.txt'), 'not looked at')
  return places.sort()
}

async function startRedis(t, folder) {
  const port = await freePort()
  const dir = join(folder, 'redis')
  mkdirSync(dir)
  let child
  const redis = {
    port,
    async start() {
      const args = [
        '--port',
        port,
        '--bind',
        '127.0.0.1',
        '--dir',
        dir,
        '--appendonly',
        'yes',
        '--save',
        '',
      ]
      child = spawn(server, args.map(String), { stdio: ['ignore', 'pipe', 'inherit'] })
      for await (const line of createInterface({ input: child.stdout })) {
        if (line.includes('Ready to accept connections')) break
      }
      child.stdout.resume()
    },
    async kill() {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
  t.teardown(() => child.kill('SIGKILL'))
  await redis.start()
  return redis
}

function freePort() {
  return new Promise(resolve => {
    const probe = createServer().listen(0, '127.0.0.1', () => {
      const { port } = probe.address()
      probe.close(() => resolve(port))
    })
  })
}

/** A worker that listens. */
async function startWorker(t, folder, env) {
  const child = spawn(process.execPath, ['queue/worker.mjs'], {
    cwd: folder,
    env: { PATH: pathForTests(), DECLIP_THREADS: '1', ...env },
  })
  t.teardown(() => child.kill('SIGKILL'))
  const texts = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', text => {
      texts[name] += text
    })
  }
  const begun = /^(\S+): words-tiny on cpu, 3 pictures at a time, (http:\S+)\n/
  await until(() => {
    if (child.exitCode !== null) throw new Error(`A worker ended: ${texts.stderr}`)
    return begun.test(texts.stdout)
  })
  const [, name, address] = begun.exec(texts.stdout)
  const get = path => fetch(`${address}${path}`)
  return {
    child,
    get,
    name: () => name,
    stdout: () => texts.stdout,
    stderr: () => texts.stderr,
    async metric(which) {
      const text = await (await get('/metrics')).text()
      const line = text.split('\n').find(line => line.startsWith(`${which} `))
      return Number(line?.slice(which.length + 1))
    },
  }
}

async function until(holds) {
  for (const end = Date.now() + 60_000; !(await holds()); await wait(50)) {
    if (Date.now() > end) throw new Error('It did not come to that within a minute.')
  }
}

/** Paths of all files below a folder. */
function filesIn(folder) {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true }).filter(name => extname(name) !== '')
}

const lines = file => readFileSync(file, 'utf8').split('\n').filter(Boolean)
