/** Where the core's own bench program lies once it is built. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../scripts/build/common.mjs'

const PATH = join(
  root,
  'build/Release',
  process.platform === 'win32' ? 'declip_bench.exe' : 'declip_bench',
)

export function kernelsProgram() {
  return existsSync(PATH) ? PATH : undefined
}
