/**
 * Every check of the repository, one after the other; the last line counts them all.
 *
 *   node scripts/check/test.mjs [--debug]
 */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Failure, filesUnder, root, run } from '../build/common.mjs'
import { ARCHITECTURES, compileCuda, cudaSources, findNvcc } from '../cuda/cuda.mjs'
import { unpackFixtures } from '../make/fixtures.mjs'
import { lint } from './lint.mjs'

const { values: options } = parseArgs({ options: { debug: { type: 'boolean' } } })
const build = options.debug ? 'build/Debug' : 'build/Release'
const total = { passed: 0, failed: 0, skipped: 0 }

unpackFixtures()
await stage('Lint and formats', counts => lint({ fix: false }, counts))
await stage('Type tests', typeTests)
await stage('Core (C++)', coreTests)
await stage('CUDA (compiled, not run)', cudaTests)
await stage('API, golden, property and lifetime tests', apiTests)

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
  const found = await tsd({ cwd: root, typingsFile: 'dist/esm/index.d.ts', testFiles: files })
  if (found.length > 0) console.log(formatter(found, true))
  const broken = new Set(found.map(({ fileName }) => fileName)).size
  counts.failed = broken
  counts.passed = Math.max(0, files.length - broken)
  if (broken > 0) throw new Failure(`${broken} file(s) of type tests do not hold.`)
}

async function coreTests(counts) {
  // The kernels are compiled for two instruction sets: the processor's best, then the base.
  for (const env of [{}, { DECLIP_CPU_LEVEL: 'base' }]) {
    await run(join(root, build, 'declip_core_tests'), [], {
      env,
      onLine(line) {
        const [, failed, skipped] = /^(not )?ok \d+ [^#]*(# SKIP)?/.exec(line) ?? [line]
        if (/^(not )?ok /.test(line)) {
          counts[failed ? 'failed' : skipped ? 'skipped' : 'passed'] += 1
        }
        if (!line.startsWith('ok ') || skipped) console.log(line)
      },
    })
  }
  if (counts.passed === 0) throw new Failure('The core has run no test.')
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
  for (const file of cudaSources()) {
    try {
      await compileCuda(nvcc, file, some)
      counts.passed += 1
    } catch (error) {
      counts.failed += 1
      console.error(error.message)
    }
  }
  const left = ARCHITECTURES.filter(arch => !some.includes(arch)).join(', sm_')
  console.log(`compiled for sm_${some.join(' and sm_')}; not for sm_${left} (npm run check:cuda)`)
}

async function apiTests(counts) {
  const results = '.tap/results.tap'
  const env = options.debug ? { DECLIP_ADDON: join(root, build, 'declip-native.node') } : {}
  // Away from a terminal the reporter redraws its progress unless it knows that nobody watches.
  if (!process.stdout.isTTY) env.CI = 'true'
  const tap = join(root, 'node_modules/tap/dist/esm/run.mjs')
  const args = [tap, '--reporter=base', `--output-file=${results}`]
  const failure = await run(process.execPath, args, { env }).catch(error => error)
  const text = existsSync(join(root, results)) ? readFileSync(join(root, results), 'utf8') : ''
  // The last line but one: # { total: 6, pass: 4, fail: 1, skip: 1 }
  const summary = text.slice(text.lastIndexOf('# {'))
  const count = name => Number(new RegExp(`\\b${name}: (\\d+)`).exec(summary)?.[1] ?? 0)
  counts.passed = count('pass')
  counts.failed = count('fail')
  counts.skipped = count('skip') + count('todo')
  if (failure) throw failure
  if (counts.passed === 0) throw new Failure('tap has run no test.')
}
