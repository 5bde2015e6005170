import t from 'tap'
import { DETECTION_ROWS, publishedFor, REGION_ROWS } from '../../../ts/evaluate/published.js'
import type { EvaluationSettings } from '../../../ts/evaluate/result.js'

const settings = (given: object) =>
  ({ task: 'semantic', dataset: 'voc21', method: null, values: {}, ...given }) as EvaluationSettings

t.test("a method's figures for a data set", t => {
  t.match(publishedFor(settings({ method: 'naclip' })), [
    { figure: 'miou', value: 0.6407, backbone: 'CLIP ViT-B/16', mark: 'R', method: 'naclip' },
  ])
  t.strictSame(publishedFor(settings({})), [])
  t.strictSame(publishedFor(settings({ method: 'naclip', dataset: 'folder' })), [])
  t.end()
})

t.test('regions by the training and the size of the picture', t => {
  const regions = (denseMode: string | null, size: number) =>
    publishedFor(
      settings({
        task: 'regions',
        dataset: 'coco-panoptic',
        model: { denseMode },
        values: { size },
      }),
    )
  t.match(regions('maskclip', 1024), [{ figure: 'boxes.thing.macc1', value: 0.721, mark: 'M' }])
  t.equal(regions('qq', 560).find(({ source }) => /weight 0\.1/.test(source))?.value, 0.724)
  t.ok(regions('csa', 1024).every(({ mark, method }) => mark === 'P' && method === 'declip'))
  t.match(regions(null, 1024), [{ method: 'unrefined' }])
  t.strictSame(regions('qq', 700), [])
  t.end()
})

t.test('detectors', t => {
  const found = publishedFor(settings({ task: 'detection', dataset: 'coco-ov' }))
  const row = found.filter(
    ({ method, backbone }) => /F-ViT, DeCLIP/.test(method) && /B/.test(backbone),
  )
  t.strictSame(
    row.map(({ figure, value }) => [figure, value]),
    [
      ['ap50.novel', 0.411],
      ['ap50.base', 0.578],
      ['ap50.all', 0.535],
    ],
  )
  t.ok(found.every(({ mark }) => 'PRM'.includes(mark)))
  t.match(publishedFor(settings({ task: 'detection', dataset: 'lvis' })), [{ figure: 'rare' }])
  t.strictSame(publishedFor(settings({ task: 'detection', dataset: 'folder' })), [])
  t.end()
})

t.test('all are shares', t => {
  const rows = [...REGION_ROWS, ...Object.values(DETECTION_ROWS).flat()]
  for (const { figures } of rows) {
    for (const percent of Object.values(figures)) t.ok(percent > 5 && percent < 95, `${percent}`)
  }
  t.end()
})
