import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { findLibtorch, LIBTORCH_VERSION, libraries } from '../../../ts/engine/libtorch.js'
import {
  addonPackage,
  addonPackageName,
  isMuslProgram,
  libtorchPackage,
  libtorchPackageName,
} from '../../../ts/engine/platform-packages.js'

delete process.env['LIBTORCH']

/** Writes a package.json and returns its folder. */
function pack(folder: string, version: string, name = ''): string {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, version }))
  return folder
}

/** A main package of version 1.2.3 below `parts` of a new folder. */
function mainPackage(t: Test, ...parts: string[]): { top: string; root: string } {
  const top = t.testdir()
  return { top, root: pack(join(top, ...parts, 'declip-native'), '1.2.3', 'declip-native') }
}

t.test('the names say platform and processor', async t => {
  const { platform, arch } = process
  t.ok(addonPackageName().startsWith(`@declip-native/${platform}-${arch}`))
  t.equal(libtorchPackageName(), addonPackageName().replace('/', '/libtorch-'))
})

t.test('musl is told from glibc by the loader that a program names', async t => {
  const program = (loader: string) => `\x7fELF\0\0\0${loader}\0\0`
  const folder = t.testdir({
    alpine: program('/lib/ld-musl-x86_64.so.1'),
    debian: program('/lib64/ld-linux-x86-64.so.2'),
    arm: program('/lib/ld-linux-aarch64.so.1'),
    static: program(''),
  })
  t.equal(isMuslProgram(join(folder, 'alpine')), true)
  t.equal(isMuslProgram(join(folder, 'debian')), false)
  t.equal(isMuslProgram(join(folder, 'arm')), false)
  t.equal(isMuslProgram(join(folder, 'static')), null)
  t.equal(isMuslProgram(join(folder, 'nothing')), null)
})

t.test('npm and yarn put it beside, npm also inside, pnpm behind a link', async t => {
  const layouts: Record<string, (top: string, root: string) => string> = {
    beside: top => join(top, 'node_modules', addonPackageName()),
    inside: (_, root) => join(root, 'node_modules', addonPackageName()),
    above: top => join(top, '../node_modules', addonPackageName()),
  }
  for (const [layout, place] of Object.entries(layouts)) {
    await t.test(layout, async t => {
      const { top, root } = mainPackage(t, 'project', 'node_modules')
      const dir = pack(place(join(top, 'project'), root), '1.2.3')
      t.same(addonPackage(root), { name: addonPackageName(), dir, version: '1.2.3' })
    })
  }
  await t.test('linked', { skip: process.platform === 'win32' && 'needs links' }, async t => {
    const { top, root } = mainPackage(t, 'node_modules/.pnpm/declip-native@1.2.3/node_modules')
    const dir = pack(join(top, 'node_modules/.pnpm/addon@1.2.3/package'), '1.2.3')
    const link = join(root, '..', addonPackageName())
    mkdirSync(join(link, '..'), { recursive: true })
    symlinkSync(dir, link)
    t.equal(addonPackage(root)?.dir, dir)
  })
})

t.test('where none is installed there is none', async t => {
  const { root } = mainPackage(t)
  t.equal(addonPackage(root), null)
  t.equal(libtorchPackage(LIBTORCH_VERSION, root), null)
  t.equal(addonPackage(''), null)
})

t.test('one of another version is an error that says which is needed', async t => {
  const { top, root } = mainPackage(t, 'node_modules')
  pack(join(top, 'node_modules', addonPackageName()), '1.2.2')
  t.throws(() => addonPackage(root), {
    code: 'ERR_DECLIP_ADDON_NOT_FOUND',
    message: /1\.2\.2 in .* needs 1\.2\.3\..*npm install @declip-native\/.*@1\.2\.3`/,
  })
  const libtorch = join(top, 'node_modules', libtorchPackageName())
  pack(libtorch, '2.4.1')
  t.throws(() => libtorchPackage(LIBTORCH_VERSION, root), {
    code: 'ERR_DECLIP_LIBTORCH',
    message: '2.4.1',
  })
  pack(libtorch, `${LIBTORCH_VERSION}-1`)
  t.equal(libtorchPackage(LIBTORCH_VERSION, root)?.dir, libtorch)
})

t.test('its LibTorch goes before the cache', async t => {
  const { top, root } = mainPackage(t, 'node_modules')
  const dir = pack(join(top, 'node_modules', libtorchPackageName()), LIBTORCH_VERSION)
  t.equal(findLibtorch({ root, cache: top }), null)
  for (const file of libraries({ dir, origin: 'platform package' })) {
    mkdirSync(join(file, '..'), { recursive: true })
    writeFileSync(file, '')
  }
  t.same(findLibtorch({ root, cache: top }), { dir, origin: 'platform package' })
})
