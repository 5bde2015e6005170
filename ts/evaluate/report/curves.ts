/** Precision against recall as a line chart. */
import { html, type Markup } from './html.js'
import type { Curve } from './parts.js'

const SIDE = 320
const [LEFT, TOP, BOTTOM] = [44, 10, 40]

/** The section of the curves; undefined where there are none. */
export function curveSection(curves: readonly Curve[] = []): Markup | undefined {
  if (curves.length === 0) return undefined
  const x = (value: number) => (LEFT + SIDE * value).toFixed(1)
  const y = (value: number) => (TOP + SIDE * (1 - value)).toFixed(1)
  const grid = [0, 0.25, 0.5, 0.75, 1].map(
    at =>
      html`<line class="grid" x1="${LEFT}" x2="${LEFT + SIDE}" y1="${y(at)}" y2="${y(at)}"/><text x="${LEFT - 6}" y="${(Number(y(at)) + 4).toFixed(1)}" text-anchor="end">${at}</text><text x="${x(at)}" y="${TOP + SIDE + 18}" text-anchor="middle">${at}</text>`,
  )
  const lines = curves.map(({ recall, precision }, i) => {
    const points = recall
      .map((value, k) => [value, precision[k] ?? Number.NaN] as const)
      .filter(pair => pair.every(Number.isFinite))
      .map(([r, p]) => `${x(r)},${y(p)}`)
    return html`<polyline class="line l${i % 4}" points="${points.join(' ')}"/>`
  })
  const names = curves.map(
    ({ name }, i) =>
      html`<li><svg viewBox="0 0 24 10" aria-hidden="true"><line class="line l${i % 4}" x1="1" x2="23" y1="5" y2="5"/></svg>${name}</li>`,
  )
  return html`<section aria-labelledby="curves"><h2 id="curves">Precision and recall</h2>
<svg class="chart" viewBox="0 0 ${LEFT + SIDE + 16} ${TOP + SIDE + BOTTOM}" role="img" aria-label="Precision against recall">${grid}${lines}<text x="${LEFT + SIDE / 2}" y="${TOP + SIDE + 36}" text-anchor="middle">recall</text><text transform="translate(12 ${TOP + SIDE / 2}) rotate(-90)" text-anchor="middle">precision</text></svg>
<ul class="chips">${names}</ul></section>`
}
