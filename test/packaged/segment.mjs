/** The check that every way of installing must pass. */
import { join } from 'node:path'
import { runNode } from './support.mjs'

/** Prints the share of each class, and where the addon and LibTorch were loaded from. */
const PROGRAM = `
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { segment } from 'declip-native'
const main = createRequire(import.meta.url).resolve('declip-native/package.json')
const park = join(main, '../models/scenes/park.png')
const seg = await segment(park, ['background', 'dog'], { model: 'words-tiny' })
console.log(JSON.stringify(seg.areas))
const loaded = process.report.getReport().sharedObjects
console.log(loaded.filter(path => /declip-native|torch|c10|gomp/.test(path)).join('\\n'))
`

/**
 * Segments a bundled picture in a project and checks that everything native comes from packages
 * below it, or below `from`.
 */
export async function segments(t, folder, { from = folder, args = [], ...options } = {}) {
  const program = ['--input-type=module', '-e', PROGRAM]
  const printed = await runNode(folder, [...args, ...program], options)
  const [areas, ...libraries] = printed.trim().split('\n')
  const [background, dog] = JSON.parse(areas)
  t.ok(dog > 0.02 && background > 0.5, areas)
  t.equal(libraries.length, 4, 'the addon and three libraries')
  for (const path of libraries) {
    t.ok(path.startsWith(join(from, '/')) && path.includes('@declip-native'), path)
  }
}
