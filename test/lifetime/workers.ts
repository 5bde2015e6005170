/** The addon in several threads at once, and threads that end while it computes. */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import t from 'tap'
import { loadModel, segment } from '../../ts/index.js'
import { labelsOf, pause, picture, plainEnv, script } from '../support/calls.js'

const image = picture(150, 130)
const classes = ['tree', 'sky', 'house', 'texture', 'boat', 'guitar']
const options = { method: 'itaclip' as const, stride: 48 }

const model = await loadModel()
t.teardown(() => model.dispose())
const expected = await labelsOf(await segment(image, classes, { ...options, model }))
t.ok(new Set(expected).size > 1, 'the picture has several classes')

function start(endless: boolean): Worker {
  const workerData = { picture: image, classes, options, endless }
  return new Worker(script('segmenter.mjs'), { workerData, execArgv: [], env: plainEnv() })
}

/** Resolves with the worker's labels. */
async function labelsFrom(worker: Worker): Promise<number[]> {
  for (;;) {
    const [message] = (await once(worker, 'message')) as [string | Uint8Array]
    if (typeof message !== 'string') return [...message]
  }
}

t.test('two workers and the main thread segment at the same time', async t => {
  const workers = [start(false), start(false)]
  const exits = workers.map(worker => once(worker, 'exit'))
  const [mine, ...theirs] = await Promise.all([
    segment(image, classes, { ...options, model }).then(labelsOf),
    ...workers.map(labelsFrom),
  ])
  t.same(mine, expected, 'main thread')
  for (const labels of theirs) t.same(labels, expected, 'worker')
  t.same(await Promise.all(exits), [[0], [0]], 'workers end by themselves')
})

t.test('workers terminated at random moments', async t => {
  for (let round = 0; round < 12; round++) {
    const worker = start(true)
    const errors: unknown[] = []
    worker.on('error', error => errors.push(error))
    // While the addon loads, while it reads the weights, while it computes.
    if (round % 3 > 0) await once(worker, 'message')
    const delay = Math.random() * (round % 3 === 1 ? 20 : 250)
    await pause(delay)
    const code = await worker.terminate()
    // 0: terminated before it began
    t.ok(code === 0 || code === 1, `round ${round}, ${delay.toFixed(1)} ms: code ${code}`)
    t.same(errors, [])
  }
  const labels = await labelsOf(await segment(image, classes, { ...options, model }))
  t.same(labels, expected, 'the main thread goes on')
  t.same(await labelsFrom(start(false)), expected, 'and so does a new worker')
})

t.test('several workers terminated while their calls are queued', async t => {
  const workers = [start(true), start(true), start(true)]
  await Promise.all(workers.map(worker => once(worker, 'message')))
  const call = segment(image, classes, { ...options, model })
  const codes = await Promise.all(workers.map(worker => worker.terminate()))
  t.same(codes, [1, 1, 1])
  t.same(await labelsOf(await call), expected, "another thread's call is left alone")
})

t.test('a worker that exits in its progress callback', async t => {
  const worker = new Worker(script('exiting-worker.mjs'), {
    workerData: { picture: image, classes },
    execArgv: [],
    env: plainEnv(),
  })
  t.same(await once(worker, 'exit'), [5])
  const labels = await labelsOf(await segment(image, classes, { ...options, model }))
  t.same(labels, expected, 'the main thread goes on')
})
