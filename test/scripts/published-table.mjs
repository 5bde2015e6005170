import t from 'tap'
import { METHODS } from '../../dist/index.mjs'
import { publishedTable, tableInGuide } from '../../scripts/make/published-table.mjs'

t.test('the guide has a command for every published figure of segmentation', t => {
  t.equal(tableInGuide(), publishedTable(METHODS), 'node scripts/make/published-table.mjs')
  t.end()
})
