/**
 * Checks the tarballs that would be published: publint's rules, what must and must not be in them,
 * sizes, that they name no folder of the machine that built them, and that libraries run on a system
 * as old as LibTorch itself supports.
 *
 *   node scripts/check/check-package.mjs [--release] [--no-build]
 *
 * --release   wants the packages of every platform, not only of this one
 * --no-build  takes prebuilds/ as it is
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { isDeepStrictEqual, parseArgs } from 'node:util'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { extract } from 'tar'
import { endWith, root, run } from '../build/common.mjs'
import { readElf } from '../build/elf.mjs'
import { platformPackages } from '../build/manifest.mjs'
import { tarballOf } from '../build/pack-all.mjs'
import { PLATFORMS, platformName, SCOPE } from '../build/platforms.mjs'
import { brokenLinks, namedFolders, tooNew, untrueSizes } from './package-rules.mjs'

/** Most bytes packed. */
const LIMITS = { main: 10e6, addon: 3e6, libtorch: 120e6 }
const REQUIRED = {
  main: [
    'CHANGELOG.md',
    'LICENSE',
    'NOTICE',
    'README.md',
    'dist/cli/main.js',
    'dist/index.d.mts',
    'dist/index.d.ts',
    'dist/index.js',
    'dist/index.mjs',
    'docs/guides/cli.md',
    'examples/segment.mjs',
    'models/scenes/park.png',
    'models/words-tiny/model.safetensors',
  ],
  addon: ['LICENSE', 'NOTICE', 'README.md', 'declip-native.node'],
  libtorch: ['LICENSE', 'NOTICE', 'README.md', 'licenses/LICENSE'],
}
const FORBIDDEN =
  /^(test|bench|cpp|binding|scripts|build|prebuilds|node_modules|docs\/api)\/|\.(br|tgz|map|stamp|part|log)$/
/** What a library may take from the system; all else must come along. */
const OF_THE_SYSTEM = /^(lib(c|m|dl|rt|pthread|gcc_s|stdc\+\+)\.so\.\d|ld-linux[-\w]*\.so\.\d)$/
/** Folders that no shipped file may name; LibTorch was built on another machine. */
const FOLDERS = { main: [root, homedir()], addon: [root, homedir()], libtorch: [root] }

const { values: options } = parseArgs({
  options: { release: { type: 'boolean' }, 'no-build': { type: 'boolean' } },
})
const problems = []
const sizes = []

try {
  const flags = options['no-build'] ? ['--no-build'] : []
  await run(process.execPath, ['scripts/build/pack-all.mjs', ...flags])
  const main = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const packages = platformPackages().map(({ manifest }) => manifest)
  checkPresence(main, packages)
  for (const manifest of packages) {
    const kind = manifest.declip.sources ? 'addon' : 'libtorch'
    await unpacked(manifest, kind, (folder, names) => checkLibraries(manifest, folder, names))
  }
  await unpacked(main, 'main', (folder, names) => checkMain(main, packages, folder, names))
} catch (error) {
  endWith(error)
}
for (const { name, packed, unpacked } of sizes)
  console.log(`${name}: ${packed} bytes packed, ${unpacked} unpacked`)
for (const problem of problems) console.error(problem)
if (problems.length > 0) process.exitCode = 1

function checkPresence(main, packages) {
  const platforms = options.release ? Object.keys(PLATFORMS) : [platformName()]
  for (const name of platforms.flatMap(platform => [platform, `libtorch-${platform}`])) {
    if (!packages.some(manifest => manifest.name === `${SCOPE}/${name}`))
      problems.push(`${SCOPE}/${name} is missing in prebuilds/`)
  }
  for (const { name, declip } of packages) {
    if (declip.libtorch !== packages[0].declip.libtorch)
      problems.push(
        `${name} is of LibTorch ${declip.libtorch}, others of ${packages[0].declip.libtorch}`,
      )
  }
  if (main.optionalDependencies) problems.push('package.json of the repository was not restored')
}

/** Unpacks a tarball, applies what holds for every package, then `check`. */
async function unpacked(manifest, kind, check) {
  const tarball = tarballOf(manifest)
  const folder = mkdtempSync(join(tmpdir(), 'declip-package-'))
  try {
    await extract({ file: tarball, cwd: folder, strip: 1 })
    const names = filesBelow(folder)
    const report = (...texts) => problems.push(...texts.map(text => `${manifest.name}: ${text}`))
    for (const name of REQUIRED[kind]) if (!names.includes(name)) report(`${name} is missing`)
    for (const name of names) {
      if (FORBIDDEN.test(name)) report(`${name} does not belong in`)
      const found = namedFolders(readFileSync(join(folder, name)), FOLDERS[kind])
      report(...found.map(text => `${name} ${text}`))
    }
    const packed = statSync(tarball).size
    const total = names.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
    sizes.push({ name: manifest.name, packed, unpacked: total })
    if (packed > LIMITS[kind]) report(`has ${packed} bytes, ${LIMITS[kind]} at most are wanted`)
    report(...(await check(folder, names)))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(({ parentPath, name }) => relative(folder, join(parentPath, name)).replaceAll('\\', '/'))
}

function checkLibraries(manifest, folder, names) {
  const found = []
  const platform = manifest.name.replace(/.*\/(libtorch-)?/, '')
  for (const [field, value] of Object.entries(PLATFORMS[platform])) {
    if (!isDeepStrictEqual(manifest[field], value)) found.push(`${field} is not ${value}`)
  }
  const libraries = names.filter(name => /\.(node|so[.\d]*|dylib|dll)$/.test(name))
  const bytes = libraries.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
  const readme = readFileSync(join(folder, 'README.md'), 'utf8')
  const [, stated] = /(\d+) MB on disk/.exec(readme) ?? []
  if (stated && Number(stated) !== Math.round(bytes / 1e6))
    found.push(`README.md states ${stated} MB on disk, the libraries have ${bytes} bytes`)
  if (!platform.startsWith('linux-')) return found
  const beside = new Set([
    'libtorch_cpu.so',
    'libc10.so',
    ...libraries.map(name => name.replace('lib/', '')),
  ])
  for (const name of libraries) {
    const elf = readElf(join(folder, name))
    found.push(...tooNew(elf).map(text => `${name} ${text}`))
    if (!elf.isStripped) found.push(`${name} holds symbols for debuggers`)
    const others = elf.needed.filter(library => !OF_THE_SYSTEM.test(library))
    for (const library of others) if (!beside.has(library)) found.push(`${name} needs ${library}`)
    if (others.length > 0 && elf.runpath !== '$ORIGIN')
      found.push(`${name} looks for libraries in '${elf.runpath}', not beside it`)
  }
  return found
}

async function checkMain(main, packages, folder, names) {
  const { messages, pkg } = await publint({ pkgDir: folder, pack: false, strict: true })
  const found = messages.map(message => formatMessage(message, pkg))
  const wanted = Object.fromEntries(packages.map(({ name, version }) => [name, version]))
  if (!isDeepStrictEqual(pkg.optionalDependencies, wanted))
    found.push(`optionalDependencies are not ${JSON.stringify(wanted)}`)
  for (const { name, version, declip } of packages)
    if (declip.sources && version !== main.version) found.push(`${name} has version ${version}`)
  const readme = readFileSync(join(folder, 'README.md'), 'utf8')
  const own = new RegExp(`/(libtorch-)?${platformName()}$`)
  found.push(...brokenLinks(readme, names).map(text => `README.md ${text}`))
  found.push(
    ...untrueSizes(
      readme,
      sizes.filter(({ name }) => name === main.name || own.test(name)),
    ),
  )
  return found
}
