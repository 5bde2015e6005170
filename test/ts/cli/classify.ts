import t from 'tap'
import { rank } from '../../../ts/cli/classify.js'

t.test('rank: softmax over classes of the best word', t => {
  // Cosines 0.6 and 0.8 for the two words of class 0, 0.6 for class 1, 0 for class 2.
  const picture = Float32Array.of(0.6, 0.8)
  const words = Float32Array.of(1, 0, 0, 1, 1, 0, 0.8, -0.6)
  const vocabulary = { classes: ['cat', 'sofa', 'sky'], wordClass: Int32Array.of(0, 0, 1, 2) }
  const guesses = rank(picture, words, vocabulary, { scale: 10, bias: null })
  const expected = [8, 6, 0].map(Math.exp)
  const sum = expected.reduce((a, b) => a + b)
  t.strictSame(
    guesses.map(({ name }) => name),
    ['cat', 'sofa', 'sky'],
  )
  guesses.forEach(({ probability }, i) => {
    const difference = Math.abs(probability - (expected[i] ?? 0) / sum)
    t.ok(difference < 1e-6, `class ${i}: ${difference}`)
  })
  const sharp = rank(picture, words, vocabulary, { scale: 1e6, bias: null })
  t.equal(sharp[0]?.probability, 1, 'no overflow')
  t.end()
})

t.test('rank: a sigmoid for every class where the model has a logit bias', t => {
  const picture = Float32Array.of(0.6, 0.8)
  const words = Float32Array.of(1, 0, 0, 1, 1, 0, 0.8, -0.6)
  const vocabulary = { classes: ['cat', 'sofa', 'sky'], wordClass: Int32Array.of(0, 0, 1, 2) }
  const guesses = rank(picture, words, vocabulary, { scale: 10, bias: -7 })
  const expected = [0.8, 0.6, 0].map(cosine => 1 / (1 + Math.exp(7 - 10 * cosine)))
  guesses.forEach(({ probability }, i) => {
    const difference = Math.abs(probability - (expected[i] ?? 0))
    t.ok(difference < 1e-6, `class ${i}: ${difference}`)
  })
  const sharp = rank(picture, words, vocabulary, { scale: 1e6, bias: -1e5 })
  t.same(
    sharp.map(guess => guess.probability),
    [1, 1, 0],
    'no overflow',
  )
  t.end()
})
