/** The course of the losses as a line chart in SVG. */

const WIDTH = 800
const HEIGHT = 420
const LEFT = 64
const RIGHT = 20
const TOP = 40
const BOTTOM = 44
/** Points of a line at most: more would not be seen. */
const POINTS = 400
const COLORS = ['#0969da', '#bf8700', '#2da44e', '#cf222e', '#8250df']

/** A loss by step. */
export interface Curve {
  readonly name: string
  readonly points: readonly { readonly step: number; readonly value: number }[]
}

/** Curves against their steps; each point is the mean of the steps that it stands for. */
export function plotLosses(curves: readonly Curve[]): string {
  const thinned = curves.map(({ name, points }) => ({ name, points: thin(points) }))
  const all = thinned.flatMap(({ points }) => points)
  const last = Math.max(1, ...all.map(({ step }) => step))
  const most = Math.max(1e-9, ...all.map(({ value }) => value))
  const least = Math.min(0, ...all.map(({ value }) => value))
  const x = (step: number) => LEFT + ((WIDTH - LEFT - RIGHT) * step) / last
  const y = (value: number) =>
    TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - least) / (most - least))
  const grid = ticks(least, most).map(
    value =>
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${px(y(value))}" y2="${px(y(value))}" stroke="#d1d9e0"/>` +
      `<text x="${LEFT - 8}" y="${px(y(value) + 4)}" text-anchor="end">${Number(value.toPrecision(6))}</text>`,
  )
  const steps = ticks(0, last).map(
    step =>
      `<text x="${px(x(step))}" y="${HEIGHT - BOTTOM + 20}" text-anchor="middle">${step}</text>`,
  )
  const lines = thinned.map(({ points }, i) => {
    const path = points.map(({ step, value }) => `${px(x(step))},${px(y(value))}`).join(' ')
    return `<polyline fill="none" stroke="${color(i)}" stroke-width="1.5" points="${path}"/>`
  })
  const names = thinned.map(
    ({ name }, i) =>
      `<text x="${LEFT + 140 * i}" y="24" fill="${color(i)}" font-weight="600">${name}</text>`,
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="system-ui, sans-serif" font-size="12" fill="#1f2328">
<title>Losses by step</title>
<rect width="100%" height="100%" fill="#ffffff"/>
${[...grid, ...steps, ...lines, ...names].join('\n')}
<text x="${(LEFT + WIDTH - RIGHT) / 2}" y="${HEIGHT - 6}" text-anchor="middle">step</text>
</svg>
`
}

function thin(points: Curve['points']): Curve['points'] {
  const run = Math.ceil(points.length / POINTS)
  if (run <= 1) return points
  return Array.from({ length: Math.ceil(points.length / run) }, (_, i) => {
    const part = points.slice(i * run, (i + 1) * run)
    const mean = part.reduce((sum, { value }) => sum + value, 0) / part.length
    return { step: part.at(-1)?.step ?? 0, value: mean }
  })
}

/** Four to ten round numbers from `low` to `high`. */
function ticks(low: number, high: number): number[] {
  const raw = (high - low) / 5
  const power = 10 ** Math.floor(Math.log10(raw))
  const step = [1, 2, 5, 10].map(f => f * power).find(s => s >= raw) ?? 10 * power
  const first = Math.ceil(low / step)
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step)
}

const color = (i: number) => COLORS[i % COLORS.length] as string
const px = (value: number) => value.toFixed(1)
