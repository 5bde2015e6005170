import t from 'tap'
import { loadModel, segment, Tensor } from '../../../ts/index.js'
import { difference, fixture, floats, labelsOf, normalised, picture } from '../../support/calls.js'

const invalid = { name: 'DeclipError', code: 'ERR_DECLIP_INVALID_ARG' }
const image = picture(130, 100)
const classes = ['texture', 'sky', 'dog', 'house']
const model = await loadModel()
t.teardown(() => model.dispose())

t.test('what a view tells', async t => {
  using view = await model.encode(image, { window: 96, stride: 48 })
  t.match(view, { width: 130, height: 100, windows: 4 })
  // features of 12 x 12 patches, 128 channels, and the normalised picture
  t.equal(view.byteLength, 4 * (4 * 144 * 128 + 3 * 130 * 100))
})

t.test('a very long picture', async t => {
  const long = picture(600, 20)
  const options = { shortSide: 96, window: 0, padTo: 8 }
  // At most 300 pixels long: half its size, 10 pixels high.
  using small = await model.encode(long, { ...options, longSide: 300 })
  using large = await model.encode(long, { ...options, longSide: 2400 })
  t.equal(small.byteLength, 4 * (38 * 2 * 128 + 3 * 300 * 10))
  t.equal(large.byteLength, 4 * (300 * 10 * 128 + 3 * 2400 * 80))
  t.same(
    (await small.segment(classes)).labels.shape,
    [20, 600],
    'labels keep the size of the picture',
  )
})

t.test('other words and settings, no other pass through the tower', async t => {
  using view = await model.encode(image, { method: 'itaclip', window: 96, stride: 48 })
  for (const options of [{}, { logitScale: 5 }, { pamr: false as const }, { closing: true }]) {
    const seg = await view.segment(classes, options)
    t.equal(seg.timings.encodeMs, 0)
    const whole = await segment(image, classes, {
      model,
      method: 'itaclip',
      window: 96,
      stride: 48,
      ...options,
    })
    t.ok(whole.timings.encodeMs > 0)
    t.same(await labelsOf(seg), await labelsOf(whole), JSON.stringify(options))
  }
})

t.test('the method of the view is the method of its queries', async t => {
  using view = await model.encode(image, { method: 'itaclip', dataset: 'voc21' })
  const words = ['background', ...classes]
  t.same(
    await labelsOf(await view.segment(words)),
    await labelsOf(await segment(image, words, { model, method: 'itaclip', dataset: 'voc21' })),
  )
})

t.test('similarity', async t => {
  using view = await model.encode(image)
  const one = await view.similarity('a dog')
  const two = await view.similarity(['a cat', 'a dog'])
  t.same([one.shape, two.shape, one.dtype], [[100, 130], [2, 100, 130], 'float32'])
  // MKL multiplies by one word and by two with other kernels, which round differently.
  t.ok(difference(await floats(one), await floats(two.slice(1))) < 1e-6)
  const values = await floats(one)
  t.ok(values.every(v => v >= -1 && v <= 1))
  const prompts = await floats(await view.similarity('dog', { templates: ['a {}'] }))
  t.ok(difference(prompts, values) < 1e-6, 'templates are filled in')
})

t.test('a view of a tensor', async t => {
  using x = Tensor.from(normalised(1, 96, 104), [1, 3, 96, 104])
  using view = await model.encode(x)
  t.match(view, { width: 104, height: 96 })
  const seg = await view.segment(classes)
  await t.rejects(seg.toPNG({ overlay: true }), { ...invalid, message: /overlay: \{ image \}/ })
  const overlay = await seg.toPNG({ overlay: { image: picture(104, 96) } })
  t.same([...overlay.subarray(1, 4)], [0x50, 0x4e, 0x47])
  const batch = Tensor.from(normalised(2, 96, 96), [2, 3, 96, 96])
  await t.rejects(model.encode(batch), { ...invalid, message: /One picture at a time/ })
})

t.test('wrong arguments', async t => {
  using view = await model.encode(image)
  for (const texts of [undefined, null, 5, {}, [], [5]]) {
    await t.rejects(view.similarity(texts as never), { ...invalid, message: /^texts/ })
  }
  for (const words of [undefined, null, 5, {}, [], [''], [5]]) {
    await t.rejects(view.segment(words as never), { ...invalid, message: /^classes/ })
  }
  for (const [options, message] of [
    [null, /^options/],
    [5, /^options/],
    [{ signal: 5 }, /^signal/],
    [{ onProgress: 5 }, /^onProgress/],
  ] as [never, RegExp][]) {
    await t.rejects(view.segment(classes, options), { ...invalid, message })
    await t.rejects(view.similarity('cat', options), { ...invalid, message })
  }
  for (const [name, value] of Object.entries({
    logitScale: 0,
    pamr: true,
    probThreshold: 2,
    areaThreshold: Number.NaN,
    closing: 'x',
    logits: 1,
    probabilities: null,
    background: 9,
    definitionWeight: -1,
    templates: ['no place for the word'],
  })) {
    const call = view.segment(classes, { [name]: value } as never)
    await t.rejects(call, { ...invalid, message: new RegExp(`^${name}`) })
  }
  await t.rejects(view.similarity('cat', { templates: 'x' as never }), {
    ...invalid,
    message: /^templates/,
  })
})

t.test("another model's words", async t => {
  const other = await loadModel(fixture('clip-tiny', 'state_dict.pt'))
  t.teardown(() => other.dispose())
  const vocabulary = await other.vocabulary(classes)
  using view = await model.encode(image)
  await t.rejects(view.segment(vocabulary), { ...invalid, message: /made with another model/ })
  await t.rejects(segment(image, vocabulary, { model }), {
    ...invalid,
    message: /made with another model/,
  })
})
