/** The tables of docs/bundled-model.md are those of the figures that were measured. */
import { existsSync, readFileSync } from 'node:fs'
import t from 'tap'
import { tables, withTables } from '../../../models/recipe/measure/table.mjs'

const file = path => new URL(`../../../${path}`, import.meta.url)

t.test('a row per model, a column per mode, a figure per seed', async t => {
  const row = (model, set, mode, mIoU, maskTop1) => ({
    model,
    set: `test/${set}`,
    mode,
    pipeline: 'plain',
    scenes: { scene: { mIoU }, all: { mIoU: mIoU / 2 } },
    regions: { maskTop1 },
  })
  const text = tables([
    row('base', 'grid-1', 'vanilla', 0.25, 0.5),
    row('base', 'grid-2', 'vanilla', 0.125, null),
    row('base', 'grid-1', 'qq', 0.5, 0.75),
    row('base', 'grid-2', 'qq', 0.5, 0.75),
  ])
  t.match(
    text,
    '| model | vanilla | qq |\n| --- | --- | --- |\n| base | 0.250 / 0.125 | 0.500 / 0.500 |',
  )
  t.match(text, '| base | 0.500 / – | 0.750 / 0.750 |')
  t.notMatch(text, 'eight')
  const seeds = ['base', 'region', 'base-2'].map(name => row(name, 'grid-1', 'qq', 0.5, 0.5))
  t.match(tables(seeds), /\| base \|.*\n\| base-2 \|.*\n\| region \|/)
  t.throws(() => withTables('no markers', text), /figures:begin/)
})

t.test(
  'the page holds them',
  { skip: !existsSync(file('models/recipe/measure/figures.json')) },
  async t => {
    const figures = JSON.parse(readFileSync(file('models/recipe/measure/figures.json'), 'utf8'))
    const page = readFileSync(file('docs/bundled-model.md'), 'utf8')
    t.equal(withTables(page, tables(figures)), page)
  },
)
