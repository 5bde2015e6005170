import t from 'tap'
import { Sampler } from '../../../../ts/train/data/sampler.js'
import { permutation, randomFor, seedOf } from '../../../../ts/train/data/seeds.js'

const alone = { rank: 0, worldSize: 1 }

t.test('an epoch visits every picture once but for the last incomplete step', t => {
  const sampler = new Sampler(10, 3, 0, alone)
  t.equal(sampler.stepsPerEpoch, 3)
  for (const epoch of [0, 1]) {
    const visits = [0, 1, 2].flatMap(i => sampler.step(3 * epoch + i))
    t.ok(visits.every(visit => visit.epoch === epoch))
    t.equal(new Set(visits.map(({ index }) => index)).size, 9)
  }
  t.notSame(sampler.step(0), sampler.step(3))
  t.end()
})

t.test('a step is a function of seed and number alone', t => {
  const forwards = new Sampler(100, 7, 5, alone)
  const all = Array.from({ length: 40 }, (_, i) => forwards.step(i))
  const backwards = new Sampler(100, 7, 5, alone)
  for (let i = 39; i >= 0; i--) t.same(backwards.step(i), all[i])
  t.notSame(new Sampler(100, 7, 6, alone).step(0), all[0])
  t.end()
})

t.test('ranks share an epoch as DistributedSampler does', t => {
  // Slow reference: the order, filled up from its start, every worldSize-th of it.
  const [length, worldSize, perStep, seed] = [11, 4, 1, 3]
  const order = [...permutation(length, randomFor('order', seed, 0))]
  const filled = [...order, ...order].slice(0, 12)
  for (let rank = 0; rank < worldSize; rank++) {
    const sampler = new Sampler(length, perStep, seed, { rank, worldSize })
    t.equal(sampler.stepsPerEpoch, 3) // floor(ceil(11 / 4) / 1)
    const got = [0, 1, 2].flatMap(i => sampler.step(i).map(({ index }) => index))
    t.same(
      got,
      filled.filter((_, i) => i % worldSize === rank),
    )
  }
  t.end()
})

t.test('too few pictures for a step are refused', t => {
  const attempt = () => new Sampler(5, 6, 0, alone)
  t.throws(attempt, { code: 'ERR_DECLIP_INVALID_ARG', message: /takes 6 pictures.*only 5/ })
  t.end()
})

t.test('permutations are fair: every place is as likely for every number', t => {
  const counts = Array.from({ length: 4 }, () => [0, 0, 0, 0])
  for (let seed = 0; seed < 4000; seed++) {
    permutation(4, randomFor('test', seed)).forEach((n, place) => {
      const row = counts[place] as number[]
      row[n] = (row[n] as number) + 1
    })
  }
  // 1000 are expected; five standard deviations of a binomial are 137.
  t.ok(
    counts.flat().every(count => Math.abs(count - 1000) < 137),
    String(counts),
  )
  t.not(seedOf('a', 1, 23), seedOf('a', 12, 3))
  t.end()
})
