/**
 * Says what has become of a run and gathers its results:
 *
 *   node collect.mjs [--run NAME] [--wait]
 *
 * Writes results.jsonl (a line per picture that is done, ordered by name), failed.jsonl (picture, tries,
 * reason) and missing.txt (neither done nor failed nor queued: `produce.mjs` adds them) into the run's
 * folder. --wait: until the queue is empty. Exits 1 unless all pictures are done.
 */
import { readFile, stat } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { failedJobs, jobId, reachQueue } from './queue.mjs'
import {
  checkName,
  inChunks,
  isDone,
  listOf,
  listPictures,
  maskFile,
  readRun,
  removeTemporary,
  resultFile,
  writeWhole,
} from './runs.mjs'

const POLL_MS = 1000

const { values } = parseArgs({
  options: { run: { type: 'string', default: 'run' }, wait: { type: 'boolean', default: false } },
})

const byName = (a, b) => (a < b ? -1 : a > b ? 1 : 0)

/** The result's line, undefined where there is none or its mask is not there in full. */
async function resultOf(run, place) {
  try {
    const line = await readFile(resultFile(run, place), 'utf8')
    const { size } = await stat(maskFile(run, place))
    return size === JSON.parse(line).maskBytes ? line : undefined
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    throw error
  }
}

async function isIdle(queue) {
  const counts = await queue.getJobCounts('wait', 'active', 'delayed', 'prioritized', 'paused')
  return Object.values(counts).every(count => count === 0)
}

let close = () => {}
try {
  const run = checkName(values.run)
  const { queue, ...reached } = await reachQueue()
  close = reached.close
  await readRun(run)
  while (values.wait && !(await isIdle(queue))) await wait(POLL_MS)

  const places = (await listOf(listPictures())).sort(byName)
  const found = inChunks(places, async place => ({ place, line: await resultOf(run, place) }))
  const without = []
  let done = 0
  // A generator: a million results are not held in memory.
  await writeWhole(
    run,
    'results.jsonl',
    (async function* () {
      for await (const { place, line } of found) {
        if (line === undefined) without.push(place)
        else {
          done += 1
          yield `${line}\n`
        }
      }
    })(),
  )
  const reasons = new Map()
  for await (const { data, failedReason, attemptsMade } of failedJobs(queue, run)) {
    reasons.set(data.place, { picture: data.place, attempts: attemptsMade, error: failedReason })
  }
  const failed = without.filter(place => reasons.has(place)).map(place => reasons.get(place))
  const rest = inChunks(
    without.filter(place => !reasons.has(place)),
    // Done meanwhile, where it has left the queue and has a result.
    async place => ({
      place,
      queued: (await queue.getJob(jobId(run, place))) !== undefined || (await isDone(run, place)),
    }),
  )
  const [missing, open] = [[], []]
  for await (const { place, queued } of rest) (queued ? open : missing).push(place)
  await writeWhole(run, 'failed.jsonl', failed.map(one => `${JSON.stringify(one)}\n`).join(''))
  await writeWhole(run, 'missing.txt', missing.map(place => `${place}\n`).join(''))
  if (await isIdle(queue)) await removeTemporary(run)
  console.log(
    `${places.length} pictures: ${done} done, ${failed.length} failed, ${open.length} in the queue, ${missing.length} missing`,
  )
  for (const { picture, attempts, error } of failed.slice(0, 10)) {
    console.log(`failed after ${attempts} tries: ${picture}: ${error}`)
  }
  if (done < places.length) process.exitCode = 1
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
} finally {
  await close()
}
