/** An installation without LibTorch's package: what a call says, and the way out in a program and as a command. */
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { installedProject, runIn, runNode, tarballs } from './support.mjs'

/** A project of the main package and the addon's. */
function projectWithoutLibtorch(t) {
  const folder = installedProject(t)
  const scope = join(folder, 'node_modules/@declip-native')
  const [libtorch] = readdirSync(scope).filter(name => name.startsWith('libtorch-'))
  rmSync(join(scope, libtorch), { recursive: true })
  return folder
}

const PROGRAM = `
import { doctor, segment, setup } from 'declip-native'
const states = async () => Object.fromEntries((await doctor()).map(({ name, state }) => [name, state]))
const park = 'node_modules/declip-native/models/scenes/park.png'
const error = await segment(park, ['dog'], { model: 'words-tiny' }).catch(error => error)
const before = await states()
const steps = new Set()
const { dir, sha256 } = await setup({ from: process.argv[1], onProgress: ({ step }) => steps.add(step) })
const seg = await segment(park, ['background', 'dog'], { model: 'words-tiny' })
console.log(JSON.stringify({ error, before, dir, sha256, steps: [...steps], areas: seg.areas, after: await states() }))
`

t.test('a program: the error names the ways, setup() takes the tarball, then it runs', async t => {
  const folder = projectWithoutLibtorch(t)
  const env = { DECLIP_CACHE: join(folder, 'cache') }
  const args = ['--input-type=module', '-e', PROGRAM, tarballs.libtorch]
  const { error, before, dir, sha256, steps, areas, after } = JSON.parse(
    await runNode(folder, args, { env }),
  )
  t.equal(error.code, 'ERR_DECLIP_LIBTORCH')
  for (const way of ['npx declip setup', 'await setup()', 'npm install @declip-native/libtorch-'])
    t.ok(error.message.includes(way), error.message)
  t.match(before, { 'Native part': 'ok', LibTorch: 'failed', Loading: 'skipped', GPU: 'skipped' })
  t.ok(dir.startsWith(env.DECLIP_CACHE))
  t.match(sha256, /^[\da-f]{64}$/)
  t.same(steps, ['unpack'], 'nothing is downloaded')
  t.ok(areas[0] > 0.5)
  t.equal(after.Loading, 'ok')
})

t.test('the command: one line without LibTorch, setup --from, then it runs', async t => {
  const folder = projectWithoutLibtorch(t)
  const env = { DECLIP_CACHE: join(folder, 'cache'), DECLIP_MODEL: 'words-tiny' }
  const declip = (...args) => runIn(folder, 'npx', ['declip', ...args], { env })
  const picture = 'node_modules/declip-native/models/scenes/park.png'
  const missing = await declip('segment', picture, '--classes', 'background; dog')
  t.equal(missing.code, 1)
  t.match(missing.stderr, /^declip: ERR_DECLIP_LIBTORCH: [^\n]{0,400}\n$/)
  const setup = await declip('setup', '--from', tarballs.libtorch)
  t.equal(setup.code, 0, setup.stderr)
  t.match(setup.stderr, /unpack 100 %/)
  t.equal((await declip('doctor')).code, 0)
  t.equal((await declip('segment', picture, '--classes', 'background; dog')).code, 0)
})
