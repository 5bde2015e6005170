import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import type { LabelMap } from '../../../ts/image/label-map.js'
import { type Polygon, type Ring, toPolygonLists } from '../../../ts/masks/polygons.js'
import * as reference from '../../support/label-shapes.js'
import { withLabels } from '../../support/native-labels.js'

const tracePolygons = (labels: LabelMap, classes: number, tolerance: number) =>
  withLabels(labels, classes, async (addon, native) =>
    toPolygonLists(await addon.labelPolygons({ ...native, tolerance })),
  )

function map(...rows: string[]): LabelMap {
  return {
    data: Uint8Array.from(rows.join(''), Number),
    width: rows[0]?.length ?? 0,
    height: rows.length,
  }
}

/** Even-odd rule at the pixel's centre. */
function covers(rings: readonly Ring[], px: number, py: number): boolean {
  let crossings = 0
  for (const ring of rings) {
    ring.forEach(([ax, ay], i) => {
      const [bx, by] = ring[(i + 1) % ring.length] ?? [0, 0]
      if (ay > py !== by > py && px < ax + ((py - ay) / (by - ay)) * (bx - ax)) crossings++
    })
  }
  return crossings % 2 === 1
}

/** Twice the area, positive for clockwise on the screen. */
function area(ring: Ring): number {
  return ring.reduce((sum, [ax, ay], i) => {
    const [bx, by] = ring[(i + 1) % ring.length] ?? [0, 0]
    return sum + ax * by - bx * ay
  }, 0)
}

function ringsOf({ outer, holes }: Polygon): Ring[] {
  return [outer, ...holes]
}

t.test('a rectangle has four corners, clockwise', async t => {
  const [, polygons] = await tracePolygons(map('0000', '0110', '0110'), 2, 0)
  t.same(polygons, [
    {
      outer: [
        [3, 1],
        [3, 3],
        [1, 3],
        [1, 1],
      ],
      holes: [],
    },
  ])
})

t.test('holes belong to the region around them', async t => {
  const rows = ['1111111', '1000001', '1011101', '1010101', '1011101', '1000001', '1111111']
  const [zeros, ones, none] = await tracePolygons(map(...rows), 3, 0)
  t.same(
    zeros?.map(p => [p.outer.length, p.holes.length]),
    [
      [4, 1],
      [4, 0],
    ],
  )
  t.same(
    ones?.map(p => [p.outer.length, p.holes.length]),
    [
      [4, 1],
      [4, 1],
    ],
  )
  t.same(none, [])
  t.ok(ones?.every(p => area(p.outer) > 0 && p.holes.every(hole => area(hole) < 0)))
})

t.test('regions that touch at a corner stay apart', async t => {
  const [zeros, ones] = await tracePolygons(map('10', '01'), 2, 0)
  t.same([zeros?.length, ones?.length], [2, 2])
  const [, ring] = await tracePolygons(map('011', '101', '111'), 2, 0)
  t.same(
    ring?.map(p => p.holes.length),
    [1],
  )
  const [hole] = await tracePolygons(map('0000', '0100', '0010', '0000'), 2, 0)
  t.same(
    hole?.map(p => p.holes.length),
    [2],
  )
})

const labelMaps = fc
  .record({ width: fc.integer({ min: 1, max: 12 }), height: fc.integer({ min: 1, max: 12 }) })
  .chain(({ width, height }) =>
    fc
      .uint8Array({ minLength: width * height, maxLength: width * height, max: 2 })
      .map((data): LabelMap => ({ data, width, height })),
  )

t.test('filling the polygons gives the labels again, and no ring touches itself', async t => {
  const property = fc.assert(
    fc.asyncProperty(labelMaps, async labels => {
      const classes = await tracePolygons(labels, 3, 0)
      const rings = classes.flat().flatMap(ringsOf)
      const total = rings.reduce((sum, ring) => sum + area(ring) / 2, 0)
      const simple = rings.every(ring => new Set(ring.map(String)).size === ring.length)
      const filled = labels.data.every((label, i) => {
        const [x, y] = [(i % labels.width) + 0.5, Math.floor(i / labels.width) + 0.5]
        const hits = classes.map(list => list.filter(p => covers(ringsOf(p), x, y)).length)
        return hits.every((count, k) => count === Number(k === label))
      })
      return filled && simple && total === labels.data.length
    }),
  )
  await t.resolves(property)
})

t.test('a tolerance drops points and stays near the outline', async t => {
  const side = 60
  const disc = Uint8Array.from({ length: side * side }, (_, i) =>
    Number(Math.hypot((i % side) - 29.5, Math.floor(i / side) - 29.5) < 25),
  )
  const labels = { data: disc, width: side, height: side }
  const exact = (await tracePolygons(labels, 2, 0))[1]?.[0]?.outer ?? []
  const loose = (await tracePolygons(labels, 2, 1))[1]?.[0]?.outer ?? []
  t.ok(loose.length < exact.length / 2, `${loose.length} of ${exact.length} points`)
  for (const [x, y] of loose) t.ok(Math.abs(Math.hypot(x - 30, y - 30) - 25) < 1)
  t.ok(Math.abs(area(loose) - area(exact)) < 0.05 * area(exact))
  t.same(await tracePolygons(map('010'), 2, 9), [[], []], 'what shrinks to a line is left out')
})

t.test('rings and their order equal the reference, whatever the tolerance', async t => {
  const tolerances = fc.oneof(
    fc.constantFrom(0, 0.5, 1, Math.SQRT1_2, 2),
    fc.double({ min: 0, max: 3, noNaN: true }),
  )
  const property = fc.assert(
    fc.asyncProperty(
      labelMaps,
      tolerances,
      fc.integer({ min: 1, max: 4 }),
      async (map, tolerance, scale) => {
        // Larger pixels have longer sides to simplify.
        const [width, height] = [scale * map.width, scale * map.height]
        const data = Uint8Array.from({ length: width * height }, (_, i) => {
          const [x, y] = [Math.floor((i % width) / scale), Math.floor(i / width / scale)]
          return map.data[y * map.width + x] as number
        })
        const labels = { data, width, height }
        const expected = reference.tracePolygons(labels, 2, tolerance)
        return isDeepStrictEqual(await tracePolygons(labels, 2, tolerance), expected)
      },
    ),
    { numRuns: 300 },
  )
  await t.resolves(property)
})

t.test('a noisy picture of curves, simplified, equals the reference', async t => {
  const [width, height] = [211, 173]
  const data = Uint8Array.from({ length: width * height }, (_, i) => {
    const [x, y] = [i % width, Math.floor(i / width)]
    const wave = Math.sin(x / 9) + Math.cos(y / 13) + Math.sin((x + 2 * y) / 31)
    return wave > 0.9 ? 2 : Number(wave > 0) ^ Number((x * 7919 + y * 104729) % 97 === 0)
  })
  const labels = { data, width, height }
  for (const tolerance of [0, 1, 2.5]) {
    t.strictSame(
      await tracePolygons(labels, 3, tolerance),
      reference.tracePolygons(labels, 3, tolerance),
    )
  }
})
