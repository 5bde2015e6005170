/**
 * Runs the tests written for tap, each file a program of its own, several at a time.
 * Those in TypeScript are compiled once, to build/test: a loader in every program costs more than
 * most of them do.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { filesUnder, root, run } from '../build/common.mjs'

const COMPILED = 'build/test'
/** What tests find by its place beside them. */
const BESIDE = ['dist', 'examples', 'models', 'test/fixtures', 'test/lifetime/scripts']
/** What tap's own runner loads for tests that replace a module. */
const MOCKS = pathToFileURL(join(root, 'node_modules/@tapjs/mock/dist/esm/import.mjs')).href
const DURATIONS = join(root, COMPILED, 'durations.json')
/** Programs at a time: one more than cores, since many wait for processes of their own. */
const JOBS = availableParallelism() + 1
const TIMEOUT = 600_000
/**
 * The user's own default model is not for tests, as .taprc has it; several programs share the cores,
 * and more threads than cores wait for one another.
 */
const TEST_ENV = { DECLIP_MODEL: 'words-tiny', DECLIP_THREADS: '1' }

/** Every test file, as .taprc names them. */
export function testFiles() {
  const typescript = filesUnder('test/ts', 'test/golden', 'test/property', 'test/lifetime').filter(
    file => file.endsWith('.ts') && !file.endsWith('/support.ts'),
  )
  const scripts = filesUnder('test/recipe', 'test/scripts').filter(
    file => file.endsWith('.mjs') && !file.endsWith('/support.mjs'),
  )
  return [...typescript, ...scripts]
}

/** The tests of the packed package, which need it prepared (packaged.mjs). */
export function packagedTestFiles() {
  return filesUnder('test/packaged').filter(file =>
    /^test\/packaged\/(?!support|segment)[^/]*\.mjs$/.test(file),
  )
}

/** Checks the types of all of TypeScript and writes it as JavaScript. */
export async function compileTests() {
  await run(process.execPath, [
    join(root, 'node_modules/typescript/bin/tsc'),
    '-p',
    'tsconfig.test.json',
  ])
  for (const path of BESIDE) {
    const link = join(root, COMPILED, path)
    rmSync(link, { recursive: true, force: true })
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(join(root, path), link, 'junction')
  }
}

/** Adds to `counts`; prints a line for each file, and all of what a file printed that failed. */
export async function runTests(files, counts, { env = {} } = {}) {
  const durations = readDurations()
  // the longest first, so that none is left alone at the end
  const waiting = [...files].sort((a, b) => (durations[b] ?? 0) - (durations[a] ?? 0))
  const work = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const result = await runFile(file, env)
      for (const key of Object.keys(counts)) counts[key] += result[key]
      durations[file] = result.seconds
      report(file, result)
    }
  }
  await Promise.all(Array.from({ length: JOBS }, work))
  writeFileSync(DURATIONS, JSON.stringify(durations))
}

async function runFile(file, env) {
  const compiled = file.endsWith('.ts') ? join(COMPILED, file.replace(/\.ts$/, '.js')) : file
  const start = performance.now()
  const mocks = readFileSync(join(root, file), 'utf8').includes('mockImport')
    ? ['--import', MOCKS]
    : []
  const child = spawn(process.execPath, [...mocks, '--expose-gc', compiled], {
    cwd: root,
    env: { ...process.env, ...TEST_ENV, TAP_TIMEOUT: `${TIMEOUT / 1000}`, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: TIMEOUT,
    killSignal: 'SIGKILL',
  })
  let [out, err] = ['', '']
  child.stdout.setEncoding('utf8').on('data', text => {
    out += text
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    err += text
  })
  const ended = await new Promise(resolve => {
    child.on('error', error => resolve(error.message))
    child.on('close', (code, signal) =>
      resolve(code === 0 ? undefined : (signal ?? `exit ${code}`)),
    )
  })
  const seconds = (performance.now() - start) / 1000
  // The last lines of a whole run: # { total: 6, pass: 4, fail: 1, skip: 1 }
  const summary = /^# \{ (total: .*)\}/m.exec(out.slice(out.lastIndexOf('\n# {') + 1))?.[1] ?? ''
  const count = name => Number(new RegExp(`\\b${name}: (\\d+)`).exec(summary)?.[1] ?? 0)
  const passed = count('pass')
  let failed = count('fail')
  if (failed === 0 && (ended !== undefined || passed === 0)) failed = 1
  return { passed, failed, skipped: count('skip') + count('todo'), seconds, ended, out, err }
}

function report(file, { passed, failed, skipped, seconds, ended, out, err }) {
  const line = `${passed} passed${skipped ? `, ${skipped} skipped` : ''}, ${seconds.toFixed(1)} s`
  console.log(`  ${failed > 0 ? `FAILED (${ended ?? 'nothing ran'})` : 'ok'} ${file}: ${line}`)
  for (const reason of out.matchAll(/# SKIP(.*)$/gm)) console.log(`    skipped:${reason[1]}`)
  if (failed === 0) return
  console.log(failures(out))
  if (err !== '') console.log(err.slice(-4000))
}

/** Of what tap printed, the checks that failed with what is said of them. */
function failures(out) {
  const lines = out.split('\n')
  const kept = []
  let inside = false
  for (const line of lines) {
    if (/^ *not ok /.test(line)) inside = true
    else if (/^ *(ok|# Subtest|1\.\.)/.test(line)) inside = false
    if (inside) kept.push(line)
  }
  return kept.length > 0 ? kept.slice(0, 400).join('\n') : out.slice(-4000)
}

function readDurations() {
  try {
    return JSON.parse(readFileSync(DURATIONS, 'utf8'))
  } catch {
    return {}
  }
}
