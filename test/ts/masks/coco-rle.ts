import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { toMeasuredRles } from '../../../ts/masks/coco-rle.js'
import type { MaskShape } from '../../../ts/masks/pack-shapes.js'
import { encodeRle } from '../../support/label-shapes.js'
import { seededPolygons } from '../../support/seeded-polygons.js'

interface Fixture {
  readonly seed: number
  readonly cases: number
  readonly sha256: string
  readonly first: readonly string[]
}

t.test('polygons are filled as pycocotools fills them', async t => {
  const path = join(import.meta.dirname, '../../fixtures/polygon-masks.json')
  const { seed, cases, sha256, first } = JSON.parse(await readFile(path, 'utf8')) as Fixture
  const shapes = seededPolygons(seed, cases).map((item, i) => ({ ...item, name: `case ${i}` }))
  const rles = await toMeasuredRles(shapes, {})
  t.same(
    rles.slice(0, first.length).map(({ rle }) => rle.counts),
    first,
  )
  const digest = createHash('sha256')
  for (const [i, { width, height }] of shapes.entries()) {
    digest.update(`${width} ${height} ${rles[i]?.rle.counts}\n`)
  }
  t.equal(digest.digest('hex'), sha256)
})

t.test('run lengths come in both forms and out as strings with area and box', async t => {
  const data = Uint8Array.of(0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0)
  const [, counts = []] = encodeRle({ data, width: 4, height: 3 }, 2)
  const list = { size: [3, 4] as const, counts }
  const named = (shape: MaskShape) => ({ shape, width: 4, height: 3, name: 'mask' })
  const [fromList, padded] = await toMeasuredRles(
    [named(list), named({ ...list, counts: [counts[0] as number, 0, 0, ...counts.slice(1)] })],
    {},
  )
  t.equal(fromList?.area, 3)
  t.same(fromList?.box, [1, 0, 3, 2])
  const [again] = await toMeasuredRles([named(fromList?.rle as MaskShape)], {})
  t.same(again, fromList)
  t.same(padded, fromList, 'empty runs change nothing')
  const [nothing] = await toMeasuredRles([named([])], {})
  t.same(nothing?.box, [0, 0, 0, 0])
})

t.test('pictures of different sizes go in one call, and an error names its shape', async t => {
  const square = [[0, 0, 2, 0, 2, 2, 0, 2]]
  const shapes = [
    { shape: square, width: 5, height: 2, name: 'a' },
    { shape: square, width: 1, height: 9, name: 'b' },
  ]
  const [a, b] = await toMeasuredRles(shapes, {})
  t.same([a?.rle.size, a?.area, b?.rle.size, b?.area], [[2, 5], 4, [9, 1], 2])
  const bad = (shape: unknown) =>
    toMeasuredRles(
      [...shapes, { ...shapes[0], name: 'set.json: annotation 7', shape } as never],
      {},
    )
  const code = { code: 'ERR_DECLIP_INVALID_ARG' }
  await t.rejects(bad({ size: [2, 5], counts: [1, 2] }), {
    ...code,
    message: /^set\.json: annotation 7: .*sum up to 10, received 3/,
  })
  await t.rejects(bad({ size: [2, 5], counts: '~~' }), {
    ...code,
    message: /^set\.json: annotation 7: /,
  })
  await t.rejects(bad({ size: [5, 2], counts: [10] }), {
    ...code,
    message: /annotation 7: size must/,
  })
  await t.rejects(bad({ size: [2, 5], counts: [-1, 11] }), {
    ...code,
    message: /annotation 7: counts\[0\]/,
  })
  await t.rejects(bad([[0, 0, 1, 1, 2]]), { ...code, message: /annotation 7\[0\] must be pairs/ })
  await t.rejects(bad([[0, 0, 1, 1]]), {
    ...code,
    message: /annotation 7\[0\] must be three points/,
  })
  await t.rejects(bad([[0, 0, 1, 1, Number.NaN, 2]]), {
    ...code,
    message: /annotation 7\[0\] .*NaN/,
  })
  await t.rejects(bad([[0, 0, 1, 1, 1e12, 2]]), {
    ...code,
    message: /annotation 7\[0\] must be numbers/,
  })
  await t.rejects(bad('file.png'), { ...code, message: /annotation 7 must be run lengths/ })
  await t.rejects(bad(null), code)
  const signal = AbortSignal.abort()
  await t.rejects(toMeasuredRles(shapes, { signal }), { code: 'ERR_DECLIP_ABORTED' })
})
