import { readFileSync } from 'node:fs'
import { brotliDecompressSync } from 'node:zlib'
import t from 'tap'
import {
  compareCase,
  countsOf,
  pycocotools,
  RECORDED,
  Reference,
  STATISTICS,
  statistics,
  TOLERANCE,
  worstDifference,
} from '../../scripts/check/average-precision.mjs'
import { demoCase, detectionCase } from '../../scripts/check/detection-cases.mjs'

/** Of the recorded ones, those that are compared number by number where pycocotools is there. */
const BESIDE = 60

const bytes = brotliDecompressSync(readFileSync(RECORDED))
const recorded = new Float64Array(new Uint8Array(bytes).buffer)
const cases = recorded.length / STATISTICS

t.test(`the figures of ${cases} cases are those that pycocotools gave`, async t => {
  t.equal(cases, 1000)
  const present = new Array(STATISTICS).fill(0)
  for (let seed = 0; seed < cases; seed++) {
    const expected = recorded.subarray(STATISTICS * seed, STATISTICS * (seed + 1))
    const scores = await (await countsOf(detectionCase(seed))).scores()
    const worst = worstDifference(statistics(scores), expected)
    if (!(worst <= TOLERANCE)) t.fail(`case ${seed} differs by ${worst}`)
    for (const [i, value] of expected.entries()) if (value > 0 && value < 1) present[i]++
  }
  t.ok(
    present.every(count => count > 100),
    `figures between 0 and 1: ${present}`,
  )
})

t.test('a detection more, a tie the other way, a crowd less: each is noticed', async t => {
  const changes = {
    'a detection less': one => one.results.pop(),
    'no crowds': one => {
      for (const object of one.dataset.annotations) object.iscrowd = 0
    },
    'detections in reverse': one => one.results.reverse(),
    'one limit less': one => Object.assign(one, { maxDets: one.maxDets.map(n => Math.min(n, 2)) }),
  }
  for (const [name, change] of Object.entries(changes)) {
    let noticed = 0
    for (let seed = 0; seed < 100; seed++) {
      const one = detectionCase(seed)
      change(one)
      const scores = await (await countsOf(one)).scores()
      const expected = recorded.subarray(STATISTICS * seed, STATISTICS * (seed + 1))
      if (worstDifference(statistics(scores), expected) > TOLERANCE) noticed++
    }
    t.ok(noticed >= 5, `${name}: ${noticed} of 100`)
  }
})

const installed = await pycocotools()
t.test(
  `every number of ${BESIDE} cases and of two demonstrations is pycocotools'`,
  { skip: installed.reason },
  async t => {
    const reference = new Reference(installed)
    t.teardown(() => reference.end())
    const made = [
      ...Array.from({ length: BESIDE }, (_, i) => detectionCase(i)),
      demoCase('bbox'),
      demoCase('segm'),
    ]
    let numbers = 0
    for (const [i, one] of made.entries()) {
      const result = await compareCase(reference, one)
      numbers += result.numbers
      if (!(result.worst <= TOLERANCE)) t.fail(`case ${i} differs by ${result.worst}`)
    }
    t.ok(numbers > 1e6, `${numbers} numbers`)
  },
)
