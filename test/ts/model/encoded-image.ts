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

/** Places with nothing higher around them, best first, the lower of two near ones left out. */
function summits(map: Float32Array, width: number, height: number, distance: number) {
  const at = (x: number, y: number) => map[y * width + x] ?? 0
  const found: { x: number; y: number; score: number }[] = []
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let isHighest = true
      for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++) {
        for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) {
          const isBefore = v < y || (v === y && u < x)
          if (at(u, v) > at(x, y) || (isBefore && at(u, v) === at(x, y))) isHighest = false
        }
      }
      if (isHighest) found.push({ x: x + 0.5, y: y + 0.5, score: at(x, y) })
    }
  }
  const kept: typeof found = []
  for (const peak of found.sort((a, b) => b.score - a.score)) {
    if (kept.every(({ x, y }) => Math.hypot(x - peak.x, y - peak.y) >= distance)) kept.push(peak)
  }
  return kept
}

t.test('peaks are where the similarity is highest', async t => {
  using view = await model.encode(image, { shortSide: null })
  const texts = ['a cat', 'a dog']
  using similarity = await view.similarity(texts)
  const maps = await floats(similarity)
  for (const minDistance of [0, 12]) {
    const peaks = await view.peaks(texts, { limit: 10_000, minDistance })
    t.same(
      peaks.map(({ score }) => score),
      peaks.map(({ score }) => score).sort((a, b) => b - a),
      'best first',
    )
    for (const text of [0, 1]) {
      const map = maps.subarray(text * 13_000, (text + 1) * 13_000)
      const own = peaks.filter(peak => peak.text === text).map(({ text: _, ...peak }) => peak)
      t.same(own, summits(map, 130, 100, minDistance))
      t.ok(own.length > 1)
    }
  }
  const few = await view.peaks(texts, { limit: 2 })
  t.ok(few.length <= 4 && few.length >= 2)
  const [best] = few
  t.same(await view.peaks(texts, { minScore: (best?.score ?? 0) + 1e-4 }), [])
  using small = await model.encode(picture(400, 300), { shortSide: 150 })
  for (const { x, y } of await small.peaks('a dog')) {
    t.ok(x > 0 && x < 400 && y > 0 && y < 300)
    t.ok(Number.isInteger(x / 2 - 0.5), 'middles of the pixels of the resized picture')
  }
  for (const options of [{ limit: 0 }, { minScore: Number.NaN }, { minDistance: -1 }]) {
    await t.rejects(view.peaks(texts, options), invalid)
  }
  await t.rejects(view.peaks([]), invalid)
  await t.rejects(view.peaks(texts, { signal: AbortSignal.abort() }), {
    code: 'ERR_DECLIP_ABORTED',
  })
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
