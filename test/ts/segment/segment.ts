import t from 'tap'
import type { NativeTensor } from '../../../ts/engine/addon-types.js'
import { loadAddon } from '../../../ts/engine/load-addon.js'
import {
  type DeclipError,
  loadModel,
  type SegmentOptions,
  segment,
  segmentMany,
  Tensor,
  Vocabulary,
} from '../../../ts/index.js'
import { floats, labelsOf, normalised, picture } from '../../support/calls.js'

const invalid = { name: 'DeclipError', code: 'ERR_DECLIP_INVALID_ARG' }
const image = picture(110, 96)
const classes = ['texture', 'sky, cloud', 'dog', 'background']
const model = await loadModel()
t.teardown(() => model.dispose())

t.test('one call with the bundled model', async t => {
  const seg = await segment(image, classes)
  t.same([seg.width, seg.height, seg.labels.shape], [110, 96, [96, 110]])
  t.equal(seg.labels.dtype, 'uint8')
  t.same(seg.classes, ['texture', 'sky', 'dog', 'background'])
  const labels = (await seg.labels.data()) as Uint8Array
  const counted = seg.classes.map((_, c) => labels.filter(l => l === c).length / labels.length)
  t.same(seg.areas, counted)
  t.match(seg.timings, { decodeMs: Number, textMs: Number, encodeMs: Number, pixelsMs: Number })
  t.ok((seg.timings.totalMs as number) >= seg.timings.encodeMs)
  t.equal(seg.logits, undefined)
  t.equal(seg.probabilities, undefined)
  t.same(await labelsOf(seg), await labelsOf(await segment(image, classes, { model })))
})

t.test('logits and probabilities', async t => {
  const seg = await segment(image, classes, { model, logits: true, probabilities: true })
  t.same([seg.logits?.shape, seg.logits?.dtype], [[4, 96, 110], 'float32'])
  const logits = await floats(seg.logits as Tensor)
  const probabilities = await floats(seg.probabilities as Tensor)
  t.ok(
    logits.every(v => v >= -1.001 && v <= 1.001),
    'cosines',
  )
  t.ok(probabilities.every(v => v >= 0 && v <= 1))
  const labels = (await seg.labels.data()) as Uint8Array
  const plane = labels.length
  const best = labels.map((_, i) => {
    const column = [0, 1, 2, 3].map(c => probabilities[c * plane + i] as number)
    return column.indexOf(Math.max(...column))
  })
  t.same([...labels], [...best], 'a label is the most probable class')
})

t.test('progress', async t => {
  const steps: string[] = []
  const seg = await segment(image, ['a word not seen before'], {
    model,
    window: 64,
    stride: 16,
    onProgress: ({ step, done, total }) => {
      t.ok(done <= total || total === 0)
      steps.push(step)
    },
  })
  seg.dispose()
  t.same([...new Set(steps)], ['text', 'encode', 'pixels'])
})

t.test('a progress callback that throws', async t => {
  const bug = new Error('in the callback')
  const call = segment(image, classes, {
    model,
    onProgress: () => {
      throw bug
    },
  })
  t.equal(await call.catch((error: unknown) => error), bug)
})

t.test('many classes take 16 bits', async t => {
  const names = Array.from({ length: 300 }, (_, i) => `thing number ${i}`)
  const seg = await segment(image, names, { model, templates: 'none' })
  t.equal(seg.labels.dtype, 'uint16')
  t.equal(seg.areas.length, 300)
  seg.dispose()
})

t.test('background', async t => {
  const run = async (options: SegmentOptions, words: string[] = ['sky', 'dog']) => {
    const seg = await segment(image, words, { model, ...options })
    const labels = await labelsOf(seg)
    return { classes: seg.classes, labels: new Set(labels) }
  }
  // A threshold that nothing reaches makes everything background.
  const threshold = { probThreshold: 1, logitScale: 1 }
  t.same((await run({ ...threshold, background: true })).labels, new Set([0]))
  t.same((await run({ ...threshold, background: 1 })).labels, new Set([1]))
  t.same((await run(threshold, ['sky', 'dog', 'Background'])).labels, new Set([2]))
  const listed = await run({ ...threshold, background: ['wall', 'texture'] })
  t.same(listed, { classes: ['background', 'sky', 'dog'], labels: new Set([0]) })
})

t.test('wrong options', async t => {
  const nan = Number.NaN
  const wrong: Record<string, unknown[]> = {
    model: [5, null, {}, new Float32Array(1), Tensor.from(new Float32Array(1), [1])],
    signal: [5, {}, null],
    onProgress: [5, {}, 'x', null],
    shortSide: [nan, -1, 0, 1.5, '8', 1e15, Number.POSITIVE_INFINITY, {}],
    window: [nan, -1, 1.5, '8', 1e15, null],
    stride: [nan, -1, 0, 1.5, '8', 1e15, null],
    padTo: [nan, 0, 1.5, null],
    augment: [1, 'x', null],
    augmentWeight: [nan, -0.1, 1.1, '1', null],
    definitionWeight: [nan, -0.1, 1.1, null],
    logitScale: [nan, 0, -1, Number.POSITIVE_INFINITY, '40', null],
    probThreshold: [nan, -0.1, 1.1, null],
    areaThreshold: [nan, -0.1, 1.1, null],
    closing: [1, null],
    logits: [1, 'yes', null],
    probabilities: [1, null],
    residual: [1, null],
    feedForward: [1, null],
    selfAttention: [1, null],
    neighboursOnly: [1, null],
    gaussianStd: [nan, 0, -1, null],
    positions: ['x', null],
    layers: [[], 'x', [0], [1.5], 5],
    mode: ['x', 5, null, 'toString'],
    denseMode: ['x', 5, null, 'toString'],
    pamr: [true, 5, 'x'],
    'pamr.iterations': [{}, { iterations: 0, dilations: [1] }, { iterations: 1e9, dilations: [1] }],
    'pamr.dilations': [
      { iterations: 1 },
      { iterations: 1, dilations: [] },
      { iterations: 1, dilations: [0] },
      { iterations: 1, dilations: [1e9] },
    ],
    templates: ['x', [], [5], ['no place for the word']],
    definitions: [5, ['one for two classes', 'and', 'too many'], [''], [5]],
    background: [2, -1, nan, 'x', [], [5]],
    proxy: [5, 'x', { features: [1] }, { model: 5 }],
  }
  for (const [option, values] of Object.entries(wrong)) {
    const name = option.split('.')[0] as string
    for (const value of values) {
      const call = segment(image, ['sky', 'dog'], { model, [name]: value } as never)
      const error = await call.then(
        () => undefined,
        (error: unknown) => error as DeclipError,
      )
      const label = `${name}: ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`
      t.match(error, invalid, label)
      t.match(error?.message, new RegExp(name.replace(/s$/, '')), 'names the option')
    }
  }
  for (const method of ['x', 5, null, 'toString']) {
    await t.rejects(segment(image, classes, { model, method: method as never }), {
      ...invalid,
      message: /^There is no method .*choose one of declip/,
    })
  }
  await t.rejects(segment(image, classes, { model, dataset: 'voc2012' }), {
    ...invalid,
    message: /voc21/,
  })
  await t.rejects(segment(image, classes, { model, window: 32, stride: 64 }), {
    ...invalid,
    message: /^stride must be 1 to 32/,
  })
  await t.rejects(segment(image, classes, { model, definitions: ['a'], synonyms: ['b'] }), {
    ...invalid,
    message: /exclude each other/,
  })
  await t.rejects(segment(image, classes, { model, method: 'proxyclip' }), {
    ...invalid,
    message: /^proxy must be { model } or { features }/,
  })
  await t.rejects(segment(image, classes, { device: 'cuda:99' }), { code: 'ERR_DECLIP_DEVICE' })
  await t.rejects(segment(image, classes, { model: 'no-such-model.pt' }), { code: 'ERR_DECLIP_IO' })
})

t.test('wrong classes and pictures', async t => {
  for (const words of [undefined, null, 5, {}, [], [''], [5], [null], Array(65_537).fill('x')]) {
    await t.rejects(segment(image, words as never, { model }), { ...invalid, message: /^classes/ })
  }
  await t.rejects(segment(image, 'no-such-file.txt', { model }), { code: 'ERR_DECLIP_IO' })
  await t.rejects(segment(image, ['cat '.repeat(100)], { model }), {
    ...invalid,
    message: /class 'cat.*too long|class 'cat.*77/s,
  })
  const forged = Object.create(Vocabulary.prototype)
  await t.rejects(segment(image, forged, { model }), Error)
  for (const wrong of [undefined, null, 5, {}, [], model, '']) {
    await t.rejects(segment(wrong as never, classes, { model }), { ...invalid, message: /^image/ })
  }
  await t.rejects(segment('no-such.png', classes, { model }), { code: 'ERR_DECLIP_IO' })
  await t.rejects(segment(new Uint8Array(9), classes, { model }), { code: 'ERR_DECLIP_IMAGE' })
  for (const shape of [
    [1, 3, 96],
    [3, 3, 64, 64],
    [1, 1, 96, 96],
    [1, 3, 4, 96],
  ]) {
    const x = Tensor.from(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape)
    await t.rejects(segment(x, classes, { model }), invalid)
  }
  const tiny = { data: new Uint8Array(3 * 5 * 5), width: 5, height: 5 }
  await t.rejects(segment(tiny, classes, { model }), { ...invalid, message: /less than one patch/ })
})

t.test('pixels that change or go away while the call runs', async t => {
  const expected = await labelsOf(await segment(image, classes, { model }))
  const data = image.data.slice()
  const running = segment({ ...image, data }, classes, { model })
  data.fill(0)
  structuredClone(data, { transfer: [data.buffer] })
  t.same(await labelsOf(await running), expected)

  const values = normalised(1, 96, 96)
  const x = Tensor.from(values, [1, 3, 96, 96])
  const clean = await labelsOf(await segment(x, classes, { model }))
  const again = segment(x, classes, { model })
  values.fill(0)
  x.dispose()
  const labels = await again.then(labelsOf, (error: DeclipError) => error.code)
  t.ok(labels === 'ERR_DECLIP_DISPOSED' || String(labels) === String(clean))
})

t.test('an overlay shows the picture that was segmented', async t => {
  const data = image.data.slice()
  using seg = await segment({ ...image, data }, classes, { model })
  const expected = await seg.toPNG({ overlay: { image, legend: false } })
  data.fill(0) // the caller's next frame
  t.same(await seg.toPNG({ overlay: { legend: false } }), expected)
  t.same(await seg.toPNG({ overlay: { legend: false } }), expected, 'drawn twice')

  using view = await model.encode({ ...image, data: image.data.slice() })
  using asked = await view.segment(classes)
  t.same(await asked.toPNG({ overlay: { legend: false } }), expected, 'of a view')
})

t.test('words of one call are given back, and nothing else is encoded for them', async t => {
  const { native } = model
  const disposed: Vocabulary[] = []
  const made: Vocabulary[] = []
  const { build } = Vocabulary
  t.capture(Vocabulary, 'build', async (...args: Parameters<typeof build>) => {
    const vocabulary = await build.apply(Vocabulary, args)
    made.push(vocabulary)
    return vocabulary
  })
  const dispose = t.capture(Vocabulary.prototype, 'dispose', function (this: Vocabulary) {
    disposed.push(this)
    this.features.dispose()
  })
  const words = t.capture(native, 'encodeWords', native.encodeWords)
  const seg = await segment(image, ['never', 'said before'], { model, templates: 'none' })
  using view = await model.encode(image)
  await view.segment(['never', 'said before'], { templates: 'none' })
  for await (const _ of segmentMany([image, image], ['never'], { model, templates: 'none' })) {
  }
  t.equal(disposed.length, 3)
  t.same(new Set(disposed), new Set(made))
  const calls = words().map(({ args: [{ tokens }] }) => (tokens as NativeTensor).shape[0])
  t.same(calls, [2], 'no probe beside the words')
  t.equal(dispose().length, 3)
  seg.dispose()
  await t.rejects(made[0]?.features.data() as Promise<unknown>, { code: 'ERR_DECLIP_DISPOSED' })

  const own = await model.vocabulary(['never'], { templates: 'none' })
  await segment(image, own, { model })
  t.equal(disposed.includes(own), false, "the caller's own stay")
})

t.test('mode and denseMode are one word', async t => {
  const expected = await labelsOf(await segment(image, classes, { model, mode: 'naclip' }))
  t.same(await labelsOf(await segment(image, classes, { model, denseMode: 'naclip' })), expected)
  t.notSame(await labelsOf(await segment(image, classes, { model, mode: 'vanilla' })), expected)
  using view = await model.encode(image, { denseMode: 'naclip' })
  t.same(await labelsOf(await view.segment(classes)), expected)
  await t.rejects(segment(image, classes, { model, mode: 'qq', denseMode: 'vv' }), {
    ...invalid,
    message: /two names of one option/,
  })
  const one = await floats(await model.encodeDense(image, { mode: 'qq' }))
  t.same(await floats(await model.encodeDense(image, { denseMode: 'qq' } as never)), one)
})

t.test('values that are no numbers', async t => {
  const x = Tensor.from(new Float32Array(3 * 96 * 96).fill(Number.NaN), [1, 3, 96, 96])
  await t.rejects(segment(x, classes, { model }), {
    code: 'ERR_DECLIP_WEIGHTS',
    message: /not finite numbers/,
  })
})

t.test('segmentMany has a picture at work for every thread, and two more', async t => {
  const addon = loadAddon()
  const { threads } = addon.runtime()
  t.teardown(() => addon.setThreads(threads))
  addon.setThreads(3)
  let [inside, most] = [0, 0]
  const { segment: native } = model.native
  t.capture(model.native, 'segment', async (query: Parameters<typeof native>[0]) => {
    most = Math.max(most, ++inside)
    const result = await native.call(model.native, query)
    inside -= 1
    return result
  })
  const images = Array.from({ length: 12 }, () => image)
  const indices: number[] = []
  for await (const seg of segmentMany(images, classes, { model })) {
    indices.push(seg.index)
    seg.dispose()
  }
  t.strictSame(indices, [...images.keys()])
  t.ok(most >= 3 && most <= 5, `${most} at a time`)
})
