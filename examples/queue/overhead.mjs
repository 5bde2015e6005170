/**
 * What the queue costs: pictures per second of one worker beside segmentMany() with the same files written, in turns.
 *
 *   REDIS_URL=redis://127.0.0.1:6379 PICTURES=photos OUT=out node overhead.mjs [--rounds 3] [--options JSON]
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { loadModel, segmentMany } from 'declip-native'
import { Redis } from 'ioredis'
import { jobOf, reachQueue } from './queue.mjs'
import { beginRun, listOf, listPictures, pictureFile, writeResult } from './runs.mjs'
import { MODEL, REDIS_URL } from './settings.mjs'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    options: { type: 'string', default: '{}' },
  },
})
const classes = ['background', 'tree', ['dog', 'puppy'], 'butterfly']
const options = JSON.parse(values.options)
const places = await listOf(listPictures())
const model = await loadModel(MODEL)
const { queue, close } = await reachQueue()

/** Files that are written at a time, as the queue's worker does it. */
const WRITES = 4

async function direct(run) {
  await beginRun(run, { classes, options })
  const begun = performance.now()
  const writing = new Set()
  const pictures = places.map(pictureFile)
  for await (const seg of segmentMany(pictures, classes, { ...options, model })) {
    const place = places[seg.index]
    const write = seg
      .toPNG()
      .then(mask => writeResult(run, place, mask, { areas: seg.areas }))
      .finally(() => {
        seg.dispose()
        writing.delete(write)
      })
    writing.add(write)
    if (writing.size >= WRITES) await Promise.race(writing)
  }
  await Promise.all(writing)
  return performance.now() - begun
}

async function queued(run) {
  await beginRun(run, { classes, options })
  const begun = performance.now()
  await queue.addBulk(places.map(place => jobOf(run, place)))
  const added = performance.now() - begun
  while ((await queue.getJobCountByTypes('wait', 'active', 'delayed')) > 0) await wait(10)
  return { added, all: performance.now() - begun }
}

const worker = spawn(
  process.execPath,
  [join(dirname(fileURLToPath(import.meta.url)), 'worker.mjs')],
  { env: { ...process.env, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] },
)
await once(createInterface({ input: worker.stdout }), 'line')
const redis = new Redis(REDIS_URL)
const redisMemory = async () => Number(/used_memory:(\d+)/.exec(await redis.info('memory'))[1])

try {
  const name = `overhead-${Date.now()}`
  await direct(`${name}-first`)
  await queued(`${name}-second`)
  const totals = { direct: 0, queued: 0, added: 0 }
  for (let round = 0; round < Number(values.rounds); round++) {
    totals.direct += await direct(`${name}-direct-${round}`)
    const { all, added } = await queued(`${name}-queued-${round}`)
    totals.queued += all
    totals.added += added
  }
  worker.kill('SIGTERM')
  await once(worker, 'exit')

  const before = await redisMemory()
  await queue.addBulk(places.map(place => jobOf(`${name}-memory`, place)))
  const bytes = ((await redisMemory()) - before) / places.length
  await queue.drain()

  const each = ms => ms / Number(values.rounds) / places.length
  const [without, within] = [each(totals.direct), each(totals.queued)]
  console.log(
    `${places.length} pictures, ${values.rounds} rounds: segmentMany() ${without.toFixed(2)} ms a picture, one worker ${within.toFixed(2)} ms`,
  )
  console.log(
    `the queue adds ${(within - without).toFixed(2)} ms, of which ${each(totals.added).toFixed(2)} are the producer's; a waiting picture takes ${bytes.toFixed(0)} bytes of Redis`,
  )
} finally {
  worker.kill()
  model.dispose()
  redis.disconnect()
  await close()
}
