import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { evaluate } from '../../../ts/evaluate/evaluate.js'
import { merge } from '../../../ts/evaluate/merge.js'
import type { EvaluateOptions } from '../../../ts/evaluate/options.js'
import type { RegionsResult } from '../../../ts/evaluate/result.js'
import { loadModel } from '../../../ts/model/load.js'
import { CLASSES, writeAnnotations, writeDataFolder } from '../../support/evaluation.js'

const COUNT = 4

async function setUp(t: Test) {
  const dir = t.testdir()
  const data = await writeDataFolder(join(dir, 'data'), COUNT)
  const annotations = await writeAnnotations(data)
  const run = (options: Partial<EvaluateOptions> = {}) =>
    evaluate({
      task: 'regions',
      dataset: 'folder',
      data,
      model: 'words-tiny',
      size: 96,
      ...options,
    }) as Promise<RegionsResult>
  return { data, dir, annotations, run }
}

/** The cosines of rows with rows. */
function products(a: Float32Array, b: Float32Array, width: number): number[][] {
  const row = (x: Float32Array, i: number) => [...x.subarray(i * width, (i + 1) * width)]
  const count = (x: Float32Array) => Array.from({ length: x.length / width }, (_, i) => i)
  return count(a).map(i =>
    count(b).map(j => {
      const other = row(b, j)
      return row(a, i).reduce((sum, x, d) => sum + x * (other[d] as number), 0)
    }),
  )
}

t.test('mean accuracies are those of plain loops over regions', async t => {
  const { data, annotations, run } = await setUp(t)
  const result = await run()
  using model = await loadModel('words-tiny')
  using vocabulary = await model.vocabulary(CLASSES.slice(1), {
    templates: 'vild',
    background: false,
  })
  const words = (await vocabulary.features.data()) as Float32Array
  const hits = { boxes: new Map<string, number[]>(), masks: new Map<string, number[]>() }
  for (const { id, file_name } of annotations.images) {
    const own = annotations.annotations.filter(({ image_id }) => image_id === id)
    const image = join(data, 'images', file_name)
    const boxes = own.map(({ bbox: [x, y, w, h] }) => [x, y, x + w, y + h])
    using features = await model.encodeBoxes(image, boxes, { mode: 'maskclip', size: 96 })
    const cosines = products((await features.data()) as Float32Array, words, model.info.embedDim)
    own.forEach(({ category_id }, i) => {
      const row = cosines[i] as number[]
      const order = row.map((_, c) => c).sort((a, b) => (row[b] as number) - (row[a] as number))
      const rank = order.indexOf(category_id - 1)
      const of = hits.boxes.get(`${category_id}`) ?? []
      hits.boxes.set(`${category_id}`, [...of, rank])
    })
  }
  const shares = [...hits.boxes.values()].map(
    ranks => ranks.filter(rank => rank === 0).length / ranks.length,
  )
  const mean = shares.reduce((a, b) => a + b) / shares.length
  t.ok(Math.abs((result.boxes.thing.macc1 as number) - mean) < 1e-12, `${mean}`)
  t.equal(result.boxes.thing.macc5, 1, 'of three classes each is among the first five')
  t.equal(result.regions, annotations.annotations.length)
  t.match(result, { task: 'regions', pictures: COUNT, failed: [] })
  t.match(result.boxes.stuff, { macc1: null, macc5: null })
  for (const pool of ['masks', 'crops'] as const) t.type(result[pool].thing.macc1, 'number')
  t.match(result.settings.values, { mode: 'maskclip', size: 96, templates: 'vild', crops: true })
})

t.test('parts, a report, and no crops', async t => {
  const { dir, run } = await setUp(t)
  const whole = await run({ crops: false, out: join(dir, 'whole') })
  t.match(whole.crops.thing, { macc1: null })
  for (const shard of ['1/2', '2/2']) await run({ crops: false, out: join(dir, 'parts'), shard })
  t.strictSame((await merge([join(dir, 'parts')])).result, whole)
  t.match(readFileSync(join(dir, 'whole/report.html'), 'utf8'), /naming of regions/)
  await t.rejects(run({ out: join(dir, 'whole'), resume: true }), { message: /values\.crops/ })
})

t.test('published embeddings in place of words', async t => {
  const { dir, run } = await setUp(t)
  using model = await loadModel('words-tiny')
  using vocabulary = await model.vocabulary(CLASSES.slice(1), {
    templates: 'vild',
    background: false,
  })
  const { embedDim } = model.info
  const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (3, ${embedDim}), }`.padEnd(117)
  const bytes = Buffer.concat([
    Buffer.from(`\x93NUMPY\x01\x00\x76\x00${header}\n`, 'latin1'),
    Buffer.from(((await vocabulary.features.data()) as Float32Array).buffer),
  ])
  const path = join(dir, 'embeddings.npy')
  writeFileSync(path, bytes)
  const [words, embeddings] = [await run(), await run({ embeddings: path })]
  t.strictSame(embeddings.boxes, words.boxes)
  t.strictSame(embeddings.classes, words.classes)
  t.equal(embeddings.settings.words, null)
  t.match(embeddings.settings.values, { vocabulary: /^sha256:/ })
})

t.test('what only regions have', async t => {
  const { run } = await setUp(t)
  await t.rejects(run({ size: 4 }), { code: 'ERR_DECLIP_INVALID_ARG', message: /size must be/ })
  await t.rejects(run({ mode: 'nothing' as 'qq' }), { code: 'ERR_DECLIP_INVALID_ARG' })
  const result = await run({ mode: 'qq', crops: false })
  t.match(result.settings, { values: { mode: 'qq' }, changed: ['size', 'mode'] })
})
