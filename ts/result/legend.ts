import { clean, letters, measure, shorten } from './lettering.js'
import type { Rgb } from './palette.js'

/** One line of a legend. */
export interface LegendEntry {
  readonly name: string
  /** Fraction of the picture. */
  readonly area: number
  /** Absent for what is not coloured. */
  readonly color?: Rgb | undefined
}

const MAX_ENTRIES = 40
const INK = '#1b1f24'
const FAINT = '#69717d'

/**
 * The legend below a picture, as SVG: a swatch, the name and the share of every class, in as many
 * rows as the width asks for. Names in Basic Latin and Latin-1 are drawn as outlines and need no
 * font; others take the fonts of the system.
 *
 * @param width - of the picture in pixels; the legend is never narrower than some 20 characters
 * @param size - font size in pixels
 * @internal
 */
export function drawLegend(
  entries: readonly LegendEntry[],
  width: number,
  size: number,
): { svg: string; width: number; height: number } {
  const full = Math.max(width, Math.ceil(12 * size))
  const margin = 0.9 * size
  const rowHeight = 1.75 * size
  const shapes: string[] = []
  let [x, y] = [margin, margin]
  const place = (entry: LegendEntry) => {
    const room = full - 2 * margin
    const share = formatShare(entry.area)
    const name = shorten(clean(entry.name), room - measure(share, size) - 2.2 * size, size)
    const shareAt = 1.4 * size + measure(name, size)
    const entryWidth = shareAt + 0.45 * size + measure(share, size)
    if (x > margin && x + entryWidth > full - margin) [x, y] = [margin, y + rowHeight]
    const baseline = y + 0.98 * size
    shapes.push(
      swatch(x, y + 0.13 * size, size, entry.color),
      letters(name, x + 1.4 * size, baseline, size, INK),
      letters(share, x + shareAt + 0.45 * size, baseline, size, FAINT),
    )
    x += entryWidth + 1.5 * size
  }
  for (const entry of entries.slice(0, MAX_ENTRIES)) place(entry)
  const rest = entries.slice(MAX_ENTRIES)
  if (rest.length > 0) {
    place({ name: `${rest.length} more`, area: rest.reduce((sum, { area }) => sum + area, 0) })
  }
  const height = Math.ceil(y + 1.3 * size + margin)
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" width="${full}" height="${height}">` +
    `<rect width="100%" height="100%" fill="#fff"/>${shapes.join('')}</svg>`
  return { svg, width: full, height }
}

function formatShare(area: number): string {
  const percent = 100 * area
  if (percent > 0 && percent < 0.1) return '<0.1%'
  return `${percent.toFixed(percent < 9.95 ? 1 : 0)}%`
}

function swatch(x: number, y: number, size: number, color: Rgb | undefined): string {
  const paint = color
    ? `fill="rgb(${color.join()})"`
    : `fill="none" stroke="${FAINT}" stroke-width="${0.07 * size}" stroke-dasharray="${0.16 * size}"`
  return `<rect x="${x}" y="${y}" width="${size}" height="${size}" rx="${0.22 * size}" ${paint}/>`
}
