/** Configures (through cmake-js) and builds CMake targets. */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism, totalmem } from 'node:os'
import { join } from 'node:path'
import { filesUnder, fingerprint, root, run, step, unlessStamped } from './common.mjs'

/** CMake's build type and further definitions, by name; each has its folder under build/. */
const BUILDS = {
  release: { folder: 'build/Release', config: 'Release' },
  debug: { folder: 'build/Debug', config: 'Debug' },
  cuda: { folder: 'build/cuda', config: 'Release', definitions: ['DECLIP_CUDA=ON'] },
  asan: { folder: 'build/asan', config: 'RelWithDebInfo', definitions: ['DECLIP_SANITIZE=ON'] },
}
/** Folders that only one target is made of. */
const SOURCES = { declip_core_tests: 'test/cpp', declip_bench: 'bench/kernels' }
/** What the compiler takes for a file that includes ATen, in bytes. */
const MEMORY_PER_JOB = 2 ** 31
/** What one step of the build takes of a processor's core, roughly. */
const SECONDS_PER_STEP = 7

/**
 * Returns the build's folder. `definitions` are added to those of the build. `levels`: the kernels'
 * instruction sets, 'all' or 'native' (this machine's best alone, unless the folder has all).
 */
export async function buildNative({
  build,
  libtorch,
  targets,
  levels = 'all',
  definitions: more = [],
}) {
  const { folder } = BUILDS[build]
  const every = levels === 'all' || configuredWith(folder, ['DECLIP_LEVELS=all'])
  const levelsBuilt = every ? 'all' : 'native'
  const definitions = [`LIBTORCH:PATH=${libtorch}`, `DECLIP_LEVELS:STRING=${levelsBuilt}`, ...more]
  const own = targets.flatMap(target => SOURCES[target] ?? [])
  const sources = filesUnder('cpp', 'binding', ...own, 'CMakeLists.txt')
  const print = fingerprint(sources, definitions)
  const names = targets.map(target => target.replace('declip_', '')).join(', ')
  await unlessStamped(`${folder}/${targets.join('+')}.stamp`, print, () =>
    step(`C++ (${build}: ${names})`, async () => {
      await configure(BUILDS[build], definitions)
      const jobs = process.env.CMAKE_BUILD_PARALLEL_LEVEL ?? jobsThatFit()
      const args = ['--build', folder, '--parallel', `${jobs}`, '--target', ...targets]
      await run('cmake', args, { onLine: progressOf(jobs) })
    }),
  )
  return join(root, folder)
}

/** Whether a build's folder was configured with all of these: `NAME=value` or `NAME:TYPE=value`. */
function configuredWith(folder, definitions) {
  const cache = join(root, folder, 'CMakeCache.txt')
  if (!existsSync(cache)) return false
  const withoutType = text => text.replace(/^(\w+):\w+=/, '$1=')
  const lines = new Set(readFileSync(cache, 'utf8').split('\n').map(withoutType))
  const byCmakeJs = [...lines].some(line => line.startsWith('CMAKE_JS_VERSION='))
  return byCmakeJs && definitions.every(text => lines.has(withoutType(text)))
}

async function configure({ folder, config, definitions = [] }, more) {
  const all = [...definitions, ...more]
  if (configuredWith(folder, all)) return
  const defined = all.map(text => `--CD${text}`)
  const cmakeJs = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js')
  await run(process.execPath, [
    cmakeJs,
    'configure',
    '--out',
    folder,
    '--config',
    config,
    '--log-level',
    'warn',
    ...defined,
  ])
}

/**
 * What is printed of a build's lines, Ninja's `[3/18] Building ...` or Make's `[ 17%] Building ...`:
 * how long it will take at the first, every fifth of the way, and whatever is no step.
 */
function progressOf(jobs) {
  const start = performance.now()
  let announced = false
  let fifths = 0
  return line => {
    const [, part, all] = /^\[ *(\d+)(?:\/(\d+)|%)\] /.exec(line) ?? []
    if (part === undefined) {
      if (!line.startsWith('ninja: no work') && line !== '') console.log(line)
      return
    }
    const total = all ? Number(all) : 100
    const done = Number(part) / total
    if (total <= 4) return // CMake looks for new files
    if (!announced && all) {
      const minutes = Math.max(1, Math.round((total * SECONDS_PER_STEP) / jobs / 60))
      console.log(`  ${total} steps, about ${minutes} minute${minutes > 1 ? 's' : ''}, this once`)
      announced = true
    }
    if (Math.floor(5 * done) === fifths || done === 1) return
    fifths = Math.floor(5 * done)
    const left = Math.round(((performance.now() - start) / 1000) * (1 / done - 1))
    console.log(`  ${20 * fifths} %, about ${left} s left`)
  }
}

function jobsThatFit() {
  return Math.max(1, Math.min(availableParallelism(), Math.floor(totalmem() / MEMORY_PER_JOB)))
}
