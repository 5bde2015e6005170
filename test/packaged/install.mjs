/** From the tarballs to a segmented picture: no install script, no compiler, no Python, no home. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { installedProject, project, runIn, runNode } from './support.mjs'

/** Prints the share of each class, and where the addon and LibTorch were loaded from. */
const SEGMENT = `
import { segment } from 'declip-native'
const park = 'node_modules/declip-native/models/scenes/park.png'
const seg = await segment(park, ['background', 'dog'], { model: 'words-tiny' })
console.log(JSON.stringify(seg.areas))
console.log(process.report.getReport().sharedObjects.filter(path => /declip|torch|c10|gomp/.test(path)).join('\\n'))
`

/** Runs SEGMENT in a project and checks that everything native comes from within it. */
async function segments(t, folder, options) {
  const printed = await runNode(folder, ['--input-type=module', '-e', SEGMENT], options)
  const [areas, ...libraries] = printed.trim().split('\n')
  const [background, dog] = JSON.parse(areas)
  t.ok(dog > 0.02 && background > 0.5, areas)
  t.equal(libraries.length, 4, 'the addon and three libraries')
  for (const path of libraries)
    t.ok(path.startsWith(join(folder, 'node_modules/@declip-native/')), path)
}

t.test(
  'npm install of the tarballs, install scripts disabled, then a segmented picture',
  async t => {
    t.strictSame(readdirSync(join(project, 'node_modules/@declip-native')).sort().length, 2)
    await segments(t, project)
  },
)

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
