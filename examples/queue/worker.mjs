/**
 * Segments pictures of the queue, one worker per machine:
 *
 *   REDIS_URL=redis://host:6379 PICTURES=/data/pictures OUT=/data/out node worker.mjs
 *
 * The model is loaded once. A picture that fails is tried again later; of what is wrong with the run itself
 * there is no second try. On SIGTERM nothing more is begun, and what is in work is finished; what is not
 * after DRAIN_MS goes back into the queue. GET /health, /ready and /metrics say how it goes.
 */
import { hostname } from 'node:os'
import { UnrecoverableError, WaitingError, Worker } from 'bullmq'
import { DeclipError, loadModel, segment, stats } from 'declip-native'
import { serve } from './http.mjs'
import { makeMetrics } from './metrics.mjs'
import { connection, openQueue } from './queue.mjs'
import { isDone, pictureFile, readRun, writeResult } from './runs.mjs'
import {
  CONCURRENCY,
  DRAIN_MS,
  HOST,
  LOCK_MS,
  MAX_DEATHS,
  MODEL,
  PORT,
  QUEUE,
} from './settings.mjs'

const name = `${hostname()}:${process.pid}`
const model = await loadModel(MODEL)
const { queue, close } = openQueue()
const metrics = makeMetrics(queue)
const runs = new Map() // name -> promise of { classes, options }

/** What a run asks for, read once. */
function runOf(run) {
  if (!runs.has(run)) {
    const read = readRun(run)
    read.catch(() => runs.delete(run))
    runs.set(run, read)
  }
  return runs.get(run)
}

/** `stop` fires when the time to drain is over. */
async function segmentJob(job, token, stop) {
  const { run, place } = job.data
  try {
    // By a worker that died after it had written, or was believed dead.
    if (await isDone(run, place)) return metrics.count('again')
    const { classes, options } = await runOf(run)
    const begun = performance.now()
    const seg = await segment(pictureFile(place), classes, { ...options, model, signal: stop })
    try {
      const areas = Object.fromEntries(seg.classes.map((one, i) => [one, seg.areas[i]]))
      const ms = Math.round(performance.now() - begun)
      const { height, width } = seg
      const result = { width, height, areas, ms, attempt: job.attemptsMade + 1, worker: name }
      await writeResult(run, place, await seg.toPNG(), result)
    } finally {
      seg.dispose()
    }
    metrics.count('done', (performance.now() - begun) / 1000)
  } catch (error) {
    if (stop.aborted) {
      await job.moveToWait(token) // no try is used up
      metrics.count('returned')
      console.error(`${place} goes back into the queue`)
      throw new WaitingError()
    }
    const message = `${error.code ?? error.name}: ${error.message}`
    // Wrong classes or options are as wrong the next time; a picture may just be on its way to the disk.
    const isHopeless = error instanceof DeclipError && error.code === 'ERR_DECLIP_INVALID_ARG'
    throw new (isHopeless ? UnrecoverableError : Error)(message, { cause: error })
  }
}

const worker = new Worker(QUEUE, segmentJob, {
  connection,
  name,
  // As segmentMany(): one picture for each thread, and two that are decoded meanwhile.
  concurrency: CONCURRENCY || stats().threads + 2,
  lockDuration: LOCK_MS,
  stalledInterval: LOCK_MS,
  maxStalledCount: MAX_DEATHS,
})
worker.on('failed', (job, error) => {
  const isLast = job === undefined || job.finishedOn !== undefined
  metrics.count(isLast ? 'failed' : 'retried')
  console.error(
    `${job?.data.place ?? 'a picture'} ${isLast ? 'failed' : 'is tried again'}: ${error.message}`,
  )
})
worker.on('stalled', id => {
  metrics.count('stalled')
  console.error(`${id} goes to another worker, as its own has not been heard of`)
})
worker.on('error', error => console.error(`queue: ${error.message}`))

let draining = false
const app = await serve({ queue, metrics, isDraining: () => draining, host: HOST, port: PORT })
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, async () => {
    if (draining) return worker.cancelAllJobs() // asked twice
    draining = true
    const late = setTimeout(() => worker.cancelAllJobs(), DRAIN_MS)
    await worker.close()
    clearTimeout(late)
    await app.close()
    await close()
    model.dispose()
    console.log(`${name}: drained`)
  })
}

// Said last: whoever reads it may send signals.
console.log(
  `${name}: ${MODEL} on ${model.info.device}, ${worker.concurrency} pictures at a time, ${app.address}`,
)
