/** The queue in Redis. A job is a picture of a run: `{ run, place }`. */
import { createHash } from 'node:crypto'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { ATTEMPTS, BACKOFF_MS, QUEUE, REDIS_URL } from './settings.mjs'

/** Workers wait for a Redis that is away. */
export const connection = { url: REDIS_URL, maxRetriesPerRequest: null }

/** The queue for questions: while Redis is away they fail instead of waiting. Give it back by `close()`. */
export function openQueue() {
  const client = new Redis(REDIS_URL, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    retryStrategy: times => Math.min(200 * times, 5000),
  })
  client.on('error', () => {}) // each call says so itself
  return queueOn(client)
}

/** The same for a program that ends where there is no Redis. */
export async function reachQueue() {
  const client = new Redis(REDIS_URL, { lazyConnect: true, retryStrategy: () => null })
  let reason
  client.on('error', error => {
    reason = error.message
  })
  await client.connect().catch(error => {
    throw new Error(`No Redis answers at ${shown()}: ${reason ?? error.message}`)
  })
  return queueOn(client)
}

function queueOn(client) {
  const queue = new Queue(QUEUE, { connection: client })
  queue.on('error', () => {})
  const close = async () => {
    await queue.close()
    client.disconnect()
  }
  return { queue, close }
}

/** The address without a password. */
function shown() {
  const { protocol, host } = new URL(REDIS_URL)
  return `${protocol}//${host}`
}

/**
 * The same for the same picture of a run: one that is queued, in work or failed is not added again.
 * Names may have any characters and BullMQ's may not, so it is a hash.
 */
export function jobId(run, place) {
  return `${run}-${createHash('sha256').update(place).digest('hex').slice(0, 32)}`
}

export function jobOf(run, place) {
  return {
    name: 'segment',
    data: { run, place },
    opts: {
      jobId: jobId(run, place),
      attempts: ATTEMPTS,
      // Half of the time is random, so that what failed together does not come back together.
      backoff: { type: 'exponential', delay: BACKOFF_MS, jitter: 0.5 },
      // The result is a file: Redis keeps what is open and what failed.
      removeOnComplete: true,
      removeOnFail: false,
    },
  }
}

const PAGE = 500

/** Every failed job of a run. */
export async function* failedJobs(queue, run) {
  for (let start = 0; ; start += PAGE) {
    const page = await queue.getFailed(start, start + PAGE - 1)
    yield* page.filter(job => job?.data.run === run)
    if (page.length < PAGE) return
  }
}
