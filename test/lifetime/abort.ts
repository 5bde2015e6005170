/** AbortSignal on calls that have not begun, run, or wait in the queue; and on segmentMany. */
import t from 'tap'
import { loadAddon } from '../../ts/engine/load-addon.js'
import {
  DeclipError,
  type ImageInput,
  inspectCheckpoint,
  loadModel,
  type Segmentation,
  segment,
  segmentMany,
  Tensor,
} from '../../ts/index.js'
import { labelsOf, normalised, picture } from '../support/calls.js'

const image = picture(240, 240)
const small = picture(96, 96)
const classes = ['cat', 'dog', 'background']
const model = await loadModel()
t.teardown(() => model.dispose())
/** About 40 passes through the vision tower, five pictures each. */
const long = { model, method: 'itaclip' as const, window: 96, stride: 24 }
const reason = new Error('enough')
const asAborted = { name: 'AbortError', code: 'ERR_DECLIP_ABORTED', cause: reason }

t.test('aborted before: nothing runs', async t => {
  const signal = AbortSignal.abort(reason)
  using x = Tensor.from(normalised(1, 96, 96), [1, 3, 96, 96])
  using masks = Tensor.from(new Uint8Array(144).fill(1), [1, 12, 12])
  using view = await model.encode(small)
  const calls: Record<string, () => Promise<unknown>> = {
    segment: () => segment(small, classes, { model, signal }),
    segmentMany: () => segmentMany([small], classes, { model, signal }).next(),
    loadModel: () => loadModel('words-tiny', { signal }),
    inspectCheckpoint: () => inspectCheckpoint('words-tiny', { signal }),
    encodeText: () => model.encodeText('cat', { signal }),
    encodeImage: () => model.encodeImage(x, { signal }),
    encodeDense: () => model.encodeDense(x, { signal }),
    encodeBoxes: () => model.encodeBoxes(x, [[0, 0, 50, 50]], { signal }),
    encodeMasks: () => model.encodeMasks(x, masks, { signal }),
    classify: () => model.classify(small, classes, { boxes: [[0, 0, 9, 9]], signal }),
    vocabulary: () => model.vocabulary(['never seen before'], { signal }),
    encode: () => model.encode(small, { signal }),
    'view.segment': () => view.segment(classes, { signal }),
    'view.similarity': () => view.similarity('another text', { signal }),
  }
  for (const [name, call] of Object.entries(calls)) await t.rejects(call(), asAborted, name)
})

t.test('aborted while it runs: stops between blocks', async t => {
  const start = performance.now()
  const expected = await labelsOf(await segment(image, classes, long))
  const whole = performance.now() - start

  const stop = new AbortController()
  let abortedAt = 0
  const onProgress = () => {
    if (abortedAt > 0) return
    abortedAt = performance.now()
    stop.abort(reason)
  }
  await t.rejects(segment(image, classes, { ...long, signal: stop.signal, onProgress }), asAborted)
  t.ok(abortedAt > 0, 'it was running')
  const late = performance.now() - abortedAt
  t.ok(late < whole / 3, `stopped ${late.toFixed(0)} ms after the abort, a whole call: ${whole}`)
  t.same(await labelsOf(await segment(image, classes, long)), expected, 'the next call is whole')
})

t.test('the reason of a timeout is the cause', async t => {
  const error = await segment(image, classes, { ...long, signal: AbortSignal.timeout(20) }).then(
    () => undefined,
    (error: DeclipError) => error,
  )
  t.match(error, { code: 'ERR_DECLIP_ABORTED', cause: { name: 'TimeoutError' } })
  t.ok(error instanceof DeclipError)
})

t.test('aborted while it waits in the queue: does not wait for its turn', async t => {
  const order: string[] = []
  let begun: () => void = () => {}
  const begins = new Promise<void>(resolve => {
    begun = resolve
  })
  const running = segment(image, classes, { ...long, onProgress: () => begun() }).then(seg => {
    order.push('running call')
    seg.dispose()
  })
  await begins
  const stop = new AbortController()
  using x = Tensor.from(normalised(1, 96, 96), [1, 3, 96, 96])
  const waiting = model.encodeImage(x, { signal: stop.signal })
  const next = model.encodeImage(x).then(features => {
    order.push('next call')
    features.dispose()
  })
  waiting.catch(() => order.push('aborted call'))
  setTimeout(() => stop.abort(reason), 20)
  await t.rejects(waiting, asAborted)
  await Promise.all([running, next])
  t.equal(order[0], 'aborted call')
  t.same(order.slice().sort(), ['aborted call', 'next call', 'running call'])
})

t.test('an abort after the end changes nothing', async t => {
  const stop = new AbortController()
  const seg = await segment(small, classes, { model, signal: stop.signal })
  stop.abort(reason)
  t.equal((await labelsOf(seg)).length, 96 * 96)
})

t.test('segmentMany', async t => {
  const images = [1, 2, 3, 4, 5, 6].map(seed => picture(96, 96 + 8 * seed, seed))
  const expected: number[][] = []
  for (const one of images) {
    expected.push(await labelsOf(await segment(one, classes, { model })))
  }
  /** Counts what is taken from it and whether it was told to stop. */
  function source(inputs: readonly ImageInput[]) {
    const seen = { taken: 0, returned: 0 }
    const iterator: AsyncIterator<ImageInput> = {
      async next() {
        const value = inputs[seen.taken]
        if (value === undefined) return { done: true, value: undefined }
        seen.taken += 1
        return { done: false, value }
      },
      async return() {
        seen.returned += 1
        return { done: true, value: undefined }
      },
    }
    return { seen, [Symbol.asyncIterator]: () => iterator }
  }

  const { threads } = loadAddon().runtime()

  t.test('keeps the order and looks a few pictures ahead', async t => {
    const inputs = source(images)
    const labels: number[][] = []
    for await (const seg of segmentMany(inputs, classes, { model })) {
      t.equal(seg.image, images[labels.length])
      t.equal(seg.index, labels.length)
      labels.push(await labelsOf(seg))
      const ahead = inputs.seen.taken - labels.length
      t.ok(ahead <= threads + 1, `${ahead} ahead`)
    }
    t.same(labels, expected)
    t.equal(inputs.seen.returned, 0, 'an iterator that ended is not closed')
  })

  t.test('leaving the loop stops the work and closes the source', async t => {
    const inputs = source(images)
    for await (const seg of segmentMany(inputs, classes, { model })) {
      seg.dispose()
      break
    }
    t.equal(inputs.seen.returned, 1)
    t.ok(inputs.seen.taken <= threads + 2, `${inputs.seen.taken} taken`)
  })

  t.test('plain iterables, generators and nothing', async t => {
    const count = async (inputs: Iterable<ImageInput>) => {
      let n = 0
      for await (const seg of segmentMany(inputs, classes, { model })) {
        seg.dispose()
        n += 1
      }
      return n
    }
    t.equal(await count([]), 0)
    t.equal(await count(new Set(images.slice(0, 2))), 2)
    t.equal(await count(images.slice(0, 2).values()), 2)
  })

  t.test('onError leaves a picture out; without it the first failure ends the loop', async t => {
    const mixed: ImageInput[] = [images[0] as ImageInput, 'no-such.png', images[1] as ImageInput]
    const failures: [string, unknown, number][] = []
    const labels: number[][] = []
    const onError = (error: DeclipError, input: ImageInput, index: number) =>
      failures.push([error.code, input, index])
    const places: unknown[] = []
    for await (const seg of segmentMany(mixed, classes, { model, onError })) {
      places.push([seg.image, seg.index])
      labels.push(await labelsOf(seg))
    }
    t.same(labels, expected.slice(0, 2))
    t.strictSame(places, [
      [images[0], 0],
      [images[1], 2],
    ])
    t.same(failures, [['ERR_DECLIP_IO', 'no-such.png', 1]])

    const done: Segmentation[] = []
    const loop = async () => {
      for await (const seg of segmentMany(mixed, classes, { model })) done.push(seg)
    }
    await t.rejects(loop(), { code: 'ERR_DECLIP_IO' })
    t.equal(done.length, 1)
    for (const seg of done) seg.dispose()
  })

  t.test('a source that throws', async t => {
    async function* broken() {
      yield images[0] as ImageInput
      throw new RangeError('no more pictures')
    }
    let given = 0
    const loop = async () => {
      for await (const seg of segmentMany(broken(), classes, { model })) {
        given += 1
        seg.dispose()
      }
    }
    await t.rejects(loop(), { name: 'RangeError', message: 'no more pictures' })
    t.equal(given, 1, 'what it gave before is segmented')
  })

  t.test('an abort ends the loop even with onError', async t => {
    const stop = new AbortController()
    const inputs = source(images)
    const failures: unknown[] = []
    const loop = async () => {
      const options = { model, signal: stop.signal, onError: (e: unknown) => failures.push(e) }
      for await (const seg of segmentMany(inputs, classes, options)) {
        seg.dispose()
        stop.abort(reason)
      }
    }
    await t.rejects(loop(), asAborted)
    t.same(failures, [])
    t.equal(inputs.seen.returned, 1)
  })

  for (const images of [undefined, null, 5, {}, 'photo.jpg', new Uint8Array(4)]) {
    t.rejects(
      segmentMany(images as never, classes, { model }).next(),
      { code: 'ERR_DECLIP_INVALID_ARG', message: /^images must be/ },
      `images: ${Object.prototype.toString.call(images)}`,
    )
  }
})
