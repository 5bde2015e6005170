/**
 * Runs cases, each in a fresh process, and prints and saves what they measured.
 *
 *   node bench/index.mjs [filter...] [--list] [--threads n] [--dtype float32] [--repeat n]
 *                        [--cache folder] [--out folder]
 *
 * filter   part of a case's name; a slow case needs its whole name
 * --cache  checkpoints and pictures, default declip-native-bench in the system's temporary folder
 * --out    results.json and results.md, default build/bench
 *
 * Exits 1 if an answer was wrong, a case failed, or a limit was broken.
 */
import { fork } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, release, totalmem, type } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { root } from '../scripts/common.mjs'
import { DEFAULT_FOLDER } from '../scripts/make-random-checkpoint.mjs'
import { cases } from './cases.mjs'
import { brokenLimits, lines, markdown } from './report.mjs'

const { values: options, positionals: filters } = parseArgs({
  allowPositionals: true,
  options: {
    list: { type: 'boolean' },
    threads: { type: 'string' },
    dtype: { type: 'string', default: 'float32' },
    repeat: { type: 'string' },
    cache: { type: 'string', default: DEFAULT_FOLDER },
    out: { type: 'string', default: join(root, 'build/bench') },
  },
})

const selected = cases.filter(({ name, slow }) =>
  filters.length === 0 ? !slow : filters.some(f => (slow ? name === f : name.includes(f))),
)
if (options.list) {
  for (const { name, slow } of cases) console.log(slow ? `${name} (slow)` : name)
} else if (selected.length === 0) {
  console.error(`No case matches '${filters.join(' ')}'; --list shows them all.`)
  process.exitCode = 1
} else {
  await runAll()
}

async function runAll() {
  const results = []
  const failed = []
  for (const { name } of selected) {
    try {
      const result = await runCase(name)
      results.push(result)
      console.log(`\n${lines(result)}`)
    } catch (error) {
      failed.push(name)
      console.error(`\n${name}: ${error.message}`)
    }
  }
  if (results.length > 0) save(results)
  const broken = brokenLimits(results).map(({ name }) => name)
  if (broken.length > 0) console.error(`Over their limit: ${broken.join(', ')}`)
  if (failed.length > 0) console.error(`Failed: ${failed.join(', ')}`)
  if (broken.length + failed.length > 0) process.exitCode = 1
}

/** Resolves to what bench/child.mjs sends. */
function runCase(name) {
  const { dtype, threads, repeat, cache } = options
  const request = { case: name, folder: resolve(cache), dtype, repeat: repeat && Number(repeat) }
  const child = fork(join(root, 'bench/child.mjs'), [JSON.stringify(request)], {
    env: { ...process.env, ...(threads && { DECLIP_THREADS: threads }) },
  })
  return new Promise((resolve, reject) => {
    let result
    child.on('message', message => {
      result = message
    })
    child.on('error', reject)
    child.on('exit', (code, signal) => {
      if (result && code === 0) resolve(result)
      else reject(new Error(`the process ended with ${signal ?? `exit code ${code}`}`))
    })
  })
}

function save(results) {
  const [{ libtorch, cpu }] = results
  const machine = {
    processor: `${cpus()[0]?.model}, ${cpus().length} cores, ${cpu}`,
    memory: `${(totalmem() / 1e9).toFixed(0)} GB`,
    system: `${type()} ${release()}`,
    node: process.version,
    libtorch,
  }
  const report = { date: new Date().toISOString(), machine, results }
  mkdirSync(options.out, { recursive: true })
  writeFileSync(join(options.out, 'results.json'), `${JSON.stringify(report, null, 2)}\n`)
  writeFileSync(join(options.out, 'results.md'), markdown(report))
  console.log(`\n${join(options.out, 'results.md')}`)
}
