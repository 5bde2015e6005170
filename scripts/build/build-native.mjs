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

/** Returns the build's folder. `definitions` are added to those of the build. */
export async function buildNative({ build, libtorch, targets, definitions = [] }) {
  const { folder } = BUILDS[build]
  const own = targets.flatMap(target => SOURCES[target] ?? [])
  const sources = filesUnder('cpp', 'binding', ...own, 'CMakeLists.txt')
  const print = fingerprint(sources, libtorch, definitions)
  const names = targets.map(target => target.replace('declip_', '')).join(', ')
  await unlessStamped(`${folder}/${targets.join('+')}.stamp`, print, () =>
    step(`C++ (${build}: ${names})`, async () => {
      await configure(BUILDS[build], libtorch, definitions)
      const jobs = process.env.CMAKE_BUILD_PARALLEL_LEVEL ?? jobsThatFit()
      await run('cmake', ['--build', folder, '--parallel', `${jobs}`, '--target', ...targets])
    }),
  )
  return join(root, folder)
}

async function configure({ folder, config, definitions = [] }, libtorch, more) {
  const cache = join(root, folder, 'CMakeCache.txt')
  const done = existsSync(cache) ? readFileSync(cache, 'utf8') : undefined
  const fits = done?.includes(`LIBTORCH:PATH=${libtorch}\n`) && done.includes('CMAKE_JS_VERSION')
  if (fits && more.length === 0) return
  const all = [`LIBTORCH:PATH=${libtorch}`, ...definitions, ...more]
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

function jobsThatFit() {
  return Math.max(1, Math.min(availableParallelism(), Math.floor(totalmem() / MEMORY_PER_JOB)))
}
