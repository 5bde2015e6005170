import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { MessageChannel, Worker } from 'node:worker_threads'
import t, { type Test } from 'tap'
import { packageRoot } from '../../../ts/base/package-files.js'
import {
  DeclipError,
  loadModel,
  Segmentation,
  type SegmentationData,
  segment,
} from '../../../ts/index.js'
import { picture, plainEnv } from '../../support/calls.js'

const invalid = { name: 'DeclipError', code: 'ERR_DECLIP_INVALID_ARG' }
const classes = ['background', 'cat', 'dog']
const image = picture(120, 96)
const seg = await segment(image, classes, { logits: true })
t.teardown(() => seg.dispose())
const labels = [...((await seg.labels.data()) as Uint8Array)]

/** What a thread or process answers: a summary of the message, and an error as data. */
const ANSWER = `
  const { DeclipError } = require(${JSON.stringify(join(packageRoot, 'dist/index.js'))})
  const answer = ({ labels, logits, classes, width, height }) => ({
    kind: labels.constructor.name, sum: labels.reduce((a, b) => a + b, 0), logits: logits.length,
    classes, width, height,
    error: new DeclipError('ERR_DECLIP_IMAGE', 'damaged', { cause: new RangeError('below') }).toJSON(),
  })`

function checkAnswer(t: Test, { error, ...answer }: ReturnType<typeof JSON.parse>): void {
  t.same(answer, {
    kind: 'Uint8Array',
    sum: labels.reduce((a, b) => a + b, 0),
    logits: 3 * labels.length,
    classes,
    width: 120,
    height: 96,
  })
  const revived = DeclipError.fromJSON(error)
  t.ok(revived instanceof DeclipError)
  t.match(revived, { code: 'ERR_DECLIP_IMAGE', message: 'damaged', cause: { name: 'RangeError' } })
}

t.test('to a worker', async t => {
  const code = `${ANSWER}
    const { parentPort } = require('node:worker_threads')
    parentPort.once('message', message => parentPort.postMessage(answer(message)))`
  const worker = new Worker(code, { eval: true, execArgv: [], env: plainEnv() })
  const { message, transfer } = await seg.toTransferable()
  worker.postMessage(message, transfer)
  t.equal(message.labels.length, 0, 'the memory was moved')
  const [answer] = await once(worker, 'message')
  checkAnswer(t, answer)
  t.same([...((await seg.labels.data()) as Uint8Array)], labels, 'the segmentation keeps its own')
})

t.test('to a child process', async t => {
  const code = `${ANSWER}
    process.once('message', message => process.send(answer(message), () => process.disconnect()))`
  const file = join(t.testdir({ 'child.cjs': code }), 'child.cjs')
  const child = fork(file, { serialization: 'advanced', execArgv: [], env: plainEnv() })
  child.send((await seg.toTransferable()).message as never)
  const [answer] = await once(child, 'message')
  checkAnswer(t, answer)
})

t.test('through a port and back into a segmentation', async t => {
  const { port1, port2 } = new MessageChannel()
  const { message, transfer } = await seg.toTransferable()
  port1.postMessage(message, transfer)
  const [received] = (await once(port2, 'message')) as [SegmentationData]
  port1.close()
  using again = await Segmentation.fromTransferable(received)
  t.same(again.toJSON(), seg.toJSON())
  t.same(await again.toPNG(), await seg.toPNG())
  t.same(await again.toRLE(), await seg.toRLE())
  t.same(await again.toPNG({ overlay: { image } }), await seg.toPNG({ overlay: true }))
  t.same(await again.logits?.data(), await seg.logits?.data())
  await t.rejects(again.toPNG({ overlay: true }), { ...invalid, message: /overlay: \{ image \}/ })
  t.same(received.colors, [null, [230, 25, 75], [60, 180, 75]])
})

t.test('a message that is none', async t => {
  const { message } = await seg.toTransferable()
  const cases: [object | null, RegExp][] = [
    [null, /^data must be the message of toTransferable\(\), received null/],
    [{ width: 0 }, /^data\.width/],
    [
      { width: 10 },
      /^data\.labels must be a Uint8Array or Uint16Array of 960 elements, received one of 11520/,
    ],
    [{ labels: [1, 2] }, /^data\.labels .* received an array of 2/],
    [{ labels: new Uint8Array(labels.length).fill(3) }, /^data\.labels must be 0 to 2, received 3/],
    [{ classes: [] }, /^data\.classes/],
    [{ background: 3 }, /^data\.background/],
    [{ timings: undefined }, /^data\.timings/],
    [{ logits: new Float32Array(5) }, /^data\.logits must be a Float32Array of 34560/],
  ]
  for (const [change, reason] of cases) {
    const data = (change && { ...message, ...change }) as SegmentationData
    await t.rejects(Segmentation.fromTransferable(data), { ...invalid, message: reason })
  }
})

t.test('without logits', async t => {
  using plain = await segment(image, classes)
  const { message, transfer } = await plain.toTransferable()
  t.same(Object.keys(message).includes('logits'), false)
  t.equal(transfer.length, 2, 'labels and certainty')
  plain.dispose()
  await t.rejects(plain.toTransferable(), { code: 'ERR_DECLIP_DISPOSED' })
})

t.test('handles refuse to be sent as they are, and say what to send', async t => {
  const model = await loadModel()
  const vocabulary = await model.vocabulary(classes)
  const { port1 } = new MessageChannel()
  for (const value of [seg, seg.labels, vocabulary, { nested: [seg] }]) {
    t.throws(() => structuredClone(value), { ...invalid, message: /segmentation\.toTransferable/ })
    t.throws(() => port1.postMessage(value), invalid)
  }
  t.throws(() => structuredClone(model), {
    ...invalid,
    message: /loadModel\(\) where it is needed/,
  })
  port1.close()
  t.same(JSON.parse(JSON.stringify(seg)).classes, classes)
  t.equal(JSON.parse(JSON.stringify(model)).family, 'clip')
  t.same(JSON.parse(JSON.stringify(seg.labels)), {
    shape: [96, 120],
    dtype: 'uint8',
    device: 'cpu',
  })
  vocabulary.dispose()
  model.dispose()
})
