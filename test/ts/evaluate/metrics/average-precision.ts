import t from 'tap'
import { averagePrecision } from '../../../../ts/evaluate/metrics/average-precision.js'
import { DetectionCounts } from '../../../../ts/evaluate/metrics/detection.js'

const classes = [{ name: 'cat', words: ['cat'] }]
const truth = {
  width: 40,
  height: 30,
  objects: [{ id: 1, label: 0, box: [0, 0, 10, 10] as const, area: 100, crowd: false }],
}
const detections = [{ label: 0, box: [1, 0, 10, 10] as const, score: 0.5 }]

t.test('the scores of the pictures of two maps', async t => {
  const truths = new Map([
    ['7', truth],
    ['3', truth],
  ])
  const scores = await averagePrecision({
    classes,
    truths,
    detections: new Map([['3', detections]]),
  })
  const counts = new DetectionCounts({ classes })
  counts.add({ id: '7', truth, detections: [] }).add({ id: '3', truth, detections })
  t.same(scores, await counts.scores())
  t.equal(scores.ap50?.toFixed(12), (51 / 101).toFixed(12))
  t.equal(scores.ar?.toFixed(12), '0.350000000000')
})

t.test('what does not go together is refused', async t => {
  const truths = new Map([['3', truth]])
  const refused = (options: object, message: RegExp) =>
    t.rejects(averagePrecision({ classes, truths, detections: new Map(), ...options } as never), {
      code: 'ERR_DECLIP_INVALID_ARG',
      message,
    })
  await refused({ detections: new Map([['4', detections]]) }, /picture '4', which truths has not/)
  await refused({ truths: {} }, /truths must be a Map/)
  await refused({ detections: [] }, /detections must be a Map/)
  await refused({ kind: 'points' }, /kind/)
  await refused({ signal: 1 }, /signal/)
  const stopped = averagePrecision({
    classes,
    truths,
    detections: new Map(),
    signal: AbortSignal.abort(),
  })
  await t.rejects(stopped, { code: 'ERR_DECLIP_ABORTED' })
})
