import t from 'tap'
import type {
  DatasetClass,
  DetectionTruth,
  TrueObject,
} from '../../../../ts/evaluate/datasets/dataset.js'
import {
  type AveragePrecisionScores,
  type DetectedPicture,
  DetectionCounts,
  type FoundObject,
} from '../../../../ts/evaluate/metrics/detection.js'
import type { Rle } from '../../../../ts/masks/rle.js'
import { random } from '../../../support/calls.js'
import { compressRle } from '../../../support/label-shapes.js'

// Equality with pycocotools is test/scripts/average-precision.mjs; here LVIS, splits, and what a call owes.

const classes: readonly DatasetClass[] = [
  { name: 'a', words: ['a'], frequency: 'r', split: 'novel' },
  { name: 'b', words: ['b'], frequency: 'c', split: 'base' },
  { name: 'c', words: ['c'], frequency: 'f', split: 'base' },
  { name: 'd', words: ['d'], frequency: 'f' },
  { name: 'e', words: ['e'], frequency: 'c', split: 'novel' },
]

type Box = readonly [number, number, number, number]

/** A set of pictures with few places, so that boxes meet and scores are equal. */
function pictures(seed: number): DetectedPicture[] {
  const next = random(seed)
  const whole = (n: number) => Math.floor(next() * n)
  const box = (): Box => [whole(4) * 10, whole(3) * 15, 10 + whole(8) * 15, 10 + whole(8) * 14]
  const labels = () => classes.map((_, label) => label).filter(() => next() < 0.3)
  return Array.from({ length: 1 + whole(4) }, (_, place) => {
    const objects = Array.from({ length: whole(6) }, (_, i): TrueObject => {
      const own = box()
      return { id: i + 1, label: whole(4), box: own, area: own[2] * own[3], crowd: false }
    })
    const detections = Array.from({ length: whole(14) }, (): FoundObject => {
      const near = objects[whole(objects.length)]
      return next() < 0.6 && near
        ? { label: near.label, box: near.box, score: whole(8) / 8 }
        : { label: whole(5), box: box(), score: whole(8) / 8 }
    })
    const present = new Set(objects.map(({ label }) => label))
    const truth: DetectionTruth = {
      width: 200,
      height: 150,
      objects,
      negative: labels().filter(label => !present.has(label)),
      notExhaustive: labels(),
    }
    return { id: `p${place}`, place, truth, detections }
  })
}

const share = ([ax, ay, aw, ah]: Box, [bx, by, bw, bh]: Box): number => {
  const w = Math.min(ax + aw, bx + bw) - Math.max(ax, bx)
  const h = Math.min(ay + ah, by + bh) - Math.max(ay, by)
  return w <= 0 || h <= 0 ? 0 : (w * h) / (aw * ah + bw * bh - w * h)
}

const AREAS = [
  [0, 1e10],
  [0, 32 ** 2],
  [32 ** 2, 96 ** 2],
  [96 ** 2, 1e10],
] as const

/**
 * AP and recall of one class at one threshold and area, plainly: LVIS's paper, section 3, and COCO's matching. The best
 * detections of a picture count. A class is measured in pictures that have it or are known not to; where not every
 * object of it is annotated, a detection without one is neither right nor wrong.
 */
function plain(
  set: readonly DetectedPicture[],
  label: number,
  threshold: number,
  area: readonly [number, number],
  most: number,
): { precision: number; recall: number } | null {
  const within = (size: number) => size >= area[0] && size <= area[1]
  let objects = 0
  const judged: { score: number; right: boolean }[] = []
  for (const { truth, detections } of set) {
    const own = truth.objects.filter(object => object.label === label)
    if (own.length === 0 && !truth.negative?.includes(label)) continue
    objects += own.filter(object => within(object.area)).length
    const free = new Set(own)
    const best = [...detections].sort((a, b) => b.score - a.score).slice(0, most)
    for (const found of best.filter(one => one.label === label)) {
      const choose = (counts: boolean) => {
        let chosen: TrueObject | undefined
        let overlap = threshold
        for (const object of own) {
          const iou = share(found.box, object.box)
          if (!free.has(object) || within(object.area) !== counts || iou < overlap) continue
          overlap = iou
          chosen = object
        }
        return chosen
      }
      const counted = choose(true)
      const object = counted ?? choose(false)
      if (object) free.delete(object)
      if (object && !counted) continue // what it found does not count, so it does not either
      const unknown = !within(found.box[2] * found.box[3]) || truth.notExhaustive?.includes(label)
      if (!object && unknown) continue
      judged.push({ score: found.score, right: object !== undefined })
    }
  }
  if (objects === 0) return null
  judged.sort((a, b) => b.score - a.score)
  const cuts = judged.map((_, i) => {
    const right = judged.slice(0, i + 1).filter(one => one.right).length
    return { recall: right / objects, precision: right / (i + 1) }
  })
  let sum = 0
  for (let r = 0; r <= 100; r++) {
    const reached = cuts.filter(({ recall }) => recall >= r / 100 - 1e-12)
    sum += Math.max(0, ...reached.map(({ precision }) => precision))
  }
  return { precision: sum / 101, recall: Math.max(0, ...cuts.map(({ recall }) => recall)) }
}

const THRESHOLDS = Array.from({ length: 10 }, (_, i) => 0.5 + i * 0.05)

const mean = (values: readonly (number | null)[]): number | null => {
  const there = values.filter(value => value !== null)
  return there.length === 0 ? null : there.reduce((a, b) => a + b, 0) / there.length
}

/** The figures of a class over some thresholds. */
function over(
  set: readonly DetectedPicture[],
  label: number,
  thresholds: readonly number[],
  area: readonly [number, number],
  most: number,
) {
  const each = thresholds.map(threshold => plain(set, label, threshold, area, most))
  return {
    precision: mean(each.map(one => one?.precision ?? null)),
    recall: mean(each.map(one => one?.recall ?? null)),
  }
}

function plainClass(set: readonly DetectedPicture[], label: number, most: number) {
  const [all, small, medium, large] = AREAS.map(area => over(set, label, THRESHOLDS, area, most))
  const at = (threshold: number) => over(set, label, [threshold], AREAS[0], most).precision
  return {
    ap: all?.precision ?? null,
    ap50: at(0.5),
    ap75: at(0.75),
    small: small?.precision ?? null,
    medium: medium?.precision ?? null,
    large: large?.precision ?? null,
    ar1: null,
    ar10: null,
    ar: all?.recall ?? null,
    arSmall: small?.recall ?? null,
    arMedium: medium?.recall ?? null,
    arLarge: large?.recall ?? null,
  }
}

function closeTo(
  t: { fail: (message: string) => unknown },
  actual: number | null,
  expected: number | null,
  what: string,
) {
  const same =
    actual === null || expected === null ? actual === expected : Math.abs(actual - expected) <= 1e-9
  if (!same) t.fail(`${what}: ${actual}, expected ${expected}`)
}

const counted = (set: readonly DetectedPicture[], more: object = {}) => {
  const counts = new DetectionCounts({ classes, ...more })
  for (const one of set) counts.add(one)
  return counts
}

t.test("LVIS's federated rules", async t => {
  let there = 0
  for (let seed = 0; seed < 150; seed++) {
    const set = pictures(seed)
    const most = seed % 3 === 0 ? 300 : 5
    const scores = await counted(set, {
      rule: 'lvis',
      ...(most === 300 ? {} : { maxDetections: most }),
    }).scores()
    const expected = classes.map((_, label) => plainClass(set, label, most))
    for (const [label, figures] of expected.entries()) {
      for (const [key, value] of Object.entries(figures) as [keyof typeof figures, number][]) {
        closeTo(t, scores.perClass[label]?.[key] as number | null, value, `${seed} ${label} ${key}`)
      }
    }
    for (const key of Object.keys(expected[0] as object) as (keyof (typeof expected)[0])[]) {
      closeTo(t, scores[key], mean(expected.map(one => one[key])), `${seed} ${key}`)
    }
    const group = (letter: string) =>
      mean(expected.map((one, k) => (classes[k]?.frequency === letter ? one.ap : null)))
    closeTo(t, scores.rare, group('r'), `${seed} rare`)
    closeTo(t, scores.common, group('c'), `${seed} common`)
    closeTo(t, scores.frequent, group('f'), `${seed} frequent`)
    if (scores.ap !== null && scores.ap > 0 && scores.ap < 1) there++
  }
  t.ok(there > 75, `${there} sets have an AP between 0 and 1`)
})

t.test('novel, base and all are means over the classes of a split', async t => {
  const set = Array.from({ length: 6 }, (_, i) => pictures(i)).flatMap((list, i) =>
    list.map(one => ({ ...one, id: `${i}-${one.id}`, place: 10 * i + (one.place ?? 0) })),
  )
  const scores = await counted(set).scores()
  const of = (split?: string) =>
    mean(
      scores.perClass.flatMap((one, k) =>
        split === undefined || classes[k]?.split === split ? [one.ap50] : [],
      ),
    )
  t.same(scores.splits, { novel: of('novel'), base: of('base'), all: of() })
  t.not(scores.splits.novel, scores.splits.base)
  const names = ['all', 'novel', 'base', 'rare', 'common', 'frequent']
  t.same(
    scores.curves.map(({ name }) => name),
    names,
  )
  const [all, novel] = scores.curves
  closeTo(t, mean(all?.precision as number[]), scores.ap50, 'the curve of all classes')
  closeTo(t, mean(novel?.precision as number[]), scores.splits.novel, 'the curve of the novel ones')
  t.same(
    all?.recall,
    Array.from({ length: 101 }, (_, i) => i / 100),
  )
})

t.test('whatever the order of adding, the same digits', async t => {
  const set = Array.from({ length: 30 }, (_, i) => pictures(50 + i)[0] as DetectedPicture).map(
    (one, place) => ({ ...one, id: String(place), place }),
  )
  const expected = await counted(set).scores()
  const orders: DetectedPicture[][] = [[...set].reverse(), [...set.slice(11), ...set.slice(0, 11)]]
  for (const order of orders) t.same(await counted(order).scores(), expected)
  const places = set.map((one, i) => ({ ...one, place: -i }))
  t.notSame(await counted(places).scores(), expected, 'of equal scores the first place goes first')
})

const SIZE = { width: 20, height: 10 }
const object: TrueObject = { id: 1, label: 0, box: [0, 0, 10, 5], area: 50, crowd: false }
const found: FoundObject = { label: 0, box: [0, 0, 10, 5], score: 0.5 }

t.test('nothing found, nothing there', async t => {
  const empty = await new DetectionCounts({ classes }).scores()
  t.match(empty, { ap: null, ar: null, rare: null, splits: { novel: null, base: null, all: null } })
  t.same(empty.curves, [])
  const missed = await counted([
    { id: 'a', truth: { ...SIZE, objects: [object] }, detections: [] },
  ]).scores()
  t.match(missed, { ap: 0, ar: 0, small: 0, large: null })
  t.match(missed.perClass[1], { ap: null })
  const perfect = await counted([
    { id: 'a', truth: { ...SIZE, objects: [object] }, detections: [found] },
  ]).scores()
  // COCOeval's precision is right / (right + wrong + 2^-52).
  closeTo(t, perfect.ap, 1, 'all found')
  t.match(perfect, { ar1: 1, splits: { base: null } })
  t.match(perfect.perClass[1], { ap: null, ar: null })
})

t.test('masks of both kinds of counts are the same masks', async t => {
  const counts = [0, 5, 5, 5, 185]
  const of = (mask: Rle) =>
    counted(
      [
        {
          id: 'a',
          truth: { ...SIZE, objects: [{ ...object, mask: { size: [10, 20], counts } }] },
          detections: [{ ...found, mask }],
        },
      ],
      { kind: 'segm' },
    ).scores()
  const scores = await of({ size: [10, 20], counts })
  closeTo(t, scores.ap, 1, 'the same mask')
  t.same(await of({ size: [10, 20], counts: compressRle(counts) }), scores)
})

t.test('what is no object is named, and nothing is added', async t => {
  const counts = new DetectionCounts({ classes })
  const add = (truth: object, detection: object = {}) =>
    counts.add({
      id: 'street 7',
      truth: { ...SIZE, objects: [object, { ...object, ...truth }] },
      detections: [found, { ...found, ...detection }],
    })
  const cases: [object, object, RegExp][] = [
    [{ label: 5 }, {}, /'street 7': truth\.objects\[1\]\.label must be .* 0 to 4, received 5/],
    [{ box: [0, 0, -1, 5] }, {}, /truth\.objects\[1\]\.box must be .*received '\[0,0,-1,5\]'/],
    [{ area: Number.NaN }, {}, /truth\.objects\[1\]\.area/],
    [{ crowd: 1 }, {}, /truth\.objects\[1\]\.crowd/],
    [{}, { score: Number.NaN }, /'street 7': detections\[1\]\.score must be a finite number/],
    [{}, { label: -1 }, /detections\[1\]\.label/],
    [{}, { label: 0.5 }, /detections\[1\]\.label/],
    [{}, { box: [0, Number.NaN, 1, 5] }, /detections\[1\]\.box/],
    [{}, { box: undefined }, /detections\[1\]\.box/],
  ]
  for (const [truth, detection, message] of cases) {
    t.throws(() => add(truth, detection), { code: 'ERR_DECLIP_INVALID_ARG', message })
  }
  t.equal(counts.pictures, 0)
  add({})
  t.throws(() => add({}), { code: 'ERR_DECLIP_INVALID_ARG', message: /added before/ })
  for (const rules of [
    { classes: [] },
    { kind: 'keypoints' },
    { rule: 'voc' },
    { maxDetections: 0 },
    { maxDetections: [10, 5, 100] },
    { maxDetections: [1, 10, 100], rule: 'lvis' },
  ]) {
    const make = () => new DetectionCounts({ classes, ...rules } as never)
    t.throws(make, { code: 'ERR_DECLIP_INVALID_ARG' }, JSON.stringify(rules))
  }
})

t.test('what is no mask of its picture is named', async t => {
  const counts = new DetectionCounts({ classes, kind: 'segm' })
  const whole = { size: [10, 20] as const, counts: [0, 200] }
  const add = (id: string, mask: object | undefined) =>
    counts.add({
      id,
      truth: { ...SIZE, objects: [{ ...object, mask: whole }] },
      detections: [
        { ...found, mask: whole },
        { ...found, mask: mask as never },
      ],
    })
  for (const [mask, message] of [
    [undefined, /detections\[1\]\.mask must be run lengths/],
    [{ size: [20, 10], counts: [0, 200] }, /10 x 20 .*received '20 x 10'/],
    [{ size: [10, 20], counts: [0, -1, 201] }, /mask\.counts/],
    [{ size: [10, 20], counts: undefined }, /mask\.counts/],
  ] as [object, RegExp][]) {
    t.throws(() => add('x', mask), { code: 'ERR_DECLIP_INVALID_ARG', message })
  }
  add('first', whole)
  add('the bad one', { size: [10, 20], counts: [0, 199] })
  await t.rejects(counts.scores(), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /Picture 'the bad one': detections\[1\]\.mask: .*10 x 20.*sum/,
  })
})

/** Enough to take a while. */
function many(): DetectionCounts {
  const counts = new DetectionCounts({ classes })
  const next = random(1)
  for (let i = 0; i < 1500; i++) {
    const box = (): Box => [next() * 100, next() * 100, next() * 50, next() * 50]
    counts.add({
      id: String(i),
      truth: { ...SIZE, objects: Array.from({ length: 20 }, () => ({ ...object, box: box() })) },
      detections: Array.from({ length: 100 }, () => ({ ...found, box: box(), score: next() })),
    })
  }
  return counts
}

t.test('progress is told, the event loop turns, a signal stops it', async t => {
  const counts = many()
  const steps: number[] = []
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  const scores = await counts.scores({
    onProgress: ({ step, done, total }) => {
      t.equal(step, 'measure')
      steps.push(done / total)
    },
  })
  clearInterval(timer)
  t.ok((scores.ap as number) > 0)
  t.equal(steps.at(-1), 1)
  t.ok(turns > 3, `${turns} turns`)
  const stop = new AbortController()
  const stopped = counts.scores({ signal: stop.signal, onProgress: () => stop.abort() })
  await t.rejects(stopped, { code: 'ERR_DECLIP_ABORTED' })
  await t.rejects(counts.scores({ signal: AbortSignal.abort() }), { code: 'ERR_DECLIP_ABORTED' })
  const again: AveragePrecisionScores = await counts.scores()
  t.same(again, scores)
})

t.test('what is added while scores are made is for the next time', async t => {
  const counts = many()
  const first = counts.scores()
  counts.add({ id: 'late', truth: { ...SIZE, objects: [object] }, detections: [found] })
  t.same(await first, await many().scores())
})
