/** A clone that has the platform packages installed compiles nothing while its C++ sources are theirs. */
import {
  appendFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { root } from '../../scripts/build/common.mjs'
import { emptyFolder, linkFolder, project, runIn, runNode } from './support.mjs'

/** What is no source, or too much. */
const LEFT = /^(build|dist|node_modules|prebuilds|test|\.git|\.tap|.*\.png)$/

/** The repository's sources and dependencies, with the platform packages. */
function clone(t) {
  const folder = emptyFolder(t, 'clone')
  for (const entry of readdirSync(root, { withFileTypes: true })) {
    if (LEFT.test(entry.name)) continue
    const [from, to] = [join(root, entry.name), join(folder, entry.name)]
    if (entry.isDirectory()) linkFolder(from, to)
    else linkSync(from, to)
  }
  linkFolder(join(root, 'dist'), join(folder, 'dist'))
  mkdirSync(join(folder, 'node_modules'))
  for (const name of readdirSync(join(root, 'node_modules')))
    symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name), 'junction')
  const packages = 'node_modules/@declip-native'
  rmSync(join(folder, packages), { force: true })
  linkFolder(join(project, packages), join(folder, packages))
  return folder
}

t.test('npm run demo takes the prebuilt addon', async t => {
  const folder = clone(t)
  const weights = join(folder, 'models/words-tiny/model.safetensors')
  rmSync(weights) // it is tracked compressed
  const without = await runIn(folder, process.execPath, ['dist/cli/main.js', 'info', 'words-tiny'])
  t.equal(without.code, 1)
  t.match(without.stderr, /^declip: ERR_DECLIP_IO: .*in a clone run `npm run build`/)
  const { code, stdout, stderr } = await runIn(folder, 'npm', ['run', 'demo'])
  t.equal(code, 0, stderr)
  t.match(stdout, '> Bundled model: unpacked')
  t.ok(readFileSync(weights).equals(readFileSync(join(root, weights.slice(folder.length)))))
  t.match(stdout, /nothing to compile, @declip-native\/\S+ \d\S* was built from these sources/)
  t.notOk(existsSync(join(folder, 'build/Release')))
  t.ok(existsSync(join(folder, 'demo-overlay.png')))

  t.comment('an older local build gives way, since it would be preferred')
  mkdirSync(join(folder, 'build/Release'), { recursive: true })
  writeFileSync(join(folder, 'build/Release/declip-native.node'), 'old')
  await runNode(folder, ['scripts/build/bootstrap.mjs'])
  t.notOk(existsSync(join(folder, 'build/Release/declip-native.node')))
})

t.test('changed sources and --from-source are compiled, or what that takes is said', async t => {
  const folder = clone(t)
  const bootstrap = (...flags) =>
    runIn(folder, process.execPath, ['scripts/build/bootstrap.mjs', ...flags])
  const forced = await bootstrap('--from-source')
  t.equal(forced.code, 1)
  t.match(forced.stderr, /A C\+\+20 compiler is missing.*CMake/s)
  t.match(forced.stderr, /npm install --no-save @declip-native\//)

  const source = 'cpp/runtime/memory.cpp'
  const text = readFileSync(join(folder, source))
  rmSync(join(folder, source)) // the link, not the repository's file
  writeFileSync(join(folder, source), text)
  appendFileSync(join(folder, source), '\n')
  const changed = await bootstrap()
  t.match(changed.stdout, /was built from other sources than these: they are compiled/)
  t.equal(changed.code, 1)
})

t.test('what npm pack changes in package.json', async t => {
  const folder = clone(t)
  const file = join(folder, 'package.json')
  const before = readFileSync(file, 'utf8')
  const manifest = (flag, env) =>
    runIn(folder, process.execPath, ['scripts/build/manifest.mjs', flag], { env })

  const early = await manifest('--pack')
  t.match(early.stderr, /no prebuilt addon. Run `npm run prebuild` first/)
  t.equal(early.code, 1)
  linkFolder(join(root, 'prebuilds'), join(folder, 'prebuilds'))
  t.equal((await manifest('--pack', { GITHUB_REPOSITORY: 'some/where' })).code, 0)
  const packed = JSON.parse(readFileSync(file, 'utf8'))
  t.equal(packed.repository.url, 'git+https://github.com/some/where.git')
  t.equal(packed.scripts ?? packed.devDependencies, undefined)
  for (const [name, version] of Object.entries(packed.optionalDependencies)) {
    const { version: own } = JSON.parse(
      readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8'),
    )
    t.equal(version, own, name)
  }
  t.equal((await manifest('--restore')).code, 0)
  t.equal(readFileSync(file, 'utf8'), before)

  appendFileSync(join(folder, 'binding/new.cpp'), '// another source\n')
  const stale = await manifest('--pack')
  t.match(stale.stderr, /was built from other sources. Run `npm run prebuild` again/)
  t.equal(readFileSync(file, 'utf8'), before)

  const publish = await manifest('--refuse')
  t.match(publish.stderr, /Only tarballs are published/)
  t.equal(publish.code, 1)
})
