/** The pictures that went worst, with what was found beside what is true. */
import { aborted } from '../../errors.js'
import { html, type Markup } from './html.js'
import { type Drawn, drawLayers } from './layers.js'
import { count, percent } from './numbers.js'
import type { ReportInput, ReportPicture } from './parts.js'

/** How many are shown: some 100 KB each. */
const SHOWN = 12

/** Of the pictures that have a score, the lowest ones; equal ones by id. */
export function worstOf(pictures: readonly ReportPicture[], limit: number): ReportPicture[] {
  const scored = pictures.filter(({ score }) => score !== null)
  const byId = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
  scored.sort((a, b) => (a.score as number) - (b.score as number) || byId(a.id, b.id))
  return scored.slice(0, limit)
}

const SCORES = {
  semantic: 'own mIoU',
  regions: 'regions right',
  detection: 'own score',
} as const

/**
 * The section of the worst pictures; undefined where no picture has a score. A picture that cannot be drawn any more
 * is listed with the reason.
 */
export async function worstPictures(input: ReportInput): Promise<Markup | undefined> {
  const worst = worstOf(input.pictures, SHOWN)
  if (worst.length === 0) return undefined
  const shown: Markup[] = []
  for (const picture of worst) {
    if (input.signal?.aborted) throw aborted(input.signal)
    shown.push(await figureOf(picture, input))
  }
  const scored = input.pictures.filter(({ score }) => score !== null)
  return html`<section aria-labelledby="worst"><h2 id="worst">Worst pictures</h2>
${histogram(scored, SCORES[input.result.task])}
${input.overlays && html`<p class="hint">Names in bold are truly in the picture; the others were only found.</p>`}
<div class="figures">${shown}</div></section>`
}

async function figureOf(picture: ReportPicture, input: ReportInput): Promise<Markup> {
  const { id, score } = picture
  const line = html`<span class="id">${id}</span> <span class="score">${SCORES[input.result.task]} ${percent(score)}%</span>`
  const drawn = await drawnOf(id, input)
  if (drawn === undefined) return html`<figure><figcaption>${line}</figcaption></figure>`
  if ('reason' in drawn) {
    return html`<figure><figcaption>${line} <span class="reason">could not be drawn: ${drawn.reason}</span></figcaption></figure>`
  }
  const names = input.classes.map(({ name }) => name)
  const chips = drawn.seen.map(({ label, color, true: truly }) => {
    const fill = color ? html` fill="rgb(${color.join()})"` : html` class="clear"`
    const name = label >= names.length ? 'not counted' : names[label]
    return html`<li><svg viewBox="0 0 10 10" aria-hidden="true"><rect x="0.5" y="0.5" width="9" height="9" rx="2"${fill}/></svg>${truly ? html`<b>${name}</b>` : name}</li>`
  })
  const image = (what: string, { bytes, mime, width, height }: Drawn['picture']) =>
    html`<div class="layer"><img src="data:${mime};base64,${Buffer.from(bytes).toString('base64')}" width="${width}" height="${height}" alt="${what} of ${id}"/><span>${what}</span></div>`
  return html`<figure><figcaption>${line}</figcaption>
<div class="layers">${image('picture', drawn.picture)}${image('truth', drawn.truth)}${image('prediction', drawn.prediction)}</div>
<ul class="chips" aria-label="classes in the picture">${chips}</ul></figure>`
}

async function drawnOf(
  id: string,
  { overlays, classes, background = -1, signal }: ReportInput,
): Promise<Drawn | { readonly reason: string } | undefined> {
  try {
    const layers = await overlays?.(id)
    if (layers === undefined) return undefined
    const names = classes.map(({ name }) => name)
    return await drawLayers(layers, names, background)
  } catch (error) {
    if (signal?.aborted) throw error
    return { reason: error instanceof Error ? error.message : String(error) }
  }
}

const BINS = 20

/** How many pictures have which score. */
function histogram(pictures: readonly ReportPicture[], what: string): Markup {
  const bins = new Array<number>(BINS).fill(0)
  for (const { score } of pictures) {
    const bin = Math.min(BINS - 1, Math.max(0, Math.floor((score as number) * BINS)))
    bins[bin] = (bins[bin] as number) + 1
  }
  const most = Math.max(...bins)
  const mean = pictures.reduce((sum, { score }) => sum + (score as number), 0) / pictures.length
  const bars = bins.map((value, i) => {
    const height = (80 * value) / most
    const [from, to] = [percent(i / BINS, 0), percent((i + 1) / BINS, 0)]
    return html`<rect class="fill" x="${30 * i + 1}" y="${(82 - height).toFixed(1)}" width="28" height="${height.toFixed(1)}"><title>${from} to ${to}%: ${count(value)} pictures</title></rect>`
  })
  const marks = [0, 0.25, 0.5, 0.75, 1].map(
    at =>
      html`<text x="${600 * at}" y="100" text-anchor="${at === 0 ? 'start' : at === 1 ? 'end' : 'middle'}">${percent(at, 0)}%</text>`,
  )
  return html`<div class="histogram"><p>${what} of the ${count(pictures.length)} pictures; on average ${percent(mean)}%</p>
<svg viewBox="0 0 600 104" role="img" aria-label="${what} of pictures: how many have which value"><line class="axis" x1="0" x2="600" y1="82.5" y2="82.5"/>${bars}${marks}</svg></div>`
}
