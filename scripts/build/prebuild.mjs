/**
 * Builds the addon as `npm run build` does and writes this platform's packages into prebuilds/:
 *
 *   prebuilds/<platform>/           the addon, stripped
 *   prebuilds/libtorch-<platform>/  the libraries of LibTorch that it needs, stripped, and their licences
 *
 *   node scripts/build/prebuild.mjs
 */
import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { addonSources } from './addon-sources.mjs'
import {
  endWith,
  Failure,
  filesUnder,
  fingerprint,
  root,
  run,
  step,
  unlessStamped,
} from './common.mjs'
import { readElf } from './elf.mjs'
import { repositoryFields } from './manifest.mjs'
import { LIBTORCH_PACKING, PLATFORMS, platformName, SCOPE } from './platforms.mjs'

/** LibTorch's libraries that the addon needs, where they cannot be read from the first of them. */
const LIBRARIES = {
  darwin: /^lib(torch_cpu|c10|omp|iomp5)\.dylib$/,
  win32: /^(torch_cpu|c10|asmjit|fbgemm|uv|libiomp5md|libiompstubs5md)\.dll$/,
}

const platform = platformName()
const main = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

try {
  if (!PLATFORMS[platform]) {
    const known = Object.keys(PLATFORMS).join(', ')
    throw new Failure(`${platform} has no packages: LibTorch is built for ${known}.`)
  }
  await run(process.execPath, ['scripts/build/bootstrap.mjs', '--from-source', '--levels', 'all'])
  const { findLibtorch, LIBTORCH_VERSION } = await import('../../dist/engine/libtorch.js')
  const libtorch = findLibtorch({ headers: true }).dir
  requireVersion(libtorch, LIBTORCH_VERSION)
  writeAddonPackage(LIBTORCH_VERSION)
  await writeLibtorchPackage(libtorch, LIBTORCH_VERSION)
} catch (error) {
  endWith(error)
}

function writeAddonPackage(libtorch) {
  const folder = emptyFolder(platform)
  const addon = join(folder, 'declip-native.node')
  strip(join(root, 'build/Release/declip-native.node'), addon)
  for (const name of ['LICENSE', 'NOTICE']) cpSync(join(root, name), join(folder, name))
  writeManifest(folder, {
    version: main.version,
    description: `The native part of declip-native for ${platform}`,
    license: main.license,
    declip: { sources: addonSources(), libtorch },
    main: basename(addon),
  })
  const text = `The native part of [declip-native](https://www.npmjs.com/package/declip-native), which installs this package where it fits. It runs on LibTorch ${libtorch}.`
  writeFileSync(join(folder, 'README.md'), `# ${SCOPE}/${platform}\n\n${text}\n`)
}

async function writeLibtorchPackage(libtorch, version) {
  const name = `libtorch-${platform}`
  const files = librariesOf(join(libtorch, 'lib'))
  const states = files.map(file => {
    const { size, mtimeMs } = statSync(join(libtorch, 'lib', file))
    return [file, size, mtimeMs]
  })
  const inputs = filesUnder('scripts/build/prebuild.mjs', 'scripts/build/licenses')
  const print = fingerprint(
    inputs,
    realpathSync(libtorch),
    states,
    LIBTORCH_PACKING,
    repositoryFields(),
  )
  const stamp = `build/${name}.stamp`
  if (!existsSync(join(root, 'prebuilds', name))) rmSync(join(root, stamp), { force: true })
  await unlessStamped(stamp, print, () =>
    step(`LibTorch's package (${files.join(', ')})`, async () => {
      const folder = emptyFolder(name)
      mkdirSync(join(folder, 'lib'))
      for (const file of files) strip(join(libtorch, 'lib', file), join(folder, 'lib', file))
      const licenses = licensesOf(libtorch, version)
      if (licenses) {
        cpSync(licenses, join(folder, 'licenses'), { recursive: true })
        cpSync(join(licenses, 'LICENSE'), join(folder, 'LICENSE'))
      }
      const gcc = files.some(file => file.startsWith('libgomp'))
      if (gcc)
        cpSync(join(root, 'scripts/build/licenses'), join(folder, 'licenses/gcc'), {
          recursive: true,
        })
      writeManifest(folder, {
        version: LIBTORCH_PACKING ? `${version}-${LIBTORCH_PACKING}` : version,
        description: `The libraries of LibTorch ${version} (PyTorch, CPU) that declip-native needs on ${platform}`,
        license: 'SEE LICENSE IN NOTICE',
        declip: { libtorch: version },
      })
      writeFileSync(join(folder, 'NOTICE'), notice(version, gcc))
      writeFileSync(join(folder, 'README.md'), libtorchReadme(name, version, folder, files))
    }),
  )
}

/** The package is named by the version, so what is packed must be just that. */
function requireVersion(libtorch, version) {
  const header = readFileSync(join(libtorch, 'include/torch/headeronly/version.h'), 'utf8')
  const numbers = ['MAJOR', 'MINOR', 'PATCH'].map(
    part => new RegExp(`define TORCH_VERSION_${part} (\\d+)`).exec(header)?.[1],
  )
  if (numbers.join('.') !== version)
    throw new Failure(`${libtorch} is LibTorch ${numbers.join('.')}, ${version} is what is packed.`)
}

/** In the cache they lie beside lib/, where pip installed torch in the folder beside it. */
function licensesOf(libtorch, version) {
  const beside = readdirSync(join(libtorch, '..')).filter(
    name => name.startsWith(`torch-${version}`) && name.endsWith('.dist-info'),
  )
  const folders = [libtorch, ...beside.map(name => join(libtorch, '..', name))]
  const found = folders.map(folder => join(folder, 'licenses')).find(folder => existsSync(folder))
  if (found) return found
  console.log(
    `  may not be published: ${libtorch} lacks PyTorch's licences. \`pip install --no-deps --target FOLDER torch==${version}\` has them; then set LIBTORCH=FOLDER/torch.`,
  )
  return undefined
}

/** The libraries that the addon needs, and those of the same folder that they need in turn. */
function librariesOf(folder) {
  const names = readdirSync(folder)
  const pattern = LIBRARIES[process.platform]
  if (pattern) return names.filter(name => pattern.test(name))
  const found = []
  const visit = name => {
    if (found.includes(name) || !names.includes(name)) return
    found.push(name)
    for (const needed of readElf(join(folder, name)).needed) visit(needed)
  }
  visit('libtorch_cpu.so')
  return found.sort()
}

/** Copies a library without what only debuggers read; what loads it finds others beside it. */
function strip(from, to) {
  if (process.platform === 'linux') {
    execFileSync('strip', ['--strip-all', '-o', to, from])
    const { needed, runpath } = readElf(to)
    if (runpath !== '$ORIGIN' && needed.some(name => existsSync(join(from, '..', name))))
      throw new Failure(`${from} looks for its libraries in '${runpath}' instead of beside it.`)
  } else {
    cpSync(from, to)
    if (process.platform === 'darwin') execFileSync('strip', ['-x', to])
  }
}

function emptyFolder(name) {
  const folder = join(root, 'prebuilds', name)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  return folder
}

/** preferUnplugged: yarn's Plug'n'Play then unpacks the package, as libraries need. */
function writeManifest(folder, fields) {
  const manifest = {
    name: `${SCOPE}/${basename(folder)}`,
    ...fields,
    ...repositoryFields(),
    ...PLATFORMS[platform],
    engines: main.engines,
    preferUnplugged: true,
  }
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
}

function notice(version, gcc) {
  const lines = [
    `These are libraries of PyTorch ${version}, as its project built them; symbols for debuggers were taken out.`,
    'PyTorch is under a BSD-3-Clause licence: LICENSE.',
    'What it contains of others, each under its own licence: licenses/third_party.',
  ]
  if (gcc)
    lines.push(
      "libgomp is GCC's, under GPL-3.0-or-later with the GCC Runtime Library Exception 3.1: licenses/gcc.",
      'Its source is in the releases of GCC at https://gcc.gnu.org; `strings libgomp*` says which release.',
    )
  return `${lines.join('\n')}\n`
}

function libtorchReadme(name, version, folder, files) {
  const bytes = files.reduce((sum, file) => sum + statSync(join(folder, 'lib', file)).size, 0)
  return `# ${SCOPE}/${name}

The libraries of LibTorch ${version} (PyTorch, CPU) that
[declip-native](https://www.npmjs.com/package/declip-native) needs: ${files.join(', ')}.
${Math.round(bytes / 1e6)} MB on disk. declip-native installs this package where it fits, and finds it by itself.
`
}
