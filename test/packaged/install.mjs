/** From the tarballs to a segmented picture: no install script, no compiler, no Python, no home. */
import { chmodSync, existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { segments } from './segment.mjs'
import { installedProject, project, runIn } from './support.mjs'

t.test('npm install of the tarballs, install scripts disabled, then a picture', async t => {
  t.equal(readdirSync(join(project, 'node_modules/@declip-native')).length, 2)
  await segments(t, project)
})

t.test('the command', async t => {
  const folder = installedProject(t)
  const picture = 'node_modules/declip-native/models/scenes/park.png'
  const args = ['declip', 'segment', picture, '--classes', 'background; dog', '--out', 'mask.png']
  const { code, stdout, stderr } = await runIn(folder, 'npx', args)
  t.equal(code, 0, stderr)
  t.match(stdout, /background +\d+\.\d %/)
  t.ok(existsSync(join(folder, 'mask.png')))
})

t.test('a path with spaces and letters of other scripts', async t => {
  await segments(t, installedProject(t, 'Мои фото – été 写真'))
})

t.test('packages of another user that cannot be written', async t => {
  const folder = installedProject(t)
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  for (const { parentPath, name } of entries.filter(entry => entry.isDirectory()))
    chmodSync(join(parentPath, name), 0o555)
  chmodSync(folder, 0o555)
  const nobody = process.getuid() === 0 ? { uid: 65534, gid: 65534 } : {}
  await segments(t, folder, nobody)
  chmodSync(folder, 0o755)
  for (const { parentPath, name } of entries.filter(entry => entry.isDirectory()))
    chmodSync(join(parentPath, name), 0o755)
})

t.test('no use of the network at run time', async t => {
  const folder = installedProject(t)
  writeFileSync(join(folder, 'no-network.cjs'), NO_NETWORK)
  await segments(t, folder, { args: ['--require', './no-network.cjs'] })
})

/** Ends the program at the first connection or question for an address. */
const NO_NETWORK = `
const end = what => () => {
  console.error(what, 'was used')
  process.exit(9)
}
require('node:net').Socket.prototype.connect = end('a connection')
require('node:dgram').Socket.prototype.send = end('a datagram')
for (const name of ['lookup', 'resolve', 'resolve4', 'resolve6']) {
  require('node:dns')[name] = end('DNS')
  require('node:dns').promises[name] = end('DNS')
}
globalThis.fetch = end('fetch')
`
