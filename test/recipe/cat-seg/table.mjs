/** The page holds the table of what was measured. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { ROWS } from '../../../models/recipe/cat-seg/measure.mjs'
import { toTable, withTable } from '../../../models/recipe/cat-seg/table.mjs'

const read = path => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8')

t.test('a row for every way, in percent', t => {
  const row = {
    name: 'a',
    pictures: 2,
    seen: 0.5,
    unseen: null,
    words: 0.5,
    background: 1,
    all: 0.75,
  }
  t.match(toTable({ rows: [row] }), '| a | 50.0 | – | 50.0 | 100.0 | 75.0 | 2 |')
  const page = 'a <!-- small cat-seg:begin -->\nold\n<!-- small cat-seg:end --> b'
  t.equal(
    withTable(page, 'new'),
    'a <!-- small cat-seg:begin -->\nnew\n<!-- small cat-seg:end --> b',
  )
  t.throws(() => withTable('no markers', ''), /small cat-seg:begin/)
  t.end()
})

t.test('the page holds the table of figures.json, whose rows measure.mjs makes', t => {
  const page = read('docs/bundled-model.md')
  const figures = JSON.parse(read('models/recipe/cat-seg/figures.json'))
  t.equal(withTable(page, toTable(figures)), page)
  const names = ROWS.map(({ name }) => name)
  for (const { name } of figures.rows) t.ok(names.includes(name), name)
  t.end()
})
