/** Copies the goals, or the families, of the last run into the documentation. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Failure, root } from '../scripts/build/common.mjs'
import { chart } from './chart.mjs'
import { familiesOf, familyTable, goalsOf, goalTable } from './report.mjs'

const PAGE = join(root, 'docs/performance.md')
const PICTURE = join(root, 'docs/images/bench.svg')

/** Replaces what lies between the markers of docs/performance.md, and the chart. */
export function updateDocs(folder) {
  const path = join(folder, 'results.json')
  if (!existsSync(path))
    throw new Failure(`${path} is missing; \`npm run bench -- goals --slow\` writes it.`)
  const { date, machine, results } = JSON.parse(readFileSync(path, 'utf8'))
  const [goals, families] = [goalsOf(results), familiesOf(results)]
  if (goals.length + families.length === 0)
    throw new Failure(`${path} holds no goals; run \`npm run bench -- goals --slow\`.`)
  const { threads } = results[0]
  const measured = `Measured on ${date.slice(0, 10)} with ${threads} threads: ${machine.processor}, ${machine.system}, LibTorch ${machine.libtorch}.\n`
  if (goals.length > 0) {
    const image =
      '![How many times faster or smaller than the programs compared with](images/bench.svg)'
    mkdirSync(dirname(PICTURE), { recursive: true })
    writeFileSync(PICTURE, chart(goals))
    replaceBlock('bench', `${image}\n\n${goalTable(goals)}\n\n${measured}`)
    console.log(PICTURE)
  }
  if (families.length > 0) replaceBlock('families', `${familyTable(families)}\n\n${measured}`)
  console.log(PAGE)
}

/** Puts a text between the page's markers of that name. */
function replaceBlock(name, text) {
  const [begin, end] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`]
  const before = existsSync(PAGE)
    ? readFileSync(PAGE, 'utf8')
    : `# Performance\n\n${begin}\n${end}\n`
  const [from, to] = [before.indexOf(begin), before.indexOf(end)]
  if (from < 0 || to < from) throw new Failure(`${PAGE} has no ${begin} ... ${end}.`)
  writeFileSync(PAGE, `${before.slice(0, from)}${begin}\n${text}${before.slice(to)}`)
}
