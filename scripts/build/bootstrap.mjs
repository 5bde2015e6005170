/**
 * Brings a clone from nothing to runnable, doing only what is not up to date: npm dependencies,
 * the bundled model, TypeScript, LibTorch, the addon.
 *
 *   node scripts/build/bootstrap.mjs [--from-source] [--tests] [--bench] [--debug]
 *                                    [--levels all|native] [--no-addon]
 *
 * An installed platform package (`npm install --no-save @declip-native/linux-x64`, or its tarball) whose
 * addon was built from the same sources saves the compiling.
 *
 * --from-source  compiles nevertheless, as the next three do too
 * --tests        builds the core's test program too
 * --bench        builds the kernels' bench program too
 * --debug        builds into build/Debug instead of build/Release
 * --levels       the kernels' instruction sets: 'native', this machine's best alone, is what a program
 *                needs; 'all' what tests, benches and prebuilds do (the default with --tests or --bench)
 * --no-addon     stops before LibTorch: another build brings its own
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { buildNative } from './build-native.mjs'
import { unpackBundledModel } from './bundled-model.mjs'
import { Failure, filesUnder, fingerprint, root, run, step, unlessStamped } from './common.mjs'
import { takePrebuilt } from './prebuilt.mjs'
import { requireNode, requireTools } from './tools.mjs'

const { values: options } = parseArgs({
  options: {
    'from-source': { type: 'boolean' },
    tests: { type: 'boolean' },
    bench: { type: 'boolean' },
    debug: { type: 'boolean' },
    levels: { type: 'string' },
    'no-addon': { type: 'boolean' },
  },
})

try {
  requireNode()
  if (!dependenciesInstalled()) await step('npm dependencies', () => run('npm', ['ci']))
  bundledModel()
  await typeScript()
  if (!options['no-addon']) await addon()
} catch (error) {
  if (error instanceof Failure || error.code?.startsWith('ERR_DECLIP_'))
    console.error(error.message)
  else console.error(error)
  process.exitCode = 1
}

/** Compares the lock file with the one that npm keeps of what it installed. */
function dependenciesInstalled() {
  const installed = join(root, 'node_modules/.package-lock.json')
  if (!existsSync(installed)) return false
  const packagesOf = path => JSON.parse(readFileSync(path, 'utf8')).packages
  const present = packagesOf(installed)
  return Object.entries(packagesOf(join(root, 'package-lock.json'))).every(
    ([path, { version, optional }]) =>
      path === '' || present[path]?.version === version || (optional && !present[path]),
  )
}

function bundledModel() {
  if (unpackBundledModel()) console.log('> Bundled model: unpacked')
}

async function typeScript() {
  const inputs = filesUnder(
    'ts',
    'tsconfig.json',
    'tsconfig.build.json',
    'scripts/build/build-ts.mjs',
  )
  const print = fingerprint([...inputs, 'package-lock.json'])
  await unlessStamped('dist/.stamp', print, () =>
    step('TypeScript', async () => {
      const { buildTypeScript } = await import('./build-ts.mjs')
      buildTypeScript()
    }),
  )
}

async function addon() {
  const compiles = ['from-source', 'tests', 'bench', 'debug'].some(name => options[name])
  const prebuilt = compiles ? undefined : takePrebuilt()
  if (prebuilt) {
    console.log(`> C++: nothing to compile, ${prebuilt} was built from these sources`)
    await provideLibtorch()
    return
  }
  requireTools()
  const libtorch = await provideLibtorch({ headers: true })
  const targets = [
    'declip_node',
    ...(options.tests ? ['declip_core_tests'] : []),
    ...(options.bench ? ['declip_bench'] : []),
  ]
  const levels = options.levels ?? (options.tests || options.bench ? 'all' : 'native')
  const build = options.debug ? 'debug' : 'release'
  await buildNative({ build, libtorch, targets, levels })
}

async function provideLibtorch({ headers = false } = {}) {
  const { findLibtorch } = await import('../../dist/engine/libtorch.js')
  const { setupLibtorch } = await import('../../dist/engine/setup.js')
  const found = findLibtorch({ headers })
  if (found) return found.dir
  const { dir } = await step('LibTorch (once, about 200 MB)', () =>
    setupLibtorch({ headers, onProgress: progressPrinter() }),
  )
  return dir
}

/** Prints each step of a download once, then every tenth of it. */
function progressPrinter() {
  let last = ''
  return ({ step: name, done, total }) => {
    const tenth = total > 0 ? Math.floor((10 * done) / total) : 0
    const line = `  ${name}${total > 0 ? ` ${10 * tenth} %` : ''}`
    if (line !== last) console.log(line)
    last = line
  }
}
