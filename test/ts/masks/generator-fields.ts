import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packageRoot } from '../../../ts/base/package-files.js'
import { MASK_PRESETS } from '../../../ts/index.js'
import {
  GENERATOR_FIELDS,
  generatorSettings,
  pointsOfLayer,
} from '../../../ts/masks/generator-fields.js'
import { comment, commentsOf, rows } from '../../support/fields.js'

t.test("what is left out is SAM's own", async t => {
  const settings = generatorSettings({})
  t.match(settings, {
    pointsPerSide: 32,
    pointsPerBatch: 64,
    predIouThreshold: 0.88,
    stabilityThreshold: 0.95,
    stabilityOffset: 1,
    boxNmsThreshold: 0.7,
    cropLayers: 0,
    cropNmsThreshold: 0.7,
    cropOverlap: 512 / 1500,
    cropPointsDownscale: 1,
    minRegionArea: 0,
    multimask: true,
  })
  t.equal(settings.points, undefined)
})

t.test('a preset stands behind what is given', async t => {
  t.match(generatorSettings({ preset: 'corrclip-8' }), MASK_PRESETS['corrclip-8'])
  const own = generatorSettings({ preset: 'corrclip-8', stabilityThreshold: 0, multimask: true })
  t.match(own, { pointsPerSide: 8, predIouThreshold: 0.4, stabilityThreshold: 0, multimask: true })
  t.match(generatorSettings({ preset: 'corrclip' }), { predIouThreshold: 0.7, pointsPerSide: 32 })
  t.throws(() => generatorSettings({ preset: 'other' as 'sam' }), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /preset must be one of sam, corrclip, corrclip-8/,
  })
})

t.test('layers have fewer points, rounded down, and at least one', async t => {
  const settings = generatorSettings({ pointsPerSide: 10, cropLayers: 2, cropPointsDownscale: 3 })
  t.same(
    [0, 1, 2].map(layer => pointsOfLayer(settings, layer)),
    [10, 3, 1],
  )
  t.throws(() => generatorSettings({ pointsPerSide: 8, cropLayers: 2, cropPointsDownscale: 3 }), {
    message: /leaves no point/,
  })
})

t.test('points of your own take the place of grids', async t => {
  const points = [[[0.5, 0.5]], [[0, 1]]] as const
  t.same(generatorSettings({ points, cropLayers: 1 }).points, points)
  const refused = (options: object, message: RegExp) =>
    t.throws(() => generatorSettings(options), { code: 'ERR_DECLIP_INVALID_ARG', message })
  refused({ points }, /a list of 1 lists of points/)
  refused({ points, cropLayers: 1, pointsPerSide: 3 }, /one or the other/)
  refused({ points: [[[0.5, 1.5]]] }, /x and y from 0 to 1/)
  refused({ points: [[0.5, 0.5]] }, /points must be a list/)
})

t.test('options out of range are named', async t => {
  const wrong: readonly [string, unknown][] = [
    ['pointsPerSide', 0],
    ['pointsPerSide', 257],
    ['pointsPerBatch', 1.5],
    ['predIouThreshold', -0.1],
    ['stabilityThreshold', Number.NaN],
    ['stabilityOffset', -1],
    ['boxNmsThreshold', 1.1],
    ['cropLayers', 5],
    ['cropNmsThreshold', -1],
    ['cropOverlap', 1],
    ['cropPointsDownscale', 0],
    ['minRegionArea', -1],
    ['multimask', 3],
  ]
  for (const [name, value] of wrong) {
    t.throws(
      () => generatorSettings({ [name]: value }),
      { code: 'ERR_DECLIP_INVALID_ARG', message: new RegExp(`^${name} must be`) },
      name,
    )
  }
})

t.test("comments and the guide's table say what the fields say", async t => {
  const comments = commentsOf('ts/masks/generator-fields.ts', 'MaskGeneratorOptions')
  for (const [name, field] of Object.entries(GENERATOR_FIELDS)) {
    t.equal(comments[name], comment(field), name)
  }
  const guide = readFileSync(join(packageRoot, 'docs/guides/masks.md'), 'utf8').split('\n')
  for (const line of rows(GENERATOR_FIELDS)) t.ok(guide.includes(line), line)
})
