/**
 * Another vocabulary on a picture that is encoded already, against the whole segmentation.
 *
 * { model, method, options, width, height, classes, repeat, wholeRepeat, atMost }
 * atMost  goal, if any: share of the whole segmentation's time
 */
import { segment } from '../../dist/index.mjs'
import { photoOfSize, WORDS171 } from '../inputs.mjs'
import { check, statistics, time } from '../measure.mjs'

export async function run(benchCase, { load }) {
  const { method, options, width, height, classes, repeat, wholeRepeat = 3, atMost } = benchCase
  const model = await load()
  const photo = await photoOfSize(width, height)
  const vocabulary = await model.vocabulary(WORDS171.slice(0, classes), { templates: 'subset' })
  const view = await model.encode(photo, { ...options, method })
  const whole = { ...options, method, model }

  const expected = await segment(photo, vocabulary, whole)
  const got = await view.segment(vocabulary, options)
  const [a, b] = [await expected.labels.data(), await got.labels.data()]
  const different = a.filter((label, i) => label !== b[i]).length
  expected.dispose()
  got.dispose()
  check(different === 0, `${different} pixels of the view differ from segment()'s`)

  const requery = await time(async () => (await view.segment(vocabulary, options)).dispose(), {
    repeat,
  })
  const full = await time(async () => (await segment(photo, vocabulary, whole)).dispose(), {
    warmUp: 0,
    repeat: Math.min(repeat, wholeRepeat),
  })
  const [ours, theirs] = [requery, full].map(samples => statistics(samples).median)
  return {
    rows: [
      { what: 'view.segment', samples: requery },
      { what: 'segment', samples: full },
    ],
    notes: {
      'view.segment / segment': ours / theirs,
      windows: view.windows,
    },
    goals: atMost && [
      {
        work: `${classes} new words on an encoded ${height} x ${width} picture, ${method}`,
        measure: 'time',
        program: 'view.segment',
        against: 'segment',
        unit: 'ms',
        ours,
        theirs,
        ratio: ours / theirs,
        atMost,
      },
    ],
  }
}
