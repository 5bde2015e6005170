/** The figures that a result is known by, and what others have published. */
import { MIOU_CONVENTIONS, type MiouConvention } from '../../methods/benchmarks.js'
import { type Content, html, type Markup } from './html.js'
import { percent, points } from './numbers.js'
import { POOLS, type ReportPublished, type ReportResult } from './parts.js'

/** A figure of a result. */
export interface HeadlineFigure {
  /** Where it stands in the result: 'miou', 'ap50.novel'. */
  readonly path: string
  readonly name: string
  /** What it is, in a few words. */
  readonly about: string
  /** A fraction. */
  readonly value: number | null
}

const POOL_NAMES = { boxes: 'boxes', masks: 'masks', crops: 'crops' } as const

const DETECTION_FIGURES: readonly (readonly [path: string, name: string, about: string])[] = [
  ['ap50.novel', 'AP50 novel', 'classes without boxes in training'],
  ['ap50.base', 'AP50 base', 'classes with boxes in training'],
  ['ap50.all', 'AP50', 'overlap of one half'],
  ['ap', 'AP', 'mean over overlaps of 0.50 to 0.95'],
  ['ap75', 'AP75', 'overlap of three quarters'],
  ['rare', 'AP rare', 'classes in few pictures'],
  ['common', 'AP common', 'classes in some pictures'],
  ['frequent', 'AP frequent', 'classes in many pictures'],
  ['small', 'AP small', 'below 32² pixels'],
  ['medium', 'AP medium', '32² to 96² pixels'],
  ['large', 'AP large', 'above 96² pixels'],
]

/** What mIoU is the mean over, by convention. */
const MEANS: Readonly<Record<MiouConvention, string>> = {
  mmsegmentation: 'mean over classes in the truth or predicted',
  detectron2: 'mean over classes in the truth',
}

/**
 * The figures of a result, the first ones as papers put them first; those that the data set cannot have (novel classes,
 * stuff) are left out, unless there is no other.
 */
export function headlineFigures(result: ReportResult): HeadlineFigure[] {
  const figures = allFigures(result)
  const known = figures.filter(({ value }) => value !== null)
  return known.length > 0 ? known : figures
}

function allFigures(result: ReportResult): HeadlineFigure[] {
  if (result.task === 'semantic') {
    const convention = textAt(result, 'settings.values.convention') as MiouConvention | undefined
    return [
      {
        path: 'miou',
        name: 'mIoU',
        about: `intersection over union, ${convention ? MEANS[convention] : 'mean over classes'}`,
        value: result.miou,
      },
      ...MIOU_CONVENTIONS.flatMap(one => {
        const value = result.mious?.[one]
        if (value === undefined || one === convention) return []
        return [{ path: `mious.${one}`, name: `mIoU, ${one}`, about: MEANS[one], value }]
      }),
      {
        path: 'macc',
        name: 'mAcc',
        about: 'share of a class that is found, mean over classes',
        value: result.macc,
      },
      {
        path: 'aacc',
        name: 'aAcc',
        about: 'share of all pixels that are right',
        value: result.aacc,
      },
    ]
  }
  if (result.task === 'detection') {
    return DETECTION_FIGURES.flatMap(([path, name, about]) => {
      const value = valueAt(result, path)
      return value === undefined ? [] : [{ path, name, about, value }]
    })
  }
  return POOLS.flatMap(pool =>
    (['thing', 'stuff'] as const).flatMap(kind => {
      const value = result[pool]?.[kind].macc1
      if (value === undefined) return []
      const name = `${kind === 'thing' ? 'Thing' : 'Stuff'} ${POOL_NAMES[pool]}`
      const about = 'right at the first word, mean over classes'
      return [{ path: `${pool}.${kind}.macc1`, name, about, value }]
    }),
  )
}

/** What is at a dotted path; undefined where nothing is. */
function at(values: object, path: string): unknown {
  let found: unknown = values
  for (const key of path.split('.')) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, key)) return undefined
    found = (found as Record<string, unknown>)[key]
  }
  return found
}

/** The figure at a dotted path; undefined where there is none. */
export function valueAt(values: object, path: string): number | null | undefined {
  const found = at(values, path)
  return typeof found === 'number' || found === null ? found : undefined
}

/** The text at a dotted path; undefined where there is none. */
export function textAt(values: object, path: string): string | undefined {
  const found = at(values, path)
  return typeof found === 'string' ? found : undefined
}

/** The figures as large numbers. */
export function figureCards(figures: readonly HeadlineFigure[]): Markup {
  const card = ({ name, about, value }: HeadlineFigure) => html`
<div class="card"><dt>${name}</dt><dd><span class="big">${percent(value)}</span>${value !== null && html`<span class="unit">%</span>`}<p>${about}</p></dd></div>`
  return html`<dl class="cards">${figures.map(card)}</dl>`
}

/** What the marks of published figures mean. */
const MARKS: Readonly<Record<string, string>> = {
  P: "read in the paper's text",
  R: "read in the authors' repository",
  S: 'second-hand: read in another publication',
  M: 'from memory, not checked against a source: no target to pass or fail by',
}

/** Published figures beside the measured ones; nothing where there are none. */
export function publishedTable(result: ReportResult): Markup | undefined {
  const published = result.published ?? []
  if (published.length === 0) return undefined
  const names = new Map(headlineFigures(result).map(({ path, name }) => [path, name]))
  const row = ({ figure, value, method, backbone, mark, source }: ReportPublished) => {
    const measured = valueAt(result, figure)
    const known = measured !== undefined && measured !== null
    return html`<tr><th scope="row">${names.get(figure) ?? figure}</th><td class="n">${percent(measured)}</td><td class="n">${percent(value)}</td><td class="n">${known ? points(measured - value) : ''}</td><td>${[method, backbone].filter(Boolean).join(', ')}</td><td>${source ?? ''}${mark !== undefined && html` <abbr title="${MARKS[mark] ?? 'as the source says'}">[${mark}]</abbr>`}</td></tr>`
  }
  const used = [...new Set(published.map(({ mark }) => mark))].filter(mark => mark !== undefined)
  const explained: Content[] = used
    .filter(mark => MARKS[mark] !== undefined)
    .map(mark => html`<li><b>[${mark}]</b> ${MARKS[mark]}</li>`)
  return html`<section aria-labelledby="published"><h2 id="published">Beside what was published</h2>
<div class="scroll"><table><caption>In per cent. A figure is comparable only if weights, data and settings are those of its source.</caption>
<thead><tr><th scope="col">figure</th><th scope="col" class="n">measured</th><th scope="col" class="n">published</th><th scope="col" class="n">difference</th><th scope="col">method, backbone</th><th scope="col">source</th></tr></thead>
<tbody>${published.map(row)}</tbody></table></div>
${explained.length > 0 && html`<ul class="notes">${explained}</ul>`}</section>`
}
