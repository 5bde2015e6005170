/**
 * Writes the tables of what is refused into docs/guides/checkpoints.md, between their marks. They come from the
 * code (cpp/include/declip/refusal.h); a test of the core keeps the guide true.
 *
 *   node scripts/make/refusals.mjs [--debug]     --debug: of the debug build
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../build/common.mjs'

const GUIDE = join(root, 'docs/guides/checkpoints.md')
const BEGIN = '<!-- made by node scripts/make/refusals.mjs -->\n'
const END = '<!-- end -->\n'

const build = process.argv.includes('--debug') ? 'Debug' : 'Release'
const program = join(root, 'build', build, 'declip_core_tests')
const tables = execFileSync(program, ['--refusals'], { encoding: 'utf8' })
const guide = readFileSync(GUIDE, 'utf8')
const from = guide.indexOf(BEGIN)
const to = guide.indexOf(END, from)
if (from < 0 || to < 0) throw new Error(`${GUIDE} has no marks for the tables.`)
writeFileSync(GUIDE, `${guide.slice(0, from)}${BEGIN}\n${tables}\n${guide.slice(to)}`)
