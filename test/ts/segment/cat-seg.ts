/** Method 'cat-seg' through the public calls, on a head of random weights. */
import { join } from 'node:path'
import t from 'tap'
import { packageRoot } from '../../../ts/base/package-files.js'
import {
  inspectCheckpoint,
  loadModel,
  type Model,
  segment,
  segmentMany,
  Tensor,
  Vocabulary,
} from '../../../ts/index.js'
import { CAT_SEG_PROMPT, CAT_SEG_SIZES, writeCatSeg } from '../../support/cat-seg-model.js'

const code = 'ERR_DECLIP_INVALID_ARG'
const photo = join(packageRoot, 'models/scenes/park.png')
const WORDS = ['tree', 'dog, puppy', 'sky', 'bench', 'kite']
let path: string
let model: Model
t.before(async () => {
  path = await writeCatSeg(join(t.testdir(), 'cat-seg.safetensors'))
  model = await loadModel(path, { dtype: 'float32' })
})
t.teardown(() => model.dispose())

const labelsOf = async (call: Promise<{ labels: Tensor; dispose(): void }>) => {
  const result = await call
  const data = [...(await result.labels.data())].map(Number)
  result.dispose()
  return data
}

t.test('what the model is', async t => {
  const { info } = model
  t.equal(info.defaultMethod, 'cat-seg')
  t.ok(info.methods.includes('cat-seg') && info.methods.includes('maskclip'))
  t.match(info.catSeg, { ...CAT_SEG_SIZES, prompt: CAT_SEG_PROMPT, names: ['cat', 'dog', 'sky'] })
  t.match((await inspectCheckpoint(path)).catSeg, info.catSeg, 'without loading it')
})

t.test('probabilities are of each word on its own, and labels the best of them', async t => {
  using seg = await segment(photo, WORDS, { model, probabilities: true })
  t.strictSame([...seg.classes], ['tree', 'dog', 'sky', 'bench', 'kite'])
  const probabilities = seg.probabilities as Tensor
  const [classes, height, width] = probabilities.shape
  t.strictSame([classes, height, width], [WORDS.length, seg.height, seg.width])
  const p = (await probabilities.data()) as Float32Array
  const labels = await seg.labels.data()
  const pixels = seg.height * seg.width
  let wrong = 0
  let sums = 0
  for (let i = 0; i < pixels; i++) {
    let best = 0
    let sum = 0
    for (let c = 0; c < WORDS.length; c++) {
      const value = p[c * pixels + i] as number
      sum += value
      if (value > (p[best * pixels + i] as number)) best = c
    }
    if (best !== Number(labels[i])) wrong += 1
    if (Math.abs(sum - 1) < 1e-3) sums += 1
  }
  t.equal(wrong, 0)
  t.ok(sums < pixels / 2, 'no softmax over words')
})

t.test('a view answers other words without another pass', async t => {
  using view = await model.encode(photo)
  t.equal(view.windows, 5)
  for (const words of [WORDS, ['house', 'road'], WORDS]) {
    const whole = await labelsOf(segment(photo, words, { model }))
    using seg = await view.segment(words)
    t.strictSame([...(await seg.labels.data())].map(Number), whole)
    t.equal(seg.timings.encodeMs, 0, 'the tower did not run')
  }
  using map = await view.similarity('tree', { templates: [CAT_SEG_PROMPT] })
  t.strictSame(map.shape, [view.height, view.width])
  const [peak] = await view.peaks('tree', { limit: 1, templates: [CAT_SEG_PROMPT] })
  t.ok(peak && peak.score > 0 && peak.score < 1)
})

t.test('only the first word of a class is asked for, of the background all', async t => {
  const first = await labelsOf(segment(photo, ['tree', 'dog', 'sky'], { model }))
  t.strictSame(await labelsOf(segment(photo, ['tree, oak', 'dog, puppy', 'sky'], { model })), first)
  using vocabulary = await model.vocabulary(['tree, oak', 'dog, puppy', 'sky'])
  t.strictSame(vocabulary.templates, [CAT_SEG_PROMPT])
  t.equal(vocabulary.words.length, 5)
  t.strictSame(await labelsOf(segment(photo, vocabulary, { model })), first, 'of a vocabulary too')
  const all = await labelsOf(segment(photo, ['tree', 'oak', 'dog', 'puppy', 'sky'], { model }))
  t.strictSame(
    await labelsOf(segment(photo, vocabulary, { model, classWords: 'all' })),
    all.map(label => [0, 0, 1, 1, 2][label]),
  )
  const against = { model, background: ['house', 'road', 'grass'] }
  const behind = await labelsOf(
    segment(photo, ['house', 'road', 'grass', 'tree', 'dog'], { model }),
  )
  t.strictSame(
    await labelsOf(segment(photo, ['tree, oak', 'dog'], against)),
    behind.map(label => [0, 0, 0, 1, 2][label]),
  )
})

t.test('many words, many pictures, thresholds, PAMR and votes', async t => {
  const many = Array.from({ length: 300 }, (_, i) => `thing ${i}`)
  using seg = await segment(photo, many, { model, probabilities: true })
  t.equal(seg.classes.length, 300)
  const p = (await seg.probabilities?.data()) as Float32Array
  t.ok(p.every(value => value >= 0 && value <= 1))
  let count = 0
  for await (const one of segmentMany([photo, photo], WORDS, { model })) {
    count += 1
    one.dispose()
  }
  t.equal(count, 2)
  const thresholded = await labelsOf(
    segment(photo, ['tree', 'dog', 'background'], { model, probThreshold: 1 }),
  )
  t.ok(thresholded.every(label => label === 2))
  using refined = await segment(photo, WORDS, { model, pamr: { iterations: 2, dilations: [1, 2] } })
  t.equal(refined.areas.length, WORDS.length)
  const { width, height } = seg
  const regions = new Int32Array(width * height).map((_, i) => (i % width < width / 2 ? 1 : 2))
  using masks = Tensor.from(regions, [height, width])
  const voted = await labelsOf(segment(photo, WORDS, { model, refine: 'vote', masks }))
  for (const half of [0, 1]) {
    const own = new Set(voted.filter((_, i) => (i % width < width / 2 ? 0 : 1) === half))
    t.equal(own.size, 1, 'one label a region')
  }
  for (const method of ['maskclip', 'vanilla'] as const) {
    using other = await segment(photo, WORDS, { model, method })
    t.equal(other.labels.shape.length, 2, `${method} runs on its tower`)
  }
})

t.test('what does not fit is refused by name', async t => {
  const refused = (options: object, message: RegExp) =>
    t.rejects(segment(photo, WORDS, { model, ...options }), { code, message })
  await refused({ catSeg: { side: 100 } }, /^catSeg\.side must be a multiple of 8/)
  await refused({ catSeg: { cut: 200 } }, /^catSeg\.cut/)
  await refused({ catSeg: { stride: 97 } }, /^catSeg\.stride/)
  await refused({ catSeg: { stride: 0 } }, /^catSeg\.stride/)
  await refused({ catSeg: { blocks: [1, 6] } }, /^catSeg\.blocks/)
  await refused({ catSeg: { pooling: 3 } }, /^catSeg\.pooling/)
  await refused({ catSeg: { wordLimit: -1 } }, /^catSeg\.wordLimit/)
  await refused({ window: 96 }, /catSeg\.cut/)
  await t.rejects(segment(photo, [], { model }), { code, message: /classes/ })
  using narrow = await Vocabulary.fromFeatures(
    ['a', 'b'],
    Tensor.from(new Float32Array([1, 2, 3, 4]), [2, 2]),
  )
  await t.rejects(segment(photo, narrow, { model }), { code, message: /another model/ })
  const zero = Tensor.from(new Float32Array(2 * model.info.embedDim), [2, model.info.embedDim])
  await t.rejects(Vocabulary.fromFeatures(['a', 'b'], zero), { code })
  zero.dispose()
  using plain = await loadModel('words-tiny')
  await t.rejects(segment(photo, WORDS, { model: plain, method: 'cat-seg' }), {
    code,
    message: /needs a checkpoint with CAT-Seg's trained head/,
  })
})

t.test('the same in other number formats', async t => {
  const whole = await labelsOf(segment(photo, WORDS, { model }))
  for (const dtype of ['bfloat16', 'float16'] as const) {
    using half = await loadModel(path, { dtype })
    const labels = await labelsOf(segment(photo, WORDS, { model: half }))
    const equal = labels.filter((label, i) => label === whole[i]).length
    t.ok(equal / labels.length > 0.9, `${dtype}: ${equal} of ${labels.length}`)
  }
})
