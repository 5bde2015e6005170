import t from 'tap'
import { describeStep, timeLeft } from '../../../ts/cli/train.js'

t.test('time left in words', t => {
  t.equal(timeLeft(12.4), '12 s')
  t.equal(timeLeft(89), '89 s')
  t.equal(timeLeft(91), '2 min')
  t.equal(timeLeft(3599), '1 h 0 min')
  t.equal(timeLeft(12000), '3 h 20 min')
  t.end()
})

t.test('a step in a line', t => {
  const at = {
    step: 5,
    steps: 10,
    epoch: 1,
    losses: { cosine: 0.123456 },
    loss: 0.123456,
    gradientNorm: 1,
    learningRate: 1e-5,
    picturesPerSecond: 31.4,
    secondsLeft: 200,
    skipped: 0,
  }
  t.equal(describeStep(at), 'loss 0.1235, 31.4 images/s, 3 min left')
  t.equal(describeStep({ ...at, skipped: 2 }), 'loss 0.1235, 31.4 images/s, 3 min left, 2 skipped')
  t.end()
})
