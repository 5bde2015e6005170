/** The package inside a packaged Electron application: a real archive, seen as Electron shows it. */
import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPackageWithOptions, extractAll, listPackage, statFile } from '@electron/asar'
import t from 'tap'
import { packageRoot as root } from '../../ts/base/package-files.js'
import { findLibtorch } from '../../ts/engine/libtorch.js'
import { addonPath } from '../../ts/engine/load-addon.js'
import { addonPackageName } from '../../ts/engine/platform-packages.js'
import { loadModel } from '../../ts/index.js'
import { plainEnv } from '../support/calls.js'

const example = join(root, 'examples/electron')
const hooks = join(root, 'test/support/asar-hooks.cjs')
const libtorch = findLibtorch()?.dir ?? ''
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'declip-asar-')))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const source = join(folder, 'source')
const archive = join(folder, 'app.asar')
const content = join(folder, 'content')

/** Files that the system's loader or C++ opens. */
const NATIVE = /\.(node|dylib|dll|so(\.\d+)*|safetensors)$/

interface Locked {
  dev?: boolean
  devOptional?: boolean
}

interface Config {
  packagerConfig: { asar: { unpack: string } }
}
const forge = forgeConfig().packagerConfig.asar.unpack
const builder: string[] = JSON.parse(
  readFileSync(join(example, 'electron-builder.json'), 'utf8'),
).asarUnpack

/** The configuration of Electron Forge, without the module that only it installs. */
function forgeConfig(): Config {
  const code = readFileSync(join(example, 'forge.config.cjs'), 'utf8')
  const module = { exports: {} as Config }
  const require = createRequire(import.meta.url)
  const fuses = { FuseV1Options: {}, FuseVersion: {} }
  const load = (name: string) => (name === '@electron/fuses' ? fuses : require(name))
  new Function('module', 'require', code)(module, load)
  return module.exports
}

/** An application with this package, what it depends on, and models of its own. */
async function makeApplication(): Promise<void> {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  for (const [path, { dev, devOptional }] of Object.entries<Locked>(packages)) {
    if (path.startsWith('node_modules/') && !dev && !devOptional && existsSync(join(root, path))) {
      cpSync(join(root, path), join(source, path), { recursive: true })
    }
  }
  const own = join(source, 'node_modules/declip-native')
  for (const path of ['package.json', 'dist', 'assets', 'models/words-tiny']) {
    cpSync(join(root, path), join(own, path), { recursive: true })
  }
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const addon = join(source, 'node_modules', addonPackageName())
  mkdirSync(addon, { recursive: true })
  writeFileSync(join(addon, 'package.json'), JSON.stringify({ name: addonPackageName(), version }))
  cpSync(addonPath(), join(addon, 'declip-native.node'))
  // Of no platform, so that nobody takes it for LibTorch.
  const torch = join(source, 'node_modules/@declip-native/libtorch-none/lib')
  mkdirSync(torch, { recursive: true })
  writeFileSync(join(torch, 'libtorch_cpu.so'), 'stands for 100 MB')

  const words = join(source, 'node_modules/declip-native/words')
  mkdirSync(words)
  const model = await loadModel('words-tiny')
  using vocabulary = await model.vocabulary(['background', 'dog'])
  await vocabulary.save(join(words, 'unpacked.safetensors'))
  cpSync(join(words, 'unpacked.safetensors'), join(source, 'packed.safetensors'))
  model.dispose()
  cpSync(join(root, 'models/scenes/park.png'), join(source, 'park.png'))
  writeFileSync(join(source, 'main.cjs'), MAIN)
}

const MAIN = `
const { join } = require('node:path')
const { loadModel, segment, Vocabulary } = require('declip-native')
const inside = name => join(__dirname, name)
const own = 'node_modules/declip-native/'
async function run() {
  const model = await loadModel()
  const { areas } = await segment(inside('park.png'), ['background', 'dog'], { model })
  const byPath = await loadModel(inside(own + 'models/words-tiny/model.safetensors'))
  const vocabulary = await Vocabulary.load(inside(own + 'words/unpacked.safetensors'), { model })
  const again = await segment(inside('park.png'), vocabulary, { model: byPath })
  const packed = await Vocabulary.load(inside('packed.safetensors'), { model }).catch(error => error)
  const { code, message } = packed
  return { path: model.info.path, areas, again: again.areas, code, message }
}
run().then(result => console.log(JSON.stringify(result)))
`

await makeApplication()

for (const [name, unpack] of [
  ['electron-builder', `{${builder.join(',')}}`],
  ['Electron Forge', forge],
] as const) {
  t.test(`the archive of ${name}`, async t => {
    rmSync(archive, { force: true })
    rmSync(`${archive}.unpacked`, { recursive: true, force: true })
    await createPackageWithOptions(source, archive, { unpack })
    const files = listPackage(archive, { isPack: false }).map(path => path.slice(1))
    const native = files.filter(path => NATIVE.test(path))
    const stats = native.map(
      path => ({ path, ...statFile(archive, path) }) as { path: string; unpacked?: boolean },
    )
    t.same(
      stats.filter(({ unpacked }) => !unpacked).map(({ path }) => path),
      ['packed.safetensors'],
    )
    for (const wanted of [
      /declip-native\.node$/,
      /libtorch_cpu\.so$/,
      /sharp-[^/]+\.node$/,
      /libvips-cpp/,
      /words-tiny/,
    ]) {
      t.ok(
        native.some(path => wanted.test(path)),
        String(wanted),
      )
    }
  })
}

t.test('from inside the archive everything native is opened beside it', t => {
  rmSync(content, { recursive: true, force: true })
  extractAll(archive, content)
  const program = `require(${JSON.stringify(join(archive, 'main.cjs'))})`
  const printed = execFileSync(process.execPath, ['--require', hooks, '--eval', program], {
    encoding: 'utf8',
    env: {
      ...plainEnv(),
      ASAR_ARCHIVE: archive,
      ASAR_CONTENT: content,
      LIBTORCH: libtorch,
      DECLIP_ADDON: '',
    },
  })
  const result = JSON.parse(printed)
  const unpacked = `${archive}.unpacked/node_modules/declip-native`
  t.equal(result.path, join(unpacked, 'models/words-tiny/model.safetensors'))
  t.equal(result.areas.length, 2)
  t.same(result.again, result.areas)
  t.equal(result.code, 'ERR_DECLIP_IO')
  t.match(result.message, /packed\.safetensors lies inside the archive .*app\.asar, .*asarUnpack/)
  t.end()
})
