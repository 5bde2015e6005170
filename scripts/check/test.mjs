/**
 * Every check of the repository, one after the other; the last line counts them all.
 *
 *   node scripts/check/test.mjs [--debug] [--quick]
 *
 * --debug  of the debug build
 * --quick  for the edit loop: leaves out what takes long, and says what
 */
import { mkdtempSync, rmSync, statfsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { installTools } from '../../test/packaged/tools/install.mjs'
import { Failure, filesUnder, fingerprint, root, run, unlessStamped } from '../build/common.mjs'
import { ARCHITECTURES, compileCuda, cudaSources, findNvcc } from '../cuda/cuda.mjs'
import { unpackFixtures } from '../make/fixtures.mjs'
import { packagedTestFiles, runTests, testFiles } from './api-tests.mjs'
import { lint } from './lint.mjs'
import { preparePackages } from './packaged.mjs'

/** What `--quick` leaves out: files and folders whose tests take most of the time. */
const SLOW = [
  'test/golden/bundled-model',
  'test/golden/itaclip-pipeline',
  'test/lifetime/',
  'test/property/',
  'test/recipe/',
  'test/scripts/',
  'test/ts/asar',
  'test/ts/cli/main',
  'test/ts/cli/model',
  'test/ts/electron-example',
  'test/ts/image/source',
  'test/ts/package',
  'test/ts/train/',
]

/** Likewise of the core: parts of the names of files and tests. */
const SLOW_IN_CORE = ['emulated', 'ranks', 'train_losses', 'trainer', 'memory', 'recorded']

const { values: options } = parseArgs({
  options: { debug: { type: 'boolean' }, quick: { type: 'boolean' } },
})
const build = options.debug ? 'build/Debug' : 'build/Release'
const total = { passed: 0, failed: 0, skipped: 0 }

// Files that are forced to the disk cost most of what tests of files take: in memory they cost nothing.
const scratch = scratchFolder()
const env = scratch ? { TMPDIR: scratch } : {}

unpackFixtures()
await stage('Lint and formats', counts => lint({ fix: false, compile: true }, counts))
if (!options.quick) await stage('Type tests', typeTests)
await stage('Core (C++)', coreTests)
if (!options.quick) await stage('CUDA (compiled, not run)', cudaTests)
await stage('API, golden, property and lifetime tests', apiTests)
if (!options.quick && !options.debug) await stage('The packed package', packagedTests)
if (scratch) rmSync(scratch, { recursive: true, force: true })

const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : ''
console.log(`\n${total.passed} passed, ${total.failed} failed${skipped}`)
process.exitCode = total.failed > 0 ? 1 : 0

/** Adds what `check` counted; a stage that fails without counting anything is one failed test. */
async function stage(name, check) {
  console.log(`\n== ${name}`)
  const start = performance.now()
  const counts = { passed: 0, failed: 0, skipped: 0 }
  try {
    await check(counts)
  } catch (error) {
    if (counts.failed === 0) counts.failed = 1
    console.error(error instanceof Failure ? error.message : error)
  }
  for (const key of Object.keys(total)) total[key] += counts[key]
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  console.log(`   ${counts.passed} passed, ${counts.failed} failed in ${seconds} s`)
}

async function typeTests(counts) {
  const files = filesUnder('test/types').filter(file => file.endsWith('.test-d.ts'))
  const { default: tsd, formatter } = createRequire(import.meta.url)('tsd')
  const found = await tsd({ cwd: root, typingsFile: 'dist/index.d.ts', testFiles: files })
  if (found.length > 0) console.log(formatter(found, true))
  const broken = new Set(found.map(({ fileName }) => fileName)).size
  counts.failed = broken
  counts.passed = Math.max(0, files.length - broken)
  if (broken > 0) throw new Failure(`${broken} file(s) of type tests do not hold.`)
}

async function coreTests(counts) {
  const left = options.quick ? SLOW_IN_CORE.map(name => `-${name}`) : []
  if (left.length > 0) console.log(`left to npm test without --quick: ${SLOW_IN_CORE.join(', ')}`)
  const program = level =>
    run(join(root, build, 'declip_core_tests'), left, {
      // two programs share the cores, so that waiting threads must not keep them busy
      env: { ...env, ...level, OMP_WAIT_POLICY: 'passive' },
      onLine(line) {
        const [, failed, skipped] = /^(not )?ok \d+ [^#]*(# SKIP)?/.exec(line) ?? [line]
        if (/^(not )?ok /.test(line)) {
          counts[failed ? 'failed' : skipped ? 'skipped' : 'passed'] += 1
        }
        if (!line.startsWith('ok ') || skipped) console.log(line)
      },
    })
  // The kernels are compiled for two instruction sets: the processor's best, and the base. Most
  // tests keep one core busy, so both programs run at once.
  const levels = options.quick ? [{}] : [{}, { DECLIP_CPU_LEVEL: 'base' }]
  const ended = await Promise.allSettled(levels.map(program))
  if (counts.passed === 0) throw new Failure('The core has run no test.')
  const failure = ended.find(({ status }) => status === 'rejected')
  if (failure) throw failure.reason
}

/** Compiles the CUDA files for two architectures, which keeps it short; `check:cuda` takes all. */
async function cudaTests(counts) {
  const nvcc = findNvcc()
  if (!nvcc) {
    counts.skipped = 1
    console.log('# SKIP no CUDA file was compiled: nvcc was not found')
    return
  }
  const some = ['80', '90']
  const files = cudaSources()
  const print = fingerprint(filesUnder('cpp/kernels', 'cpp/include'), nvcc, some)
  const compiled = await unlessStamped('build/cuda-compiled.stamp', print, async () => {
    for (const file of files) {
      try {
        await compileCuda(nvcc, file, some)
        counts.passed += 1
      } catch (error) {
        counts.failed += 1
        console.error(error.message)
      }
    }
    if (counts.failed > 0) throw new Failure(`${counts.failed} CUDA file(s) do not compile.`)
  })
  if (!compiled) {
    counts.passed = files.length
    console.log('unchanged since they last compiled here')
  }
  const left = ARCHITECTURES.filter(arch => !some.includes(arch)).join(', sm_')
  console.log(`compiled for sm_${some.join(' and sm_')}; not for sm_${left} (npm run check:cuda)`)
}

async function apiTests(counts) {
  if (options.debug) env.DECLIP_ADDON = join(root, build, 'declip-native.node')
  const files = testFiles()
  const left = options.quick ? files.filter(file => SLOW.some(path => file.startsWith(path))) : []
  await runTests(
    files.filter(file => !left.includes(file)),
    counts,
    { env },
  )
  if (left.length > 0) console.log(`left to npm test without --quick: ${left.join(', ')}`)
  if (counts.passed === 0) throw new Failure('No test of the API has run.')
}

/** Of the release build alone, which is what is packed. */
async function packagedTests(counts) {
  const [packed] = await Promise.all([preparePackages(), installTools()])
  await runTests(packagedTestFiles(), counts, { env: { DECLIP_PACKED: JSON.stringify(packed) } })
}

/** A folder of our own in memory where that has room, else undefined. */
function scratchFolder() {
  try {
    const { bavail, bsize } = statfsSync('/dev/shm')
    return bavail * bsize > 2 ** 32 ? mkdtempSync('/dev/shm/declip-tests-') : undefined
  } catch {
    return undefined
  }
}
