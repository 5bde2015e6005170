import { join } from 'node:path'
import sharp from 'sharp'
import t from 'tap'
import { packageRoot } from '../../../ts/base/package-files.js'
import { type DetectOptions, detect, loadModel, segment, Tensor } from '../../../ts/index.js'
import { picture } from '../../support/calls.js'
import { componentsOf } from '../../support/components.js'
import { runsOf } from '../../support/runs.js'

const invalid = { name: 'DeclipError', code: 'ERR_DECLIP_INVALID_ARG' }
const model = await loadModel('words-tiny')
t.teardown(() => model.dispose())

const table = join(packageRoot, 'models/scenes/table.png')
const CLASSES = ['pizza', 'banana', 'coffee']
const ALL = { scoreThreshold: 0, minArea: 0, limit: 10_000 } as const

t.test('things of a picture, the best first', async t => {
  const found = await detect(table, CLASSES, { model, masks: true })
  const { objects, size, classes } = found.toJSON()
  t.strictSame(size, [288, 384])
  t.strictSame(classes, CLASSES)
  t.strictSame([...new Set(objects.slice(0, 6).map(({ class: name }) => name))].sort(), [
    'banana',
    'coffee',
    'pizza',
  ])
  const scores = objects.map(({ score }) => score)
  t.strictSame(
    scores,
    [...scores].sort((a, b) => b - a),
  )
  t.ok(scores.every(score => score > 0 && score <= 1))
  const count = objects.length
  t.strictSame(
    [found.boxes, found.scores, found.labels].map(({ shape, dtype }) => [shape, dtype]),
    [
      [[count, 4], 'float32'],
      [[count], 'float32'],
      [[count], 'int32'],
    ],
  )
  t.strictSame(
    [...((await found.boxes.data()) as Float32Array)],
    objects.flatMap(({ box }) => [...box]),
  )
  t.strictSame(
    [...((await found.labels.data()) as Int32Array)],
    objects.map(({ index }) => index),
  )
  t.strictSame(
    found.masks,
    objects.map(({ mask }) => mask),
  )
  t.strictSame(
    found
      .toCoco(7, { categoryIds: [10, 20, 30] })
      .map(({ image_id, category_id }) => [image_id, category_id]),
    objects.map(({ index }) => [7, 10 * (index + 1)]),
  )
  const [first] = found.toCoco('a')
  const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = objects[0]?.box ?? []
  t.strictSame(first?.bbox, [x1, y1, x2 - x1, y2 - y1])
  t.throws(() => found.toCoco(1, { categoryIds: [1] }), invalid)

  const index = await sharp(await found.toPNG())
    .raw()
    .toBuffer({ resolveWithObject: true })
  t.same([index.info.width, index.info.height], [384, 288])
  const overlay = await sharp(await found.toPNG({ overlay: true })).metadata()
  t.same([overlay.width, overlay.height], [384, 288])
  const plain = await found.toPNG({ overlay: { legend: false, image: table } })
  t.not(plain.length, (await found.toPNG({ overlay: true })).length)
  await t.rejects(found.toPNG({ overlay: 3 as never }), invalid)
  await t.rejects(found.toPNG({ overlay: { opacity: 2 } }), invalid)
  await t.rejects(found.toPNG({ overlay: { image: picture(8, 8) } }), invalid)
  found.dispose()
  found.dispose()
  await t.rejects(found.toPNG(), { code: 'ERR_DECLIP_DISPOSED' })
})

t.test('objects are the regions of the labels', async t => {
  const words = ['background', ...CLASSES]
  using seg = await segment(table, words, { model })
  const labels = (await seg.labels.data()) as Uint8Array
  using found = await detect(table, words, { model, masks: true, ...ALL })
  const regions = componentsOf(labels, 384, 288).filter(({ label }) => label !== 0)
  t.strictSame(found.classes, words)
  t.strictSame(
    found
      .toJSON()
      .objects.map(({ index, mask }) => `${index} ${mask?.counts}`)
      .sort(),
    regions.map(({ label, counts }) => `${label} ${counts}`).sort(),
  )
  const map = await sharp(await found.toPNG(), { raw: undefined as never }).metadata()
  t.equal(map.width, 384)
  using few = await detect(table, words, { model, ...ALL, limit: 2, masks: true })
  t.equal(few.count, 2)
  const painted = await sharp(await few.toPNG({ overlay: false }))
    .removeAlpha()
    .raw()
    .toBuffer()
  const colored = runsOf(
    Uint8Array.from({ length: 384 * 288 }, (_, i) =>
      Number((painted[3 * i] ?? 0) + (painted[3 * i + 1] ?? 0) > 0),
    ),
    384,
    288,
    value => value > 0,
  )
  const inside = (counts: readonly number[]) =>
    counts.reduce((sum, length, i) => sum + (i % 2 ? length : 0), 0)
  t.equal(
    inside(colored),
    (few.masks ?? []).reduce((sum, { counts }) => sum + inside(counts as number[]), 0),
  )
})

t.test('a background of common words, of own words, and none', async t => {
  const classesOf = async (options: DetectOptions) => {
    using found = await detect(table, ['pizza', 'wall'], { model, ...ALL, masks: true, ...options })
    const labels = (await found.labels.data()) as Int32Array
    t.ok(labels.every(label => label === 0 || label === 1))
    const area = (found.masks ?? []).reduce(
      (sum, { counts }) =>
        sum + (counts as number[]).reduce((all, length, i) => all + (i % 2 ? length : 0), 0),
      0,
    )
    return { classes: found.classes, all: area === 384 * 288 }
  }
  const classes = ['pizza', 'wall']
  t.strictSame(await classesOf({}), { classes, all: false })
  t.strictSame(await classesOf({ background: ['table', 'floor'] }), { classes, all: false })
  t.strictSame(await classesOf({ background: false }), { classes, all: true })
})

t.test('a vocabulary, a tensor, and nothing found', async t => {
  using vocabulary = await model.vocabulary(['background', 'pizza'], { templates: 'none' })
  using found = await detect(table, vocabulary, { model, ...ALL })
  t.strictSame(found.classes, ['background', 'pizza'])
  t.ok(((await found.labels.data()) as Int32Array).every(label => label === 1))
  using nothing = await detect(table, CLASSES, { model, minArea: 384 * 288 })
  t.strictSame([nothing.count, nothing.boxes.shape], [0, [0, 4]])
  t.ok((await nothing.toPNG({ overlay: true })).length > 0)
  t.strictSame(nothing.toCoco(1), [])
  const { imageSize } = model.info
  using pixels = Tensor.from(new Float32Array(3 * imageSize * imageSize), [
    1,
    3,
    imageSize,
    imageSize,
  ])
  using blank = await detect(pixels, CLASSES, { model })
  await t.rejects(blank.toPNG({ overlay: true }), { ...invalid, message: /overlay/ })
})

t.test('names that are hard to draw', async t => {
  const names = ['<b>&"', 'a'.repeat(300), '猫', '\u0001\ud800 x']
  using found = await detect(picture(64, 48), names, { model, ...ALL, background: false })
  t.ok((await found.toPNG({ overlay: true })).length > 0)
})

t.test('what is refused', async t => {
  await t.rejects(detect(table, undefined, { model }), {
    ...invalid,
    message: /only a detector checkpoint has words of its own/,
  })
  for (const name of ['nmsThreshold', 'base', 'novel', 'alpha', 'beta', 'temperature']) {
    await t.rejects(detect(table, CLASSES, { model, [name]: 0.5 }), {
      ...invalid,
      message: new RegExp(`^${name} is of a detector checkpoint`),
    })
  }
  for (const bad of [{ scoreThreshold: 2 }, { limit: 0 }, { minArea: -1 }, { masks: 1 }]) {
    await t.rejects(detect(table, CLASSES, { model, ...bad } as never), invalid)
  }
  await t.rejects(detect(table, [], { model }), invalid)
  await t.rejects(detect(table, CLASSES, { model, signal: AbortSignal.abort() }), {
    code: 'ERR_DECLIP_ABORTED',
  })
})
