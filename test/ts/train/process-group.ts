import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { launch, withoutOption } from '../../../ts/cli/launch.js'
import { type ProcessGroup, processGroupFromEnvironment, train } from '../../../ts/index.js'
import { checkProcessGroup, deviceOf, threadsOf } from '../../../ts/train/process-group.js'

const code = 'ERR_DECLIP_INVALID_ARG'
const group: ProcessGroup = { rank: 1, worldSize: 4, address: 'node0', port: 29500 }
const filled = checkProcessGroup({ ...group, localRank: 3, localWorldSize: 4 })

t.test('the variables of launchers', t => {
  const env = { RANK: '1', WORLD_SIZE: '4', MASTER_ADDR: 'node0', MASTER_PORT: '29500' }
  t.strictSame(processGroupFromEnvironment(env), group)
  t.strictSame(processGroupFromEnvironment({ ...env, LOCAL_RANK: '1', LOCAL_WORLD_SIZE: '2' }), {
    ...group,
    localRank: 1,
    localWorldSize: 2,
  })
  t.equal(processGroupFromEnvironment({}), undefined)
  t.equal(processGroupFromEnvironment({ WORLD_SIZE: '1' }), undefined)
  for (const name of ['RANK', 'MASTER_ADDR', 'MASTER_PORT']) {
    const message = new RegExp(`WORLD_SIZE is set, but ${name} is not`)
    t.throws(() => processGroupFromEnvironment({ ...env, [name]: undefined }), { code, message })
  }
  for (const name of ['RANK', 'WORLD_SIZE', 'MASTER_PORT', 'LOCAL_RANK']) {
    for (const value of ['x', '-1', '1.5', '1e3']) {
      const message = new RegExp(`variable ${name} must be a whole number`)
      t.throws(() => processGroupFromEnvironment({ ...env, [name]: value }), { code, message })
    }
  }
  t.end()
})

t.test('a group is checked', async t => {
  t.strictSame(checkProcessGroup(group), {
    ...group,
    localRank: 0,
    localWorldSize: 1,
    timeoutMs: 600_000,
    backend: 'auto',
  })
  const wrong: [Partial<Record<keyof ProcessGroup, unknown>>, RegExp][] = [
    [{ rank: 4 }, /processGroup.rank must be a whole number 0..3, received 4/],
    [{ rank: -1 }, /processGroup.rank/],
    [{ worldSize: 0 }, /processGroup.worldSize/],
    [{ address: '' }, /processGroup.address/],
    [{ port: 0 }, /processGroup.port/],
    [{ port: 65536 }, /processGroup.port/],
    [{ localRank: 0.5 }, /processGroup.localRank/],
    [{ localWorldSize: 0 }, /processGroup.localWorldSize/],
    [{ timeoutMs: 0 }, /processGroup.timeoutMs/],
    [{ backend: 'mpi' }, /processGroup.backend must be 'auto' or 'gloo', received 'mpi'/],
  ]
  for (const [change, message] of wrong) {
    t.throws(() => checkProcessGroup({ ...group, ...change } as ProcessGroup), { code, message })
  }
  const config = {
    objective: 'clipself',
    model: 'none.pt',
    data: { kind: 'folder', path: 'none' },
    out: t.testdir(),
  } as const
  await t.rejects(train(config, { processGroup: { ...group, rank: 9 } }), { code, message: /rank/ })
})

t.test('what processes of a machine share', t => {
  t.equal(threadsOf(8, undefined), 8)
  t.equal(threadsOf(8, filled), 2)
  t.equal(threadsOf(2, filled), 1)
  t.equal(deviceOf('cuda', undefined, 8), 'cuda')
  t.equal(deviceOf('cuda', filled, 8), 'cuda:3')
  t.equal(deviceOf('auto', filled, 8), 'cuda:3')
  t.equal(deviceOf('auto', filled, 0), 'auto')
  t.equal(deviceOf('cuda:0', filled, 8), 'cuda:0')
  t.equal(deviceOf('cpu', filled, 8), 'cpu')
  t.end()
})

t.test('an option is taken out of a command line', t => {
  const rest = ['train', '--config', 'a.json']
  t.strictSame(withoutOption(['train', '--nproc', '2', '--config', 'a.json'], '--nproc'), rest)
  t.strictSame(withoutOption(['train', '--nproc=2', '--config', 'a.json'], '--nproc'), rest)
  t.strictSame(withoutOption(rest, '--nproc'), rest)
  t.end()
})

t.test('warnings of launched processes are passed on, once', async t => {
  const folder = t.testdir({
    'warns.mjs': `console.error('declip: warning: told by all'); console.error('something else')`,
  })
  const warned = once(process, 'warning')
  const others: string[] = []
  const keep = ({ message }: Error) => others.push(message)
  process.on('warning', keep)
  t.teardown(() => process.off('warning', keep))
  await launch({
    processes: 2,
    args: [join(folder, 'warns.mjs')],
    signal: new AbortController().signal,
    onProgress: () => {},
    print: () => {},
  })
  const [{ name, message }] = (await warned) as [Error]
  t.match({ name, message }, { name: 'DeclipWarning', message: 'told by all' })
  t.strictSame(
    others.filter(text => text === 'told by all' || text === 'something else'),
    ['told by all'],
  )
})
