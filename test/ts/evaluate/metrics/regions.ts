import { Float16Array } from '@petamoriken/float16'
import fc from 'fast-check'
import t from 'tap'
import {
  type RankedRegion,
  RegionCounts,
  type RegionSource,
  toFloat16,
} from '../../../../ts/evaluate/metrics/regions.js'

const CLASSES = 7
const POOLS = ['boxes', 'masks', 'crops'] as const

const rank = fc.integer({ min: -1, max: 6 })
const regions = fc.array(
  fc.record({
    label: fc.integer({ min: 0, max: CLASSES - 1 }),
    thing: fc.boolean(),
    ranks: fc.record({ boxes: rank, masks: rank, crops: rank }, { requiredKeys: ['boxes'] }),
  }),
  { maxLength: 60 },
)

/**
 * The mean over classes between the smallest and the largest label, as CLIPSelf describes it: a list of hits for every
 * class, its mean (float32, then float16 if `half`), and the mean of those means.
 */
function plainAccuracy(
  all: readonly RankedRegion[],
  pool: RegionSource,
  thing: boolean,
  first: number,
  half: boolean,
): number | null {
  const own = all.filter(region => region.thing === thing && region.ranks[pool] !== undefined)
  if (own.length === 0) return null
  const labels = own.map(({ label }) => label)
  const means: number[] = []
  for (let label = Math.min(...labels); label <= Math.max(...labels); label++) {
    const hits = own
      .filter(region => region.label === label)
      .map(({ ranks }) => {
        const place = ranks[pool] as number
        return place >= 0 && place < first ? 1 : 0
      })
    if (hits.length === 0) continue
    const mean = hits.reduce((a: number, b) => a + b, 0) / hits.length
    means.push(half ? (new Float16Array([Math.fround(mean)])[0] as number) : mean)
  }
  return means.reduce((a, b) => a + b, 0) / means.length
}

t.test('the mean accuracy over classes, of any regions in any parts', async t => {
  const property = fc.property(
    regions,
    fc.integer({ min: 0, max: 60 }),
    fc.boolean(),
    (all, cut, half) => {
      const once = new RegionCounts(CLASSES).add(all)
      const parts = [all.slice(cut), all.slice(0, cut)].map(part =>
        new RegionCounts(CLASSES).add(part),
      )
      const merged = (parts[0] as RegionCounts).merge(parts[1] as RegionCounts)
      const scores = once.scores({ float16: half })
      t.same(merged.scores({ float16: half }), scores)
      for (const pool of POOLS) {
        for (const kind of ['thing', 'stuff'] as const) {
          const { macc1, macc5, regions: count } = scores[pool][kind]
          const plain = (first: number) => plainAccuracy(all, pool, kind === 'thing', first, half)
          t.equal(macc1, plain(1))
          t.equal(macc5, plain(5))
          const own = all.filter(r => r.thing === (kind === 'thing') && r.ranks[pool] !== undefined)
          t.equal(count, own.length)
        }
      }
    },
  )
  fc.assert(property, { numRuns: 100 })
})

t.test('float16 changes a mean as the reference does', async t => {
  const hits = (n: number) => Array.from({ length: 3 }, (_, i) => (i < n ? 0 : -1))
  const counts = new RegionCounts(2).add(
    hits(1).map(place => ({ label: 1, thing: true, ranks: { boxes: place } })),
  )
  t.equal(counts.scores().boxes.thing.macc1, 1 / 3)
  t.equal(counts.scores({ float16: true }).boxes.thing.macc1, 0.333251953125)
})

t.test("rounding to float16 is IEEE's", async t => {
  const check = (value: number) =>
    t.equal(toFloat16(value), new Float16Array([value])[0], String(value))
  for (const value of [
    0,
    1,
    0.5,
    2 ** -14,
    2 ** -15,
    2 ** -24,
    2 ** -25,
    3 * 2 ** -26,
    1 - 2 ** -12,
  ]) {
    check(value)
  }
  for (let regions = 1; regions < 60; regions++) {
    for (let right = 0; right <= regions; right++) check(Math.fround(right / regions))
  }
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1, noNaN: true }), value => check(Math.fround(value))),
  )
})

t.test('classes', async t => {
  const counts = new RegionCounts(3).add([
    { label: 0, thing: true, ranks: { boxes: 0, masks: 3 } },
    { label: 0, thing: true, ranks: { boxes: -1, masks: 0 } },
  ])
  const { perClass } = counts.scores()
  t.same(perClass[0], {
    boxes: { acc1: 0.5, acc5: 0.5, regions: 2 },
    masks: { acc1: 0.5, acc5: 1, regions: 2 },
    crops: { acc1: null, acc5: null, regions: 0 },
  })
  t.equal(perClass[2]?.boxes.acc1, null)
})

t.test('what is no region is refused and changes nothing', async t => {
  const counts = new RegionCounts(2)
  const good = { label: 1, thing: true, ranks: { boxes: 0 } }
  for (const bad of [
    { ...good, label: 2 },
    { ...good, label: -1 },
    { ...good, label: 0.5 },
    { ...good, thing: 1 as unknown as boolean },
    { ...good, ranks: { boxes: -2 } },
    { ...good, ranks: { masks: Number.NaN } },
  ]) {
    t.throws(() => counts.add([good, bad]), { code: 'ERR_DECLIP_INVALID_ARG' })
  }
  t.equal(counts.scores().boxes.thing.regions, 0)
  t.throws(() => counts.merge(new RegionCounts(3)), { code: 'ERR_DECLIP_INVALID_ARG' })
  t.throws(() => new RegionCounts(0), { code: 'ERR_DECLIP_INVALID_ARG' })
})
