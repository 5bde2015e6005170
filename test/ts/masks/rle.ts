import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import type { LabelMap } from '../../../ts/image/label-map.js'
import { toRunLists } from '../../../ts/masks/rle.js'
import { compressRle, encodeRle } from '../../support/label-shapes.js'
import { withLabels } from '../../support/native-labels.js'

const PYCOCOTOOLS: readonly [number[], string][] = [
  [[6], '6'],
  [[0, 6], '06'],
  [[0, 2, 1, 1, 2], '021O1'],
  [[15, 16, 31, 32, 1, 1000, 3, 999999], '?`0o0`0ROXn02gb_n0'],
  [[100000, 7, 1, 40, 523, 12, 523, 40, 1, 70000], 'PeQ371Q1Z`0TO0l0f_OXZT2'],
]

const labelMaps = fc
  .record({ width: fc.integer({ min: 1, max: 9 }), height: fc.integer({ min: 1, max: 9 }) })
  .chain(({ width, height }) =>
    fc
      .uint8Array({ minLength: width * height, maxLength: width * height, max: 3 })
      .map((data): LabelMap => ({ data, width, height })),
  )

/** Paints the runs back, down the columns. */
function decode(counts: readonly number[], width: number, height: number): boolean[] {
  const columns = counts.flatMap((count, i) => new Array<boolean>(count).fill(i % 2 === 1))
  return Array.from(
    { length: width * height },
    (_, i) => columns[(i % width) * height + Math.floor(i / width)] as boolean,
  )
}

/** rleFrString() of cocoapi's common/maskApi.c, from its description. */
function decompress(text: string): number[] {
  const counts: number[] = []
  for (let at = 0; at < text.length; ) {
    let value = 0
    let group = 0
    let code = 0
    do {
      code = text.charCodeAt(at++) - 48
      value |= (code & 31) << (5 * group++)
    } while (code & 32)
    if (code & 16) value |= -1 << (5 * group)
    counts.push(counts.length > 2 ? value + (counts[counts.length - 2] as number) : value)
  }
  return counts
}

const runsOf = (labels: LabelMap, classes: number) =>
  withLabels(labels, classes, async (addon, native) => toRunLists(await addon.labelRuns(native)))
const stringsOf = (labels: LabelMap, classes: number) =>
  withLabels(labels, classes, (addon, native) => addon.labelStrings(native))

t.test('runs go down the columns, outside first', async t => {
  const labels = { data: Uint8Array.of(1, 0, 0, 1, 1, 2), width: 3, height: 2 }
  t.same(await runsOf(labels, 4), [[2, 1, 1, 1, 1], [0, 2, 1, 1, 2], [5, 1], [6]])
})

t.test('painting the runs gives the mask of every class again', async t => {
  const property = fc.assert(
    fc.asyncProperty(labelMaps, async labels => {
      const counts = await runsOf(labels, 5)
      return counts.every((runs, label) => {
        const mask = Array.from(labels.data, value => value === label)
        const painted = decode(runs, labels.width, labels.height)
        return isDeepStrictEqual(painted, mask) && runs.slice(1).every(run => run > 0)
      })
    }),
  )
  await t.resolves(property)
})

t.test('runs and strings equal the reference, of one byte and of two', async t => {
  const property = fc.assert(
    fc.asyncProperty(labelMaps, fc.boolean(), async (map, wide) => {
      const labels = wide ? { ...map, data: Uint16Array.from(map.data, value => 300 * value) } : map
      const classes = wide ? 601 : 3 // the highest label is in no mask
      const expected = encodeRle(labels, classes)
      return (
        isDeepStrictEqual(await runsOf(labels, classes), expected) &&
        isDeepStrictEqual(await stringsOf(labels, classes), expected.map(compressRle))
      )
    }),
  )
  await t.resolves(property)
})

t.test('the compressed string is what pycocotools writes', async t => {
  // pycocotools 2.0.11: mask.frPyObjects({'size': [h, w], 'counts': counts}, h, w)['counts']
  for (const [counts, text] of PYCOCOTOOLS) {
    const height = counts.reduce((a, b) => a + b, 0)
    const data = Uint8Array.from(counts.flatMap((n, i) => new Array<number>(n).fill(i % 2)))
    t.equal((await stringsOf({ data, width: 1, height }, 2))[1], text)
    t.same(decompress(text), counts)
  }
})
