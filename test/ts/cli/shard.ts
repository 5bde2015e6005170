import { InvalidArgumentError } from 'commander'
import t from 'tap'
import { shard } from '../../../ts/cli/shard.js'

t.test('i/n, or a message of the command line', t => {
  t.strictSame(shard('2/4'), { index: 2, count: 4 })
  t.throws(() => shard('0/4'), InvalidArgumentError)
  t.end()
})
