import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { loadAddon } from '../../../../ts/engine/load-addon.js'
import { SemanticCounts, type SemanticScores } from '../../../../ts/evaluate/metrics/semantic.js'
import { readSafetensors } from '../../../golden/support.js'
import { fixture } from '../../../support/calls.js'

interface Stored {
  readonly file: string
  readonly tensor: string
  readonly shape: [number, number]
  readonly dtype: string
}

interface GoldenImage {
  readonly prediction: Stored
  readonly label: Stored
}

interface GoldenCase {
  readonly id: string
  readonly inputs: GoldenImage & { readonly images?: readonly GoldenImage[] }
  readonly options: { readonly classes: number; readonly ignore_index: number }
  readonly outputs: Readonly<Record<string, Stored>>
  readonly values?: {
    readonly summary_percent_rounded: Readonly<Record<string, number>>
    readonly unrounded: Readonly<Record<string, number>>
    readonly per_class: Readonly<Record<string, readonly (number | null)[]>>
    readonly tolerance: number
  }
}

const folder = (file: string) => fixture('metrics', file)
const manifest = JSON.parse(readFileSync(folder('manifest.json'), 'utf8'))
const files = new Map<string, ReturnType<typeof readSafetensors>>()

/** Its whole numbers. */
function stored({ file, tensor }: Stored): number[] {
  if (!files.has(file)) files.set(file, readSafetensors(folder(file)))
  const found = files.get(file)?.get(tensor)
  if (!found) throw new Error(`no tensor ${tensor} in ${file}`)
  return [...found.data]
}

const addon = loadAddon()

/** What the addon counts of two maps. */
async function counted(
  prediction: ArrayLike<number>,
  truth: ArrayLike<number>,
  [height, width]: readonly [number, number],
  classes: number,
  ignore = 255,
): Promise<Float64Array> {
  const maps = [prediction, truth].map(values =>
    addon.tensor(Uint8Array.from(values), [height, width], 'uint8'),
  )
  const [p, truths] = maps as [(typeof maps)[0], (typeof maps)[0]]
  try {
    return (await addon.countLabels({ prediction: p, truth: truths, classes, ignore })).pairs
  } finally {
    for (const map of maps) map.dispose()
  }
}

/** Areas as the reference has them. */
function areas({ confusion, perClass }: SemanticScores) {
  const side = perClass.length + 1
  const intersect = perClass.map((_, c) => confusion[c * side + c] as number)
  const pred = perClass.map(({ predicted }) => predicted)
  const label = perClass.map(({ pixels }) => pixels)
  const union = intersect.map((both, c) => (pred[c] as number) + (label[c] as number) - both)
  return { intersect, union, pred, label }
}

/** mmsegmentation's names of what a class has. */
const FIGURES = {
  IoU: 'iou',
  Acc: 'acc',
  Dice: 'dice',
  Fscore: 'fscore',
  Precision: 'precision',
  Recall: 'acc',
} as const

const cases = manifest.cases as GoldenCase[]
t.ok(cases.length >= 4, 'the fixture has cases')

for (const { id, inputs, options, outputs, values } of cases) {
  t.test(`${id}: every figure of mmsegmentation's IoUMetric`, async t => {
    const total = new SemanticCounts(options.classes)
    const expect = (prefix: string, counts: SemanticCounts) => {
      const actual = areas(counts.scores())
      for (const [name, list] of Object.entries(actual)) {
        const output = outputs[prefix + name] as Stored
        t.same(list, stored(output), prefix + name)
      }
    }
    for (const [i, { prediction, label }] of (inputs.images ?? [inputs]).entries()) {
      const pairs = await counted(
        stored(prediction),
        stored(label),
        prediction.shape,
        options.classes,
        options.ignore_index,
      )
      total.add(pairs)
      expect(inputs.images ? `${i}.` : '', new SemanticCounts(options.classes).add(pairs))
    }
    if (!values) return
    expect('total.', total)
    const scores = total.scores()
    const close = (actual: number | null | undefined, expected: number | null, what: string) =>
      expected === null
        ? t.equal(actual, null, what)
        : t.ok(Math.abs((actual ?? Number.NaN) - expected) <= values.tolerance, what)
    for (const [name, key] of Object.entries(FIGURES)) {
      const expected = values.per_class[name] as readonly (number | null)[]
      t.equal(expected.length, options.classes)
      for (const [c, value] of expected.entries()) {
        close(scores.perClass[c]?.[key], value, `${name} of class ${c}`)
      }
    }
    const means = {
      aAcc: scores.aacc,
      mIoU: scores.miou,
      mAcc: scores.macc,
      mDice: scores.mdice,
      mFscore: scores.mfscore,
      mPrecision: scores.mprecision,
      mRecall: scores.macc,
    }
    t.same(Object.keys(means).sort(), Object.keys(values.unrounded).sort())
    for (const [name, value] of Object.entries(means)) {
      close(value, values.unrounded[name] as number, name)
      const percent = Math.round(10000 * (value as number)) / 100
      t.ok(
        Math.abs(percent - (values.summary_percent_rounded[name] as number)) < 1e-4,
        `${name} in per cent`,
      )
    }
  })
}

/** Pixel by pixel, and no array between. */
function plainScores(prediction: readonly number[], truth: readonly number[], classes: number) {
  const at = truth.flatMap((label, i) => (label === 255 ? [] : [i]))
  const share = (part: number, whole: number) => (whole === 0 ? null : part / whole)
  const count = (holds: (i: number) => boolean) => at.filter(holds).length
  const iou: (number | null)[] = []
  const acc: (number | null)[] = []
  for (let c = 0; c < classes; c++) {
    const both = count(i => truth[i] === c && prediction[i] === c)
    iou.push(
      share(
        both,
        count(i => truth[i] === c || prediction[i] === c),
      ),
    )
    acc.push(
      share(
        both,
        count(i => truth[i] === c),
      ),
    )
  }
  return { iou, acc }
}

t.test('scores of any maps, in any order, in any parts', async t => {
  const map = fc.array(fc.constantFrom(0, 1, 2, 3, 4, 9, 255), { minLength: 12, maxLength: 12 })
  const pictures = fc.array(fc.tuple(map, map), { minLength: 1, maxLength: 5 })
  const property = fc.asyncProperty(pictures, fc.integer({ min: 1, max: 6 }), async (all, C) => {
    const pairs = await Promise.all(all.map(([p, truth]) => counted(p, truth, [3, 4], C)))
    const once = new SemanticCounts(C)
    for (const one of pairs) once.add(one)
    const parts = pairs.map(one => new SemanticCounts(C).add([...one]))
    const merged = parts.reduceRight((sum, part) => sum.merge(part), new SemanticCounts(C))
    const again = new SemanticCounts(C).add(once.pairs())
    const scores = once.scores()
    const plain = plainScores(
      all.flatMap(([p]) => p),
      all.flatMap(([, truth]) => truth),
      C,
    )
    t.same(merged.scores(), scores)
    t.same(again.scores(), scores)
    t.same(
      scores.perClass.map(({ iou }) => iou),
      plain.iou,
    )
    t.same(
      scores.perClass.map(({ acc }) => acc),
      plain.acc,
    )
  })
  await fc.assert(property, { numRuns: 50 })
})

t.test('nothing counted gives no figure', async t => {
  const scores = new SemanticCounts(2).scores()
  t.match(scores, { miou: null, macc: null, aacc: null })
  t.same(scores.perClass[1], {
    iou: null,
    acc: null,
    dice: null,
    fscore: null,
    precision: null,
    pixels: 0,
    predicted: 0,
  })
})

t.test('counts beyond 2^32 stay whole', async t => {
  const counts = new SemanticCounts(1)
  for (let i = 0; i < 3; i++) counts.add([0, 0, 2 ** 50 + 1])
  t.equal(counts.scores().perClass[0]?.pixels, 3 * 2 ** 50 + 3)
})

t.test('what is no count is refused and changes nothing', async t => {
  const counts = new SemanticCounts(2).add([0, 0, 5])
  for (const pairs of [
    [0, 0],
    [0, 3, 1],
    [-1, 0, 1],
    [0, 0, -1],
    [0, 0, 1.5],
    [0, 0, 1, 0.5, 0, 1],
  ]) {
    t.throws(() => counts.add(pairs), { code: 'ERR_DECLIP_INVALID_ARG' }, String(pairs))
  }
  t.throws(() => counts.merge(new SemanticCounts(3)), { code: 'ERR_DECLIP_INVALID_ARG' })
  t.same([...counts.pairs()], [0, 0, 5])
  for (const classes of [0, 1.5, 65537, Number.NaN]) {
    t.throws(() => new SemanticCounts(classes), { code: 'ERR_DECLIP_INVALID_ARG' })
  }
})

t.test('maps of two sizes are refused with both', async t => {
  const prediction = addon.tensor(new Uint8Array(6), [2, 3], 'uint8')
  const truth = addon.tensor(new Uint8Array(6), [3, 2], 'uint8')
  t.teardown(() => {
    for (const map of [prediction, truth]) map.dispose()
  })
  const call = addon.countLabels({ prediction, truth, classes: 2, ignore: 255 })
  await t.rejects(call, { code: 'ERR_DECLIP_INVALID_ARG', message: /3 x 2.* 2 x 3/ })
})
