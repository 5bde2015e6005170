/**
 * Shows that an evaluation comes to the same figures however it is done: in one go; killed with -9 at random moments
 * and resumed; in three parts that are merged. Every number of result.json must be the same to the last digit. Also
 * shows how much memory the run in one go held along the way.
 *
 *   node scripts/check/evaluation-proof.mjs [--pictures 500] [--kills 5] [--side 96] [--seed 1] [--out <folder>]
 *     [-- <options of declip eval>]
 *
 * Pictures are composed scenes (models/recipe/scenes/folder.mjs), the model is the bundled one.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { random } from '../../models/recipe/paint/random.mjs'
import { cutOutSprites, writeFolder } from '../../models/recipe/scenes/folder.mjs'
import { endWith, Failure, root } from '../build/common.mjs'

const MAIN = join(root, 'dist/cli/main.js')
const SHARDS = 3

/**
 * A way to do the evaluation, and what it came to.
 *
 * @typedef {object} Way
 * @property {string} name
 * @property {string} digest of result.json
 * @property {any} result
 * @property {number} seconds
 * @property {number[]} [kills] whole lines that were there when a run was killed
 * @property {number} lines of all results files
 * @property {[pictures: number, bytes: number][]} [memory] resident, by pictures done
 */

/**
 * @param {object} options
 * @param {string} options.data a plain data set folder
 * @param {number} options.pictures in it
 * @param {number} options.kills
 * @param {string} options.out an empty folder
 * @param {number | string} [options.seed] of the moments of the kills
 * @param {string[]} [options.args] further ones of `declip eval`
 * @param {(line: string) => void} [options.tell]
 * @returns {Promise<Way[]>}
 */
export async function prove({ data, pictures, kills, out, seed = 1, args = [], tell = () => {} }) {
  const evaluation = ['eval', '--dataset', 'folder', '--data', data, '--no-report', ...args]
  const base = [...evaluation, '--model', 'words-tiny']
  const ways = []
  const end = (name, folder, start, more) => {
    const file = join(folder, 'result.json')
    const bytes = readFileSync(file)
    const way = {
      name,
      digest: createHash('sha256').update(bytes).digest('hex'),
      result: JSON.parse(bytes.toString()),
      seconds: (performance.now() - start) / 1000,
      ...more,
    }
    ways.push(way)
    tell(`${name}: ${way.seconds.toFixed(1)} s, ${way.lines} lines, mIoU ${way.result.miou}`)
  }

  const one = join(out, 'one')
  let start = performance.now()
  const memory = await runToEnd([...base, '--out', one], join(one, 'results.jsonl'))
  end('in one go', one, start, { memory, lines: lineCount(join(one, 'results.jsonl')) })

  const killed = join(out, 'killed')
  const results = join(killed, 'results.jsonl')
  const rng = random('kills', seed)
  const moments = Array.from({ length: kills }, () => rng.int(1, pictures - 1)).sort(
    (a, b) => a - b,
  )
  start = performance.now()
  const seen = []
  for (const moment of moments) {
    const lines = await runAndKill([...base, '--out', killed, '--resume'], results, moment, rng)
    if (lines !== undefined) seen.push(lines)
  }
  await runToEnd([...base, '--out', killed, '--resume'], results)
  end(`killed at ${seen.join(', ')}`, killed, start, { kills: seen, lines: lineCount(results) })

  const parts = join(out, 'parts')
  start = performance.now()
  for (let i = SHARDS; i >= 1; i--) {
    const file = join(parts, `results-${i}-of-${SHARDS}.jsonl`)
    await runToEnd([...base, '--shard', `${i}/${SHARDS}`, '--out', parts], file)
  }
  const merged = join(out, 'merged')
  await runToEnd(['merge', parts, '--out', merged, '--no-report'])
  const lines = [1, 2, 3].map(i => lineCount(join(parts, `results-${i}-of-${SHARDS}.jsonl`)))
  end(`shards of ${lines.join(', ')}, merged`, merged, start, {
    lines: lines.reduce((a, b) => a + b, 0),
  })
  return ways
}

/** What differs between ways: nothing, if all is well. @param {Way[]} ways @param {number} pictures */
export function differences(ways, pictures) {
  const [first] = ways
  return ways.flatMap(({ name, result, digest, lines }) => [
    ...(result.pictures === pictures ? [] : [`${name}: ${result.pictures} pictures counted`]),
    ...(lines === pictures ? [] : [`${name}: ${lines} lines of results`]),
    ...(digest === first?.digest ? [] : [`${name}: another result.json`]),
  ])
}

function start(args) {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
  let errors = ''
  child.stderr.setEncoding('utf8').on('data', text => {
    errors = (errors + text).slice(-4000)
  })
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal, errors: () => errors }))
  })
  let over = false
  const mark = () => {
    over = true
  }
  ended.then(mark, mark)
  return { child, ended, isOver: () => over }
}

/** Runs the command line; gives the resident memory by lines of the file. */
async function runToEnd(args, file) {
  const { child, ended, isOver } = start(args)
  const memory = []
  while (!isOver()) {
    if (file && existsSync(file)) memory.push([lineCount(file), residentOf(child.pid)])
    await Promise.race([sleep(250), ended])
  }
  const { code, signal, errors } = await ended
  if (code !== 0) throw new Failure(`declip ${args[0]} ended with ${code ?? signal}: ${errors()}`)
  return memory.filter(([, bytes]) => bytes > 0)
}

/** Kills the run as soon as the file has more lines than that, some random time later. */
async function runAndKill(args, file, moment, rng) {
  const { child, ended, isOver } = start(args)
  const before = existsSync(file) ? lineCount(file) : 0
  // Where an earlier run has passed the moment already, a few more.
  const goal = Math.max(moment, before + 1)
  while (!isOver() && (existsSync(file) ? lineCount(file) : 0) < goal) await sleep(2)
  await sleep(rng.uniform(0, 40))
  child.kill('SIGKILL')
  const { code, signal, errors } = await ended
  if (signal === 'SIGKILL') return lineCount(file)
  if (code !== 0) throw new Failure(`declip eval ended with ${code}: ${errors()}`)
  return undefined
}

function lineCount(path) {
  const bytes = readFileSync(path)
  let count = 0
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) count++
  return count
}

/** Resident memory of a process in bytes; 0 where it cannot be read. */
function residentOf(pid) {
  try {
    const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return Number(kilobytes ?? 0) * 1024
  } catch {
    return 0
  }
}

/** Bytes a picture by least squares over the second half: before, V8's heap takes its size. @param {[number, number][]} memory */
export function memorySlope(memory) {
  const last = memory.at(-1)?.[0] ?? 0
  const settled = memory.filter(([pictures]) => pictures >= last / 2)
  const mean = list => list.reduce((a, b) => a + b, 0) / list.length
  const [x, y] = [mean(settled.map(([n]) => n)), mean(settled.map(([, bytes]) => bytes))]
  const over = settled.reduce((sum, [n, bytes]) => sum + (n - x) * (bytes - y), 0)
  return over / settled.reduce((sum, [n]) => sum + (n - x) ** 2, 0)
}

async function main() {
  const { values, positionals } = parseArgs({
    options: {
      pictures: { type: 'string', default: '500' },
      kills: { type: 'string', default: '5' },
      side: { type: 'string', default: '96' },
      seed: { type: 'string', default: '1' },
      out: { type: 'string' },
    },
    allowPositionals: true,
  })
  const [pictures, kills, side] = [values.pictures, values.kills, values.side].map(Number)
  const out = values.out ?? mkdtempSync(join(tmpdir(), 'declip-proof-'))
  if (existsSync(join(out, 'one'))) throw new Failure(`${out} has a proof already; name another.`)
  mkdirSync(out, { recursive: true })
  const data = join(out, 'scenes')
  await writeFolder(data, { count: pictures, side, sprites: await cutOutSprites() })
  const ways = await prove({
    data,
    pictures,
    kills,
    out,
    seed: values.seed,
    args: positionals,
    tell: console.log,
  })
  const figure = value => String(value)
  console.log(
    [
      '',
      '| way | mIoU | mAcc | aAcc | pictures | lines | result.json |',
      '| --- | --- | --- | --- | --- | --- | --- |',
      ...ways.map(
        ({ name, result, digest, lines }) =>
          `| ${name} | ${[result.miou, result.macc, result.aacc].map(figure).join(' | ')} | ${result.pictures} | ${lines} | ${digest.slice(0, 12)} |`,
      ),
      '',
    ].join('\n'),
  )
  const memory = ways[0]?.memory ?? []
  const mib = bytes => (bytes / 2 ** 20).toFixed(1)
  const at = share => memory.find(([done]) => done >= share * pictures)?.[1] ?? 0
  console.log(
    `Resident memory of the run in one go after a fifth, half and all: ${[0.2, 0.5, 0.98].map(share => mib(at(share))).join(', ')} MiB; ${(memorySlope(memory) / 1024).toFixed(1)} KiB a picture in the second half.`,
  )
  const found = differences(ways, pictures)
  if (!values.out) rmSync(out, { recursive: true, force: true })
  if (found.length > 0) throw new Failure(found.join('\n'))
  console.log('All the same.')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (statSync(MAIN, { throwIfNoEntry: false }) === undefined)
    console.error('Build first: npm run build')
  await main().catch(endWith)
}
