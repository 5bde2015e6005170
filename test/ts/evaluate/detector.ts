/** evaluate() with a detector that has heads of its own: its words, their order, and the split of a data set. */
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { detect } from '../../../ts/detect/detect.js'
import { evaluate } from '../../../ts/evaluate/evaluate.js'
import { averagePrecision } from '../../../ts/evaluate/metrics/average-precision.js'
import type { FoundObject } from '../../../ts/evaluate/metrics/detection.js'
import type { EvaluateOptions } from '../../../ts/evaluate/options.js'
import type { DetectionResult } from '../../../ts/evaluate/result.js'
import { loadModel } from '../../../ts/model/load.js'
import { fixture } from '../../support/calls.js'

const invalid = { code: 'ERR_DECLIP_INVALID_ARG' }
const model = await loadModel(fixture('fvit', 'coco-fvit.pth'), { device: 'cpu' })
t.teardown(() => model.dispose())
const names = [...(model.info.detector?.names ?? [])]
/** A file numbers classes as it likes. */
const categories = [...names].reverse().map((name, i) => ({ id: 3 * i + 1, name }))
const novel = names.slice(0, 4)
const SMALL = { inputSize: 128, proposals: { keep: 60 } } as const
const photos = ['square.png', 'portrait.png']

t.test('the figures are those of what detect() finds', async t => {
  const data = t.testdir()
  mkdirSync(join(data, 'images'))
  const images: { id: number; file_name: string; width: number; height: number }[] = []
  const annotations: object[] = []
  const truths = new Map()
  const detections = new Map<string, FoundObject[]>()
  for (const [id, file] of photos.entries()) {
    copyFileSync(fixture('fvit', file), join(data, 'images', file))
    const image = join(data, 'images', file)
    using found = await detect(image, undefined, { model, ...SMALL, novel })
    const { width, height } = found
    images.push({ id, file_name: file, width, height })
    const rows = found.toJSON().objects.map(({ class: name, score, box: [x1, y1, x2, y2] }) => ({
      label: categories.findIndex(one => one.name === name),
      score,
      box: [x1, y1, x2 - x1, y2 - y1] as const,
    }))
    detections.set(`${id}`, rows as unknown as FoundObject[])
    const objects = rows
      .filter((_, i) => i % 3 === 0)
      .map(({ label, box }, i) => {
        const [x, y, w, h] = box
        const moved = [x, y, w, 0.8 * h] as const
        const area = w * 0.8 * h
        return { id: 1000 * id + i + 1, label, box: moved, area, crowd: false }
      })
    truths.set(`${id}`, { width, height, objects })
    for (const { id: number, label, box, area } of objects) {
      const category_id = categories[label]?.id
      annotations.push({ id: number, image_id: id, category_id, bbox: box, area, iscrowd: 0 })
    }
  }
  writeFileSync(join(data, 'annotations.json'), JSON.stringify({ images, categories, annotations }))
  const run = (options: Partial<EvaluateOptions> = {}) =>
    evaluate({
      task: 'detection',
      dataset: 'folder',
      data,
      model,
      ...SMALL,
      ...options,
    }) as Promise<DetectionResult>
  const split = (name: string) => (novel.includes(name) ? ('novel' as const) : ('base' as const))
  const wanted = await averagePrecision({
    classes: categories.map(({ name }) => ({ name, words: [name], split: split(name) })),
    truths,
    detections,
  })
  const result = await run({ novel })
  t.ok((result.ap as number) > 0 && (result.ap50.all as number) <= 1)
  t.equal(result.ap, wanted.ap)
  t.strictSame(result.ap50, wanted.splits)
  t.match(result.settings, {
    method: 'fvit',
    values: { alpha: 0.1, beta: 0.8, preset: 'coco', maxDetections: 100, kind: 'bbox' },
  })
  t.strictSame(
    result.settings.words?.map(([name]) => name),
    names,
  )

  // The same split from a file, and from the other side.
  writeFileSync(join(data, 'novel.txt'), `${novel.join('\n')}\n`)
  t.strictSame((await run()).ap50, result.ap50)
  const base = names.filter(name => !novel.includes(name))
  t.strictSame((await run({ base })).ap50, result.ap50)
  // The data set's names as words are found among the stored ones.
  t.strictSame((await run({ classes: categories.map(({ name }) => name) })).ap50, result.ap50)
  t.notSame((await run({ alpha: 0, beta: 0 })).ap50, result.ap50)

  await t.rejects(run({ novel: ['unicorn'] }), invalid)
  await t.rejects(run({ novel, base: novel }), invalid)
  await t.rejects(run({ minArea: 3 }), { ...invalid, message: /minArea must be left out/ })
  await t.rejects(run({ kind: 'segm' }), invalid)
  writeFileSync(join(data, 'novel.txt'), 'unicorn\n')
  await t.rejects(run(), { ...invalid, message: /novel.txt has 'unicorn'/ })
})
