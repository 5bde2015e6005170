/**
 * Puts every picture below PICTURES that has no result yet into the queue:
 *
 *   node produce.mjs --classes "background; tree; dog, puppy" [--run NAME] [--options JSON] [--retry-failed]
 *
 * It may be called again at any time, also while workers work: what is done, queued or failed is not added
 * again. --options are those of segment(), such as '{"method": "itaclip", "shortSide": 336}';
 * --retry-failed gives failed pictures their tries again.
 */
import { parseArgs } from 'node:util'
import { parseInlineClasses } from 'declip-native'
import { failedJobs, jobOf, reachQueue } from './queue.mjs'
import { beginRun, checkName, inChunks, isDone, listOf, listPictures } from './runs.mjs'

/** Jobs that go to Redis at a time. */
const BULK = 1000

const { values } = parseArgs({
  options: {
    classes: { type: 'string' },
    run: { type: 'string', default: 'run' },
    options: { type: 'string', default: '{}' },
    'retry-failed': { type: 'boolean', default: false },
  },
})

let close = () => {}
try {
  if (!values.classes)
    throw new Error('--classes is missing, such as "background; tree; dog, puppy".')
  const run = checkName(values.run)
  const { queue, ...reached } = await reachQueue()
  close = reached.close
  const classes = parseInlineClasses(values.classes)
  await beginRun(run, { classes, options: JSON.parse(values.options) })

  let [pictures, added, retried] = [0, 0, 0]
  let bulk = []
  const flush = async () => {
    await queue.addBulk(bulk)
    added += bulk.length
    bulk = []
  }
  const looked = inChunks(listPictures(), async place => ({
    place,
    done: await isDone(run, place),
  }))
  for await (const { place, done } of looked) {
    pictures += 1
    if (!done && bulk.push(jobOf(run, place)) === BULK) await flush()
  }
  await flush()
  if (values['retry-failed']) {
    // All are found first: a job that is retried leaves the list that is gone through.
    for (const job of await listOf(failedJobs(queue, run))) {
      await job.retry('failed', { resetAttemptsMade: true })
      retried += 1
    }
  }
  console.log(
    `${pictures} pictures: ${pictures - added} done, ${added} in the queue or failed, ${retried} retried`,
  )
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
} finally {
  await close()
}
