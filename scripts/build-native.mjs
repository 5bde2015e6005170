/** Configures and builds the CMake targets of one preset. */
import { existsSync, readFileSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { join } from 'node:path'
import { filesUnder, fingerprint, root, run, step, unlessStamped } from './common.mjs'
import { hasProgram } from './tools.mjs'

const FOLDERS = { release: 'build/Release', debug: 'build/Debug', asan: 'build/asan' }
/** What the compiler takes for a file that includes ATen, in bytes. */
const MEMORY_PER_JOB = 2 ** 31

/** Returns the build's folder. */
export async function buildNative({ preset, libtorch, targets }) {
  const folder = FOLDERS[preset]
  const folders = targets.includes('declip_core_tests')
    ? ['cpp', 'binding', 'test/cpp']
    : ['cpp', 'binding']
  const sources = filesUnder(...folders, 'CMakeLists.txt', 'CMakePresets.json')
  const print = fingerprint(sources, libtorch)
  const names = targets.map(target => target.replace('declip_', '')).join(', ')
  await unlessStamped(`${folder}/${targets.join('+')}.stamp`, print, () =>
    step(`C++ (${preset}: ${names})`, async () => {
      await configure(preset, folder, libtorch)
      const jobs = process.env.CMAKE_BUILD_PARALLEL_LEVEL ?? jobsThatFit()
      await run('cmake', [
        '--build',
        '--preset',
        preset,
        '--parallel',
        `${jobs}`,
        '--target',
        ...targets,
      ])
    }),
  )
  return join(root, folder)
}

async function configure(preset, folder, libtorch) {
  const cache = join(root, folder, 'CMakeCache.txt')
  const fresh = !existsSync(cache)
  if (!fresh && readFileSync(cache, 'utf8').includes(`LIBTORCH:PATH=${libtorch}\n`)) return
  const generator = fresh && hasProgram('ninja') ? ['-G', 'Ninja'] : []
  await run('cmake', ['--preset', preset, ...generator, `-DLIBTORCH=${libtorch}`])
}

function jobsThatFit() {
  return Math.max(1, Math.min(availableParallelism(), Math.floor(totalmem() / MEMORY_PER_JOB)))
}
