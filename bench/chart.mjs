/** The ratios of goals as a bar chart in SVG: a logarithmic scale, a marker at every goal. */
import { met } from './report.mjs'

const LABELS = 430 // pixels for the texts on the left
const PLOT = 420
const ROW = 26
const TOP = 54
const TICKS = [1, 2, 5, 10, 20, 50, 100, 200, 500]

/** Goals that say how many times faster or smaller; shares and exponents have no place here. */
export function chart(goals) {
  const rows = goals.filter(({ atLeast, ours }) => atLeast > 1 && ours !== undefined)
  const largest = Math.max(...rows.map(({ ratio, atLeast }) => Math.max(ratio, atLeast)), 10)
  const ticks = TICKS.slice(0, TICKS.findIndex(tick => tick >= largest) + 1 || TICKS.length)
  const x = ratio =>
    LABELS + PLOT * Math.min(1, Math.max(0, Math.log(ratio) / Math.log(ticks.at(-1))))
  const height = TOP + ROW * rows.length + 12
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${LABELS + PLOT + 70} ${height}" font-family="system-ui, sans-serif" font-size="12">
<title>How many times faster, or smaller in memory, than the programs compared with</title>
<style>
  text { fill: #1f2328 } .grid { stroke: #d1d9e0 } .goal { stroke: #1f2328; stroke-width: 2 }
  .yes { fill: #2da44e } .no { fill: #bf8700 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .grid { stroke: #3d444d } .goal { stroke: #f0f6fc }
    .yes { fill: #3fb950 } .no { fill: #d29922 }
  }
</style>
<text x="${LABELS}" y="18" font-weight="600">Times faster, or times less memory; | is the goal</text>
${ticks.map(tick => axis(x(tick), tick, height)).join('\n')}
${rows.map((row, i) => bar(row, TOP + ROW * i, x)).join('\n')}
</svg>
`
}

function axis(x, tick, height) {
  return `<line class="grid" x1="${px(x)}" x2="${px(x)}" y1="${TOP - 8}" y2="${height - 8}"/><text x="${px(x)}" y="${TOP - 14}" text-anchor="middle">${tick}</text>`
}

function bar(goal, y, x) {
  const { work, measure, program, against, ratio, atLeast } = goal
  const memory = measure === 'time' ? '' : ', memory'
  const half = program.includes('bfloat16') ? ', bfloat16' : ''
  const name = escapeXml(`${work}${half}${memory}`)
  const end = x(ratio)
  const at = x(atLeast)
  return [
    `<text x="${LABELS - 10}" y="${y + 13}" text-anchor="end">${name}</text>`,
    `<rect class="${met(goal) ? 'yes' : 'no'}" x="${LABELS}" y="${y + 2}" width="${px(end - LABELS)}" height="${ROW - 10}" rx="2"><title>against ${escapeXml(against)}</title></rect>`,
    `<line class="goal" x1="${px(at)}" x2="${px(at)}" y1="${y}" y2="${y + ROW - 6}"/>`,
    `<text x="${px(Math.max(end, at) + 6)}" y="${y + 14}">${ratio.toFixed(ratio < 20 ? 1 : 0)}</text>`,
  ].join('')
}

function px(value) {
  return value.toFixed(1)
}

function escapeXml(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
