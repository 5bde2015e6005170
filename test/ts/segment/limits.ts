/** What a server's limits do to real calls. */
import sharp from 'sharp'
import t from 'tap'
import {
  configure,
  loadModel,
  type Segmentation,
  segment,
  segmentMany,
  stats,
} from '../../../ts/index.js'
import { picture } from '../../support/calls.js'

const model = await loadModel('words-tiny')
t.teardown(() => model.dispose())
const vocabulary = await model.vocabulary(['background', 'tree', 'car'])
const small = picture(96, 96)
const options = { model }
const png = await sharp(small.data, { raw: { width: 96, height: 96, channels: 3 } })
  .png()
  .toBuffer()

const dispose = (seg: Segmentation) => seg.dispose()

t.test('one call more than may wait is refused, and the others go on', async t => {
  configure({ maxWaiting: 2 })
  const calls = Array.from({ length: 3 }, () => segment(png, vocabulary, options))
  const view = model.encode(png)
  await t.rejects(view, { name: 'DeclipError', code: 'ERR_DECLIP_BUSY' })
  await t.rejects(model.encodeText('a'), { code: 'ERR_DECLIP_BUSY' })
  await t.rejects(segmentMany([png], vocabulary, options).next(), { code: 'ERR_DECLIP_BUSY' })
  for (const seg of await Promise.all(calls)) seg.dispose()
  configure({ maxWaiting: 0 })
  for await (const seg of segmentMany([png, png, png], vocabulary, options)) seg.dispose()
  configure({ maxWaiting: Number.POSITIVE_INFINITY })
  t.match(stats(), { waiting: 0, decoding: 0, running: 0 })
})

t.test('a deadline covers the wait for a decoder', async t => {
  configure({ decodeAhead: 1 })
  let end = () => {}
  const slow = new Promise<Uint8Array>(resolve => {
    end = () => resolve(png)
  })
  // Holds the one place until its encoder is done.
  const first = segment({ toBuffer: () => slow }, vocabulary, options)
  const late = segment(png, vocabulary, { ...options, timeout: 20 })
  await t.rejects(late, { code: 'ERR_DECLIP_ABORTED', cause: { name: 'TimeoutError' } })
  const high = segment(png, vocabulary, { ...options, priority: 'high' })
  ;(await high).dispose()
  end()
  ;(await first).dispose()
  configure({ decodeAhead: 3 })
})

t.test('memory beyond the budget fails the call that asks for it', async t => {
  ;(await segment(small, vocabulary, options)).dispose()
  const { used } = stats().memory
  configure({ memoryBudget: used + 48 * 2 ** 20 })
  const large = await sharp({
    create: { width: 2400, height: 1800, channels: 3, background: 'green' },
  })
    .png()
    .toBuffer()
  const calls = await Promise.allSettled([
    segment(large, vocabulary, { ...options, shortSide: 96, logits: true }),
    segment(png, vocabulary, options).then(dispose),
    segment(small, vocabulary, options).then(dispose),
  ])
  t.match(calls[0], {
    status: 'rejected',
    reason: {
      code: 'ERR_DECLIP_OUT_OF_MEMORY',
      message: /budget is \d+ MB\. .* configure\(\{ memoryBudget \}\) in bytes\.$/,
    },
  })
  for (let i = 0; i < 3; i++) (await segment(png, vocabulary, options)).dispose()
  configure({ memoryBudget: 4 * 2 ** 30 })
  ;(await segment(large, vocabulary, { ...options, shortSide: 96, logits: true })).dispose()
  t.match(calls.slice(1), [{ status: 'fulfilled' }, { status: 'fulfilled' }])
})

t.test('an overlay of a picture that only its call allowed', async t => {
  configure({ maxPixels: 9000 })
  await t.rejects(segment(png, vocabulary, options), { code: 'ERR_DECLIP_IMAGE' })
  await t.rejects(model.encodeImage(png), { code: 'ERR_DECLIP_IMAGE' })
  const seg = await segment(png, vocabulary, { ...options, maxPixels: 96 * 96 })
  t.ok((await seg.toPNG({ overlay: true })).length > 100)
  t.ok((await seg.toPNG({ overlay: { image: png } })).length > 100)
  seg.dispose()
  configure({ maxPixels: 62_000_000 })
})

t.test('every place to decode comes back, however calls end', async t => {
  configure({ decodeAhead: 2 })
  const stop = new AbortController()
  const damaged = png.subarray(0, 100)
  const ends = Array.from({ length: 12 }, (_, i) => {
    const input = i % 3 === 0 ? damaged : png
    const own = { ...options, signal: i % 2 ? stop.signal : undefined }
    return i % 4 === 3
      ? model.encodeDense(input, own).then(features => features.dispose())
      : segment(input, i % 5 === 4 ? [] : vocabulary, own).then(dispose)
  })
  setImmediate(() => stop.abort())
  await Promise.allSettled(ends)
  const after = [1, 2, 3].map(() => segment(png, vocabulary, options).then(dispose))
  await Promise.all(after)
  t.match(stats(), { waiting: 0, decoding: 0, running: 0 })
})
