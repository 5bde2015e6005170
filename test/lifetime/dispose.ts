/** Handles that are disposed while a call uses them, twice, or by `using`. */
import t from 'tap'
import { loadModel, releaseModels, segment, Tensor } from '../../ts/index.js'
import { difference, floats, labelsOf, normalised, picture } from '../support/calls.js'

const disposed = { name: 'DeclipError', code: 'ERR_DECLIP_DISPOSED' }
const image = picture(120, 100)
const classes = ['cat', 'dog', 'background']
const shape = [1, 3, 96, 96]

t.test('model', async t => {
  const kept = await loadModel()
  t.teardown(() => kept.dispose())
  const expected = await labelsOf(await segment(image, classes, { model: kept }))
  using x = Tensor.from(normalised(1, 96, 96), shape)
  const features = await floats(await kept.encodeImage(x))

  const model = await loadModel()
  const vocabulary = await model.vocabulary(classes)
  const view = await model.encode(image)
  const encoding = model.encodeImage(x)
  const segmenting = view.segment(vocabulary)
  model.dispose()
  t.equal(difference(await floats(await encoding), features), 0, 'the call in flight finishes')
  t.same(await labelsOf(await segmenting), expected)

  const masks = Tensor.from(new Uint8Array(144).fill(1), [1, 12, 12])
  const calls: Record<string, () => Promise<unknown>> = {
    encodeText: () => model.encodeText('cat'),
    encodeImage: () => model.encodeImage(x),
    'encodeImage of pixels': () => model.encodeImage(image),
    encodeDense: () => model.encodeDense(x),
    encodeBoxes: () => model.encodeBoxes(x, [[0, 0, 9, 9]]),
    encodeMasks: () => model.encodeMasks(x, masks),
    classify: () => model.classify(image, vocabulary),
    'classify regions': () => model.classify(image, vocabulary, { boxes: [[0, 0, 9, 9]] }),
    'vocabulary of new words': () => model.vocabulary(['zebra']),
    encode: () => model.encode(image),
    segment: () => segment(image, vocabulary, { model }),
  }
  for (const [name, call] of Object.entries(calls)) await t.rejects(call(), disposed, name)
  model.dispose()
  model[Symbol.dispose]()
  t.equal(model.info.embedDim, 128, 'info stays')
  t.same(model.tokenize('cat').shape, [1, 77], 'the tokenizer needs no weights')
  t.same(await labelsOf(await view.segment(vocabulary)), expected, 'views outlive their model')
  view.dispose()
})

t.test('model disposed with its calls queued', async t => {
  const model = await loadModel()
  const calls = Array.from({ length: 10 }, () => model.encodeText('cat'))
  model.dispose()
  const results = await Promise.all(calls)
  t.same(
    results.map(({ shape }) => shape),
    Array(10).fill([1, 128]),
  )
})

t.test('tensor', async t => {
  const model = await loadModel()
  t.teardown(() => model.dispose())
  const values = normalised(1, 96, 96)
  const x = Tensor.from(values, shape)
  const rows = x.slice(0, 1)
  const expected = await floats(await model.encodeImage(x))
  const encoding = model.encodeImage(x)
  const halves = x.to({ dtype: 'bfloat16' })
  const reading = (await halves).data()
  x.dispose()
  x.dispose()
  t.equal(difference(await floats(await encoding), expected), 0, 'the call in flight finishes')
  t.ok(difference((await reading) as Float32Array, values) < 0.01, 'so does a conversion')
  t.same(x.shape, shape, 'the shape stays')
  t.same(await floats(rows), values, 'a slice shares the memory and keeps it')

  await t.rejects(x.data(), disposed)
  await t.rejects(x.to({ dtype: 'float16' }), disposed)
  t.throws(() => x.slice(0, 1), disposed)
  await t.rejects(model.encodeImage(x), disposed)
  await t.rejects(segment(x, classes, { model }), disposed)
  const tokens = model.tokenize('cat')
  tokens.dispose()
  await t.rejects(model.encodeText(tokens), disposed)
  rows.dispose()
})

t.test('view', async t => {
  const model = await loadModel()
  t.teardown(() => model.dispose())
  const view = await model.encode(image)
  const expected = await labelsOf(await view.segment(classes))
  const vocabulary = await model.vocabulary(classes)
  // 'zebra' has to go through the text tower first, so its query begins after dispose()
  const [early, late] = [view.segment(vocabulary), view.similarity('zebra')]
  early.catch(() => {})
  late.catch(() => {})
  await view.similarity('cat')
  view.dispose()
  t.same(await labelsOf(await early), expected, 'the call in flight finishes')
  await late.then(
    plane => t.same(plane.shape, [100, 120]),
    error => t.match(error, disposed),
  )
  view.dispose()
  view[Symbol.dispose]()
  await t.rejects(view.segment(vocabulary), disposed)
  await t.rejects(view.similarity('cat'), disposed)
  t.same([view.width, view.height], [120, 100], 'the size stays')
})

t.test('segmentation and vocabulary', async t => {
  const model = await loadModel()
  t.teardown(() => model.dispose())
  const vocabulary = await model.vocabulary(classes)
  const seg = await segment(image, vocabulary, { model, logits: true, probabilities: true })
  const writing = seg.toPNG()
  seg.dispose()
  await writing.then(
    png => t.same([...png.subarray(1, 4)], [0x50, 0x4e, 0x47]),
    error => t.match(error, disposed),
  )
  seg.dispose()
  for (const tensor of [seg.labels, seg.logits, seg.probabilities]) {
    await t.rejects((tensor as Tensor).data(), disposed)
  }
  await t.rejects(seg.toPNG(), disposed)
  await t.rejects(seg.toRLE(), disposed)
  await t.rejects(seg.toPolygons(), disposed)
  await t.rejects(seg.saveLogits('/nowhere/logits.safetensors'), disposed)
  t.equal(seg.areas.length, 3, 'the areas stay')

  const running = segment(image, vocabulary, { model })
  vocabulary.dispose()
  await t.rejects(running, disposed, 'the decoder was still at work')
  vocabulary.dispose()
  await t.rejects(segment(image, vocabulary, { model }), disposed)
})

t.test('using', async t => {
  const inside = async () => {
    using model = await loadModel()
    using x = Tensor.from(normalised(1, 96, 96), shape)
    using view = await model.encode(x)
    using vocabulary = await model.vocabulary(classes)
    using seg = await view.segment(vocabulary)
    return { model, x, view, vocabulary, seg }
  }
  const { model, x, view, vocabulary, seg } = await inside()
  await t.rejects(model.encodeText('cat'), disposed)
  await t.rejects(x.data(), disposed)
  await t.rejects(view.similarity('cat'), disposed)
  await t.rejects(vocabulary.features.data(), disposed)
  await t.rejects(seg.labels.data(), disposed)
})

t.test('models that segment() loaded by name', async t => {
  const first = await labelsOf(await segment(image, classes))
  await releaseModels()
  await releaseModels()
  t.same(await labelsOf(await segment(image, classes)), first, 'loaded again')
  const running = segment(image, classes)
  await releaseModels()
  t.ok(
    await running.then(
      seg => labelsOf(seg),
      (error: { code?: string }) => error.code === 'ERR_DECLIP_DISPOSED',
    ),
    'a call that has begun finishes or says why not',
  )
  await releaseModels()
})
