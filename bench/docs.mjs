/** Copies the goals of the last run into the documentation. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Failure, root } from '../scripts/build/common.mjs'
import { chart } from './chart.mjs'
import { goalsOf, goalTable } from './report.mjs'

const PAGE = join(root, 'docs/performance.md')
const PICTURE = join(root, 'docs/images/bench.svg')
const [BEGIN, END] = ['<!-- bench:begin -->', '<!-- bench:end -->']

/** Replaces what lies between the markers of docs/performance.md, and the chart. */
export function updateDocs(folder) {
  const path = join(folder, 'results.json')
  if (!existsSync(path))
    throw new Failure(`${path} is missing; \`npm run bench -- goals --slow\` writes it.`)
  const { date, machine, results } = JSON.parse(readFileSync(path, 'utf8'))
  const goals = goalsOf(results)
  if (goals.length === 0)
    throw new Failure(`${path} holds no goals; run \`npm run bench -- goals --slow\`.`)
  const before = existsSync(PAGE)
    ? readFileSync(PAGE, 'utf8')
    : `# Performance\n\n${BEGIN}\n${END}\n`
  const [begin, end] = [before.indexOf(BEGIN), before.indexOf(END)]
  if (begin < 0 || end < begin) throw new Failure(`${PAGE} has no ${BEGIN} ... ${END}.`)
  const { threads } = results[0]
  const block = `${BEGIN}
![How many times faster or smaller than the programs compared with](images/bench.svg)

${goalTable(goals)}

Measured on ${date.slice(0, 10)} with ${threads} threads: ${machine.processor}, ${machine.system}, LibTorch ${machine.libtorch}.
`
  mkdirSync(dirname(PICTURE), { recursive: true })
  writeFileSync(PICTURE, chart(goals))
  writeFileSync(PAGE, before.slice(0, begin) + block + before.slice(end))
  console.log(`${PAGE}\n${PICTURE}`)
}
