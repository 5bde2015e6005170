import { mkdirSync, realpathSync } from 'node:fs'
import { basename, join } from 'node:path'
import t, { type Test } from 'tap'
import {
  CUDA_LIBTORCH_VERSION,
  cachedLibtorch,
  cacheFolder,
  findLibtorch,
  isCudaLibtorch,
  LIBTORCH_VERSION,
  libraries,
  VERSION_HEADER,
} from '../../../ts/engine/libtorch.js'
import { CACHED, FILES, header, LIBRARY, write } from '../../support/libtorch.js'

delete process.env['LIBTORCH']

const folderOf = (t: Test, files = FILES) => write(t.testdir(), files)

function refused(t: Test, dir: string, message: RegExp, headers = false): void {
  t.throws(() => findLibtorch({ dir, headers }), { code: 'ERR_DECLIP_LIBTORCH', message })
}

t.test('a folder that is named is used, or refused with the reason', async t => {
  const good = folderOf(t)
  t.same(findLibtorch({ dir: good }), { dir: good, origin: 'explicit' })
  process.env['LIBTORCH'] = good
  t.teardown(() => delete process.env['LIBTORCH'])
  t.same(findLibtorch(), { dir: good, origin: 'explicit' })
  process.env['LIBTORCH'] = join(good, 'nowhere')
  t.throws(() => findLibtorch(), {
    code: 'ERR_DECLIP_LIBTORCH',
    message: /LIBTORCH names no LibTorch .*nowhere: no such folder.* or unset it/,
  })
})

t.test('another release is refused, libraries alone are accepted', async t => {
  const old = folderOf(t, { ...FILES, [VERSION_HEADER]: header('2.4.1') })
  refused(t, old, /is LibTorch 2\.4\.1, 2\.13 is needed/)
  await t.test('without headers', async t => {
    const bare = folderOf(t, { [LIBRARY]: 'machine code' })
    t.equal(findLibtorch({ dir: bare })?.dir, bare)
    refused(t, bare, /has no headers/, true)
  })
  await t.test('without libraries', async t => {
    refused(t, folderOf(t, { [VERSION_HEADER]: header(LIBTORCH_VERSION) }), /has no lib/)
  })
})

t.test('a CUDA build has a release and libraries of its own', async t => {
  const cuda = LIBRARY.replace('torch_cpu', 'torch_cuda')
  const files = { ...FILES, [cuda]: 'machine code' }
  const dir = folderOf(t, { ...files, [VERSION_HEADER]: header(CUDA_LIBTORCH_VERSION) })
  t.ok(isCudaLibtorch(dir))
  t.equal(findLibtorch({ dir })?.dir, dir)
  t.same(
    libraries({ dir, origin: 'explicit' }).map(path => basename(path).replace(/^lib|\.\w+$/g, '')),
    ['c10', 'torch_cpu', 'c10_cuda', 'torch_cuda'],
  )
  t.notOk(isCudaLibtorch(folderOf(t)))
  const old = folderOf(t, { ...files, [VERSION_HEADER]: header(LIBTORCH_VERSION) })
  refused(t, old, /is LibTorch 2\.13\.0, 2\.14 is needed/)
})

t.test('beside the addon, then in the cache', async t => {
  const root = realpathSync(t.testdir())
  const cache = join(root, 'cache')
  const addon = join(root, 'app/declip-native.node')
  const tried: string[] = []
  t.equal(findLibtorch({ cache, addon }, tried), null)
  t.match(tried.join('\n'), /LIBTORCH: not set/)
  t.match(tried.join('\n'), join(cache, CACHED))
  const kept = write(join(cache, CACHED), { [LIBRARY]: 'machine code' })
  t.same(findLibtorch({ cache, addon }), { dir: kept, origin: 'cache' })
  const dir = write(join(root, 'app/libtorch'), { [LIBRARY]: 'machine code' })
  t.same(findLibtorch({ cache, addon }), { dir, origin: 'beside the addon' })
})

t.test('one with headers has a folder of its own, which also runs', async t => {
  const cache = realpathSync(t.testdir())
  write(cachedLibtorch(cache, false), { [LIBRARY]: 'machine code' })
  t.equal(findLibtorch({ cache, headers: true }), null)
  const dev = write(cachedLibtorch(cache, true))
  t.same(findLibtorch({ cache, headers: true }), { dir: dev, origin: 'cache' })
  t.equal(findLibtorch({ cache })?.dir, cachedLibtorch(cache, false))
  const other = realpathSync(t.testdir())
  mkdirSync(other, { recursive: true })
  t.equal(findLibtorch({ cache: other }), null)
  t.equal(findLibtorch({ cache: write(cachedLibtorch(other, true)) && other })?.origin, 'cache')
})

t.test('the cache is where DECLIP_CACHE says', async t => {
  const before = process.env['DECLIP_CACHE']
  t.teardown(() => {
    if (before === undefined) delete process.env['DECLIP_CACHE']
    else process.env['DECLIP_CACHE'] = before
  })
  process.env['DECLIP_CACHE'] = 'some/where'
  t.equal(cacheFolder(), join(process.cwd(), 'some/where'))
  delete process.env['DECLIP_CACHE']
  t.match(cacheFolder(), /declip/)
})
