/** Runs cases, each in a fresh process, and prints and saves what they measured. */
import { fork } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, release, totalmem, type } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { endWith, Failure, root, run } from '../scripts/build/common.mjs'
import { DEFAULT_FOLDER } from '../scripts/make/make-random-checkpoint.mjs'
import { cases } from './cases.mjs'
import { chart } from './chart.mjs'
import { updateDocs } from './docs.mjs'
import { brokenLimits, goalsOf, goalTable, lines, markdown } from './report.mjs'

const HELP = `npm run bench -- [filter...] [options]

Runs every case, or those whose name contains a filter, and writes build/bench/results.json,
results.md and chart.svg. Exits 1 if an answer is wrong, a case fails or a limit is broken.

  --list          names of all cases and how long the slow ones take
  --slow          slow cases too; without it they run only when named in full
  --setup-peers   prepares PyTorch and onnxruntime for the comparisons, once
  --docs          puts the last results' goals into docs/performance.md and docs/images/bench.svg
  --threads n     threads of every program; default: all processors
  --dtype name    number format of cases that do not fix it; default float32
  --repeat n      timed runs
  --cache folder  checkpoints and inputs; default ${DEFAULT_FOLDER}
  --out folder    results; default build/bench

Examples
  npm run bench                                  every case but the slow ones
  npm run bench -- --setup-peers                 once, before the comparisons
  npm run bench -- goals --slow                  every goal of the project
  npm run bench -- goals/encode --repeat 30      one of them, with more runs
  npm run bench -- kernels/linear --threads 1    packed linear layers on one thread
  npm run bench -- full-size/vit-b-16/itaclip    a slow case, by its whole name
  npm run bench -- --docs                        after a run: the documentation's table and chart`

const ARGUMENTS = {
  allowPositionals: true,
  options: {
    help: { type: 'boolean' },
    list: { type: 'boolean' },
    slow: { type: 'boolean' },
    'setup-peers': { type: 'boolean' },
    docs: { type: 'boolean' },
    threads: { type: 'string' },
    dtype: { type: 'string', default: 'float32' },
    repeat: { type: 'string' },
    cache: { type: 'string', default: DEFAULT_FOLDER },
    out: { type: 'string', default: join(root, 'build/bench') },
  },
}
const { values: options, positionals: filters } = readArguments()
const folder = resolve(options.cache)
const selected = cases.filter(({ name, slow }) =>
  filters.length === 0
    ? !slow || options.slow
    : filters.some(f => (slow && !options.slow ? name === f : name.includes(f))),
)

try {
  await main()
} catch (error) {
  endWith(error)
}

function readArguments() {
  try {
    return parseArgs(ARGUMENTS)
  } catch (error) {
    console.error(`${error.message.split('. ', 1)[0]}; --help lists the options.`)
    process.exit(2)
  }
}

async function main() {
  if (options.help) return console.log(`${HELP}\n\nCases\n${casesByGroup()}`)
  if (options.list) {
    for (const { name, slow } of cases) console.log(slow ? `${name} (slow: ${slow})` : name)
    return
  }
  if (options.docs) return updateDocs(options.out)
  if (selected.length === 0) {
    throw new Failure(`No case matches '${filters.join(' ')}'; --list shows them all.`)
  }
  await run(process.execPath, [join(root, 'scripts/build/bootstrap.mjs'), '--bench'])
  if (options['setup-peers']) {
    const { setUpPeers } = await import('./peers/setup.mjs') // needs what was built
    return setUpPeers(folder)
  }
  await runAll()
}

/** Names of the cases after the group that they share, a line or more per group. */
function casesByGroup() {
  const groups = new Map()
  for (const { name } of cases) {
    const [group, ...rest] = name.split('/')
    groups.set(group, [...(groups.get(group) ?? []), rest.join('/')])
  }
  const width = 78
  return [...groups]
    .map(([group, names]) => {
      const lines = [`  ${group}/`]
      for (const name of names) {
        const line = `${lines.at(-1)} ${name}`
        if (line.length <= width) lines[lines.length - 1] = line
        else lines.push(`    ${name}`)
      }
      return lines.join('\n')
    })
    .join('\n')
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
  const { dtype, threads, repeat } = options
  const request = { case: name, folder, dtype, repeat: repeat && Number(repeat) }
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
  const write = (name, text) => writeFileSync(join(options.out, name), text)
  mkdirSync(options.out, { recursive: true })
  write('results.json', `${JSON.stringify(report, null, 2)}\n`)
  write('results.md', markdown(report))
  const goals = goalsOf(results)
  if (goals.length > 0) {
    write('chart.svg', chart(goals))
    console.log(`\n${goalTable(goals)}`)
  }
  console.log(`\n${join(options.out, 'results.md')}`)
}
