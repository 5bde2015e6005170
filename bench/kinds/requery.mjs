/**
 * Another vocabulary on a picture that is encoded already, against the whole segmentation.
 *
 * { model, method, options, width, height, classes, repeat }
 */
import { segment } from '../../dist/esm/index.js'
import { photoOfSize, WORDS171 } from '../inputs.mjs'
import { check, statistics, time } from '../measure.mjs'

export async function run(benchCase, { load }) {
  const { method, options, width, height, classes, repeat } = benchCase
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
    repeat: Math.min(repeat, 3),
  })
  return {
    rows: [
      { what: 'view.segment', samples: requery },
      { what: 'segment', samples: full },
    ],
    notes: {
      'view.segment / segment': statistics(requery).median / statistics(full).median,
      windows: view.windows,
    },
  }
}
