import t from 'tap'
import { components } from '../../../models/recipe/measure/regions-without-model.mjs'

t.test('areas of one value that touch are one region, corners do not touch', async t => {
  const values = [...[5, 5, 7, 5], ...[7, 5, 7, 5], ...[5, 7, 7, 7]]
  const map = [...[1, 1, 2, 3], ...[4, 1, 2, 3], ...[5, 2, 2, 2]]
  t.strictSame([...components(values, 4, 3)], map)
})

t.test('small areas are not segmented', async t => {
  t.strictSame([...components([1, 1, 2, 3, 3, 3], 3, 2, 2)], [1, 1, 0, 2, 2, 2])
})
