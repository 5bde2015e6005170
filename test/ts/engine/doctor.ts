import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { cacheFolder, findLibtorch } from '../../../ts/engine/libtorch.js'
import { CACHED, LIBRARY, write } from '../../support/libtorch.js'

type Doctor = typeof import('../../../ts/engine/doctor.js')

const real = process.env['LIBTORCH'] ?? findLibtorch()?.dir ?? ''
const before = { ...process.env }
t.beforeEach(() => {
  process.env = { ...before }
  delete process.env['LIBTORCH']
})
t.teardown(() => {
  process.env = before
})

/** Checks by name; `modules` stand in for files of this package. */
async function examine(modules: Record<string, unknown> = {}) {
  const { doctor } = await t.mockImport<Doctor>('../../../ts/engine/doctor.js', modules)
  return Object.fromEntries((await doctor()).map(({ name, ...check }) => [name, check]))
}

const readOnly = async () => {
  const fs = await import('node:fs/promises')
  const access = async (path: string, mode?: number) => {
    if (path === cacheFolder()) throw Object.assign(new Error('EROFS'), { code: 'EROFS' })
    return fs.access(path, mode)
  }
  return { 'node:fs/promises': { ...fs, access } }
}

t.test('where all is well, nothing has failed or is to be done', async t => {
  process.env['LIBTORCH'] = real
  const checks = await examine()
  t.same(Object.keys(checks), [
    'Node',
    'Memory',
    'Native part',
    'LibTorch',
    'Cache',
    'Loading',
    'Processor',
    'Engine',
    'GPU',
    'Images',
    'Bundled model',
  ])
  for (const [name, { state }] of Object.entries(checks)) {
    if (name !== 'Memory') t.equal(state, 'ok', name)
  }
  t.match(checks['LibTorch'], { detail: `in ${real} (explicit)`, fix: undefined })
})

t.test('without LibTorch one check fails, and those that need it are skipped', async t => {
  process.env['DECLIP_CACHE'] = join(t.testdir(), 'cache')
  const loadAddon = () => {
    throw new Error('LibTorch is not on this machine. Get it.')
  }
  const checks = await examine({
    '../../../ts/engine/load-addon.js': {
      ...(await import('../../../ts/engine/load-addon.js')),
      loadAddon,
    },
  })
  t.match(checks['LibTorch'], { state: 'failed', detail: 'not found', fix: 'npx declip setup' })
  for (const name of ['Loading', 'Processor', 'Engine', 'GPU']) {
    t.match(checks[name], { state: 'skipped', detail: /^needs: (LibTorch|Loading)$/ })
  }
  t.equal(checks['Native part']?.state, 'ok')
  t.equal(checks['Cache']?.state, 'ok', 'it can be made')
  t.same(readdirSync(t.testdirName), [], 'and is not, by looking')
})

t.test('without the native part, LibTorch is still looked for', async t => {
  process.env['DECLIP_ADDON'] = '/no/such.node'
  process.env['DECLIP_CACHE'] = join(t.testdir(), 'cache')
  const none = await examine()
  t.match(none['Native part'], { state: 'failed', fix: '/no/such.node' })
  t.match(none['LibTorch'], { state: 'failed', fix: 'npx declip setup' })
  t.match(none['Loading'], { state: 'skipped', detail: 'needs: Native part' })
  process.env['LIBTORCH'] = write(join(t.testdirName, 'libtorch'), { [LIBRARY]: 'code' })
  t.match(await examine(), { LibTorch: { state: 'ok' }, Loading: { state: 'skipped' } })
})

t.test('a cache that cannot be written is a note where it holds LibTorch', async t => {
  process.env['DECLIP_CACHE'] = t.testdir()
  process.env['DECLIP_ADDON'] = '/no/such.node'
  t.match((await examine(await readOnly()))['Cache'], {
    state: 'failed',
    detail: 'cannot be written',
    fix: 'DECLIP_CACHE',
  })
  write(join(t.testdirName, CACHED), { [LIBRARY]: 'code' })
  const { state, fix } = (await examine(await readOnly()))['Cache'] ?? {}
  t.equal(state, 'note')
  t.equal(fix, undefined)
})
