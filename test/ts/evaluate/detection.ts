import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { detect } from '../../../ts/detect/detect.js'
import { evaluate } from '../../../ts/evaluate/evaluate.js'
import { merge } from '../../../ts/evaluate/merge.js'
import { averagePrecision } from '../../../ts/evaluate/metrics/average-precision.js'
import type { FoundObject } from '../../../ts/evaluate/metrics/detection.js'
import type { EvaluateOptions } from '../../../ts/evaluate/options.js'
import type { DetectionResult } from '../../../ts/evaluate/result.js'
import { CLASSES, writeAnnotations, writeDataFolder } from '../../support/evaluation.js'

const COUNT = 5
const QUICK = { model: 'words-tiny', templates: 'none' } as const

async function setUp(t: Test) {
  const dir = t.testdir()
  const data = await writeDataFolder(join(dir, 'data'), COUNT)
  const annotations = await writeAnnotations(data)
  const run = (options: Partial<EvaluateOptions> = {}) =>
    evaluate({
      task: 'detection',
      dataset: 'folder',
      data,
      ...QUICK,
      ...options,
    }) as Promise<DetectionResult>
  return { data, dir, annotations, run }
}

t.test('average precision is that of what detect() finds', async t => {
  const { data, annotations, run } = await setUp(t)
  const result = await run()
  const classes = CLASSES.slice(1).map(name => ({ name, words: [name] }))
  const detections = new Map<string, FoundObject[]>()
  const truths = new Map(
    annotations.images.map(({ id, width, height }) => [
      `${id}`,
      {
        width,
        height,
        objects: annotations.annotations
          .filter(({ image_id }) => image_id === id)
          .map(({ id, category_id, bbox, area }) => ({
            id,
            label: category_id - 1,
            box: bbox,
            area,
            crowd: false,
          })),
      },
    ]),
  )
  for (const { id, file_name } of annotations.images) {
    const image = join(data, 'images', file_name)
    using found = await detect(image, CLASSES.slice(1), { ...QUICK, scoreThreshold: 0 })
    const list = found.toJSON().objects.map(({ index, score, box: [x1, y1, x2, y2] }) => ({
      label: index,
      score: Math.fround(score),
      box: [x1, y1, x2 - x1, y2 - y1] as const,
    }))
    detections.set(`${id}`, list as unknown as FoundObject[])
  }
  const wanted = await averagePrecision({ classes, truths, detections })
  t.equal(result.ap, wanted.ap)
  t.equal(result.ap50.all, wanted.ap50)
  t.equal(result.ar, wanted.ar)
  t.match(result, { task: 'detection', kind: 'bbox', pictures: COUNT, failed: [] })
  t.strictSame(
    result.classes.map(({ name, objects }) => [name, objects]),
    CLASSES.slice(1).map(name => [name, COUNT]),
  )
})

t.test('masks, parts and a report', async t => {
  const { dir, run } = await setUp(t)
  const whole = await run({ kind: 'segm', out: join(dir, 'whole') })
  t.match(whole, { kind: 'segm', ap: Number })
  for (const shard of ['1/2', '2/2']) await run({ kind: 'segm', out: join(dir, 'parts'), shard })
  t.strictSame((await merge([join(dir, 'parts')])).result, whole)
  t.match(readFileSync(join(dir, 'whole/report.html'), 'utf8'), /detection/)
  t.strictSame(await run({ kind: 'segm', out: join(dir, 'whole'), resume: true }), whole)
  await t.rejects(run({ out: join(dir, 'whole'), resume: true }), { message: /values\.kind/ })
})
