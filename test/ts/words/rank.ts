import t from 'tap'
import { rankClasses } from '../../../ts/words/rank.js'

const classes = ['cat', 'sofa', 'sky']
const wordClass = Int32Array.of(0, 0, 1, 2)
/** Of two pictures with the four words. */
const cosines = Float32Array.of(0.6, 0.8, 0.6, 0, -0.5, -0.25, 0.5, 0.5)
const clip = { logitScale: 10, logitBias: null }

t.test('a class counts by its best word, and the softmax is over classes', async t => {
  const ranked = await rankClasses(cosines, { classes, wordClass }, clip, 3)
  t.strictSame(
    ranked.map(row => row.map(guess => guess.class)),
    [
      ['cat', 'sofa', 'sky'],
      ['sofa', 'sky', 'cat'],
    ],
    'the best first, of equal ones the first',
  )
  for (const [k, best] of [
    [0.8, 0.6, 0],
    [-0.25, 0.5, 0.5],
  ].entries()) {
    const sum = best.reduce((total, cosine) => total + Math.exp(10 * cosine), 0)
    for (const { index, score, probability } of ranked[k] ?? []) {
      const cosine = best[index] as number
      t.ok(Math.abs(score - cosine) < 1e-6, `picture ${k}, class ${index}: ${score}`)
      t.ok(Math.abs(probability - Math.exp(10 * cosine) / sum) < 1e-6, `${probability}`)
    }
  }
  const sharp = { logitScale: 1e6, logitBias: null }
  const [[first] = []] = await rankClasses(cosines, { classes, wordClass }, sharp, 1)
  t.match(first, { class: 'cat', probability: 1 }, 'no overflow')
})

t.test('a sigmoid for every class where the model has a logit bias', async t => {
  const siglip = { logitScale: 10, logitBias: -7 }
  const [ranked = []] = await rankClasses(cosines, { classes, wordClass }, siglip, 3)
  for (const [i, cosine] of [0.8, 0.6, 0].entries()) {
    const expected = 1 / (1 + Math.exp(7 - 10 * cosine))
    const got = ranked[i]?.probability ?? Number.NaN
    t.ok(Math.abs(got - expected) < 1e-6, `class ${i}: ${got}`)
  }
  const sharp = { logitScale: 1e6, logitBias: -1e5 }
  const [all = []] = await rankClasses(cosines, { classes, wordClass }, sharp, 3)
  t.same(
    all.map(guess => guess.probability),
    [1, 1, 0],
    'no overflow',
  )
})

t.test('CLIP has a logit scale of 100, and no more classes come than there are', async t => {
  const none = { logitScale: null, logitBias: null }
  const ranked = await rankClasses(cosines, { classes, wordClass }, none, 9)
  const same = await rankClasses(
    cosines,
    { classes, wordClass },
    { logitScale: 100, logitBias: null },
    3,
  )
  t.same(ranked, same)
  t.same(
    (await rankClasses(cosines, { classes, wordClass }, none, 1)).map(row => row.length),
    [1, 1],
  )
  t.same(await rankClasses(new Float32Array(0), { classes, wordClass }, none, 5), [])
})

t.test('the event loop turns while many rows are ranked', async t => {
  const many = new Float32Array(200_000 * 4).map((_, i) => Math.sin(i))
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  const ranked = await rankClasses(many, { classes, wordClass }, clip, 1)
  clearInterval(timer)
  t.equal(ranked.length, 200_000)
  t.ok(turns > 3, `${turns} turns`)
})
