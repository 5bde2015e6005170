/**
 * The smoke suite, from the packed package, in every runtime that npm has for this machine. What came
 * out is the table of docs/guides/runtimes.md.
 *
 *   node test/packaged/runtimes.mjs [--write]
 *
 * --write  writes the table into the guide
 */
import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { root } from '../../scripts/build/common.mjs'
import { installedProject, runIn } from './support.mjs'
import { installTools, tool } from './tools/install.mjs'

const GUIDE = join(root, 'docs/guides/runtimes.md')
const TABLE = /(?<=<!-- what works where -->\n\n)[\s\S]*?(?=\n\n<!-- end -->)/

const here = `Node ${process.versions.node.split('.')[0]}`
const node22 = tool('node-22/bin/node')
const node24 = tool('node-24/bin/node')
const bun = tool('@oven/bun-linux-x64/bin/bun')
const deno = tool('@deno/linux-x64-glibc/deno')

/** The table's columns: command lines that run a file. */
const RUNTIMES = {
  'Node 20': [here === 'Node 20' ? process.execPath : ''],
  'Node 22': [node22],
  'Node 24': [node24],
  Bun: [bun],
  Deno: [deno, 'run', '--allow-all'],
}
/** Runtimes that let a program do little; the guide names these flags. */
const RESTRICTED = {
  'Node 22': [node22, '--permission', '--allow-fs-read=*', '--allow-addons', '--allow-worker'],
  'Node 24': [node24, '--permission', '--allow-fs-read=*', '--allow-addons', '--allow-worker'],
  'Node 24 without workers': [node24, '--permission', '--allow-fs-read=*', '--allow-addons'],
  Deno: [deno, 'run', '--allow-read', '--allow-env', '--allow-ffi'],
}
/** Ways to end with their exit code and what is said. */
const ENDINGS = [
  ['process.exitCode = 7', 7, /^$/],
  ['process.exit(5) in a call', 5, /^$/],
  ['uncaught error in a call', 1, /error: .*on purpose/i],
]
const WORKERS = 'two workers, one terminated'
const env = {
  NO_COLOR: '1',
  DENO_DIR: join(root, 'build/packaged/deno'),
  DENO_NO_UPDATE_CHECK: '1',
}

await installTools()
const folder = installedProject(t)
cpSync(join(root, 'test/packaged/smoke'), folder, { recursive: true })
t.jobs = availableParallelism()

/** Cells by column and row. */
const table = {}
/** Labels and areas of the first runtime: every other must find the same. */
let expected

for (const [name, command] of Object.entries(RUNTIMES)) {
  t.test(name, { skip: reasonToSkip(name, command), buffered: true }, async t => {
    const run = (...args) => runIn(folder, command[0], [...command.slice(1), ...args], { env })
    const { results, ...computed } = await smoke(t, command)
    expected ??= computed
    results['labels and areas as elsewhere'] = t.strictSame(computed, expected)
    const required = await run('smoke.cjs')
    results['the same by require'] = t.equal(
      required.stdout,
      `${computed.labels}\n`,
      required.stderr,
    )
    for (const [way, code, said] of ENDINGS) {
      const ended = await run('exits.mjs', way)
      results[way] = t.match(ended, { code, stdout: 'ready\n', stderr: said }, way)
    }
    table[name] = results
  })
}

for (const [name, command] of Object.entries(RESTRICTED)) {
  t.test(`${name}, restricted`, { skip: reasonToSkip(name, command), buffered: true }, t =>
    smoke(t, command, name.endsWith('without workers') ? [`--without=${WORKERS}`] : []),
  )
}

t.test('the guide', async t => {
  const names = Object.keys(RUNTIMES).filter(name => table[name])
  const rows = Object.keys(table[names[0]])
  const text = toTable([
    ['', ...names],
    ['', ...names].map(() => '---'),
    ...rows.map(row => [row, ...names.map(name => (table[name][row] ? 'yes' : 'no'))]),
  ])
  console.log(text)
  const guide = readFileSync(GUIDE, 'utf8')
  if (process.argv.includes('--write')) writeFileSync(GUIDE, guide.replace(TABLE, text))
  else t.equal(columns(TABLE.exec(guide)?.[0] ?? '', names), text)
})

/** Runs smoke.mjs; returns what it computed, and which of its checks passed. */
async function smoke(t, [program, ...flags], args = []) {
  const ended = await runIn(folder, program, [...flags, 'smoke.mjs', ...args], { env })
  t.equal(ended.code, 0, ended.stderr)
  const { results, ...computed } = JSON.parse(ended.stdout || '{"results":{}}')
  for (const [row, result] of Object.entries(results)) results[row] = t.equal(result, 'ok', row)
  return { results, ...computed }
}

/** Of a Markdown table, the first column and those of the names. */
function columns(table, names) {
  const lines = table.split('\n').map(line =>
    line
      .slice(1, -1)
      .split('|')
      .map(cell => cell.trim()),
  )
  const kept = lines[0].flatMap((name, i) => (i === 0 || names.includes(name) ? [i] : []))
  return toTable(lines.map(cells => kept.map(i => cells[i])))
}

function toTable(lines) {
  return lines
    .map(cells => `|${cells.map(cell => (cell ? ` ${cell} ` : ' ')).join('|')}|`)
    .join('\n')
}

/** False, or why a runtime cannot be had here. */
function reasonToSkip(name, [program]) {
  if (!program) return `the tests run in ${here}`
  if (existsSync(program)) return false
  return `npm packages of ${name} are pinned for Linux x64 alone, this is ${process.platform}-${process.arch}`
}
