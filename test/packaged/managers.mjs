/** Other package managers, which lay packages out in ways of their own. */
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { fingerprint, unlessStamped } from '../../scripts/build/common.mjs'
import { npmInstall, packagedFolder } from '../../scripts/check/packaged.mjs'
import { segments } from './segment.mjs'
import { emptyFolder, runNode, tarballs } from './support.mjs'

/** From npm, installed when first needed. */
const MANAGERS = ['pnpm@10.34.8', 'yarn@1.22.22', '@yarnpkg/cli-dist@4.18.1']
const folder = join(packagedFolder, 'managers')
await unlessStamped('build/packaged/managers.stamp', fingerprint([], MANAGERS), async () => {
  rmSync(folder, { recursive: true, force: true })
  await npmInstall(folder, MANAGERS)
})
const program = path => join(folder, 'node_modules', path)
const pnpm = program('pnpm/bin/pnpm.cjs')
const yarn1 = program('yarn/bin/yarn.js')
const yarn4 = program('@yarnpkg/cli-dist/bin/yarn.js')
/** What managers keep between runs; not the packages under test, which may change. */
const kept = join(packagedFolder, 'kept')
t.teardown(() => {
  for (const folder of ['yarn1/v6', 'yarn4/cache'].map(name => join(kept, name))) {
    for (const name of existsSync(folder) ? readdirSync(folder) : [])
      if (name === '.tmp' || name.includes('declip-native'))
        rmSync(join(folder, name), { recursive: true })
  }
})
/** How this machine reaches the registry. */
const { NODE_EXTRA_CA_CERTS, HTTPS_PROXY, NO_PROXY } = process.env
const network = { NODE_EXTRA_CA_CERTS, HTTPS_PROXY, NO_PROXY }

const main = `file:${tarballs.main}`
/** Where the optional dependencies are taken from while no registry has them. */
const packages = {
  '@declip-native/linux-x64': `file:${tarballs.addon}`,
  '@declip-native/libtorch-linux-x64': `file:${tarballs.libtorch}`,
}

/** A project that depends on the package, with more fields in its package.json. */
function project(t, fields) {
  const folder = emptyFolder(t)
  const manifest = { name: 'project', private: true, dependencies: { 'declip-native': main } }
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...manifest, ...fields }))
  return folder
}

t.test('pnpm', async t => {
  const folder = project(t, { pnpm: { overrides: packages } })
  const flags = ['--ignore-scripts', '--prefer-offline', '--store-dir', join(kept, 'pnpm')]
  await runNode(folder, [pnpm, 'install', ...flags], { env: { ...network, HOME: folder } })
  await segments(t, folder)
})

t.test('yarn 1', async t => {
  const folder = project(t, { resolutions: packages })
  const flags = ['--ignore-scripts', '--prefer-offline', '--cache-folder', join(kept, 'yarn1')]
  await runNode(folder, [yarn1, 'install', ...flags], { env: { ...network, HOME: folder } })
  await segments(t, folder)
})

t.test("yarn 4 with Plug'n'Play", async t => {
  const folder = project(t, { resolutions: packages })
  const settings = {
    nodeLinker: 'pnp',
    enableScripts: false,
    enableTelemetry: false,
    enableImmutableInstalls: false,
    compressionLevel: 0,
    globalFolder: join(kept, 'yarn4'),
  }
  writeFileSync(join(folder, '.yarnrc.yml'), JSON.stringify(settings))
  writeFileSync(join(folder, 'yarn.lock'), '')
  await runNode(folder, [yarn4, 'install'], { env: { ...network, HOME: folder } })
  await segments(t, folder, {
    args: ['--require', './.pnp.cjs', '--loader', './.pnp.loader.mjs'],
  })
})
