/** Tables of the report: classes, settings, pictures that failed. */
import { type Content, html, type Markup } from './html.js'
import { count, NONE, percent, share } from './numbers.js'
import {
  type DetectionRow,
  POOLS,
  type RegionRow,
  type ReportClass,
  type ReportResult,
} from './parts.js'

/** A column whose rows can be sorted. */
export interface Column<Row> {
  readonly name: string
  readonly text: (row: Row) => Content
  /** What rows are sorted by; a number puts the column to the right. null comes last. */
  readonly value: (row: Row) => string | number | null
  /** Draws the value, 0 to 1, as a bar beside it. */
  readonly bar?: boolean
}

/** A table whose columns a click sorts. The first column names the row. */
export function sortable<Row>(
  caption: string,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
): Markup {
  const numeric = (column: Column<Row>) => rows.some(row => typeof column.value(row) === 'number')
  const head = columns.map(
    column =>
      html`<th scope="col"${numeric(column) && html` class="n"`}><button type="button">${column.name}</button></th>`,
  )
  const cell = (column: Column<Row>, row: Row, i: number) => {
    const value = column.value(row)
    const text = column.text(row)
    const key = html` data-v="${value ?? ''}"`
    if (i === 0) return html`<th scope="row"${key}>${text}</th>`
    if (typeof value !== 'number' && !numeric(column)) return html`<td${key}>${text}</td>`
    return html`<td class="n"${key}>${column.bar && bar(value)}<span class="v">${text}</span></td>`
  }
  return html`<div class="scroll tall" tabindex="0" role="region" aria-label="${caption}"><table data-sortable><caption>${caption}</caption>
<thead><tr>${head}</tr></thead>
<tbody>${rows.map(row => html`<tr>${columns.map((column, i) => cell(column, row, i))}</tr>\n`)}</tbody></table></div>`
}

function bar(value: string | number | null): Markup | undefined {
  if (typeof value !== 'number') return undefined
  const width = Math.max(0, Math.min(100, 100 * value)).toFixed(1)
  return html`<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect class="track" width="100" height="10"/><rect class="fill" width="${width}" height="10"/></svg>`
}

/** A column of fractions, shown in per cent with a bar. */
function fractions<Row>(name: string, value: (row: Row) => number | null | undefined): Column<Row> {
  return {
    name,
    value: row => value(row) ?? null,
    text: row => percent(value(row)),
    bar: true,
  }
}

function counts<Row>(name: string, value: (row: Row) => number | undefined): Column<Row> {
  return {
    name,
    value: row => value(row) ?? null,
    text: row => (value(row) === undefined ? NONE : count(value(row) as number)),
  }
}

/** The table of classes; undefined where the result has none. */
export function classTable(
  result: ReportResult,
  classes: readonly ReportClass[],
): Markup | undefined {
  if (result.task === 'semantic') {
    const pixels = result.classes.reduce((sum, { pixels }) => sum + pixels, 0)
    type Row = (typeof result.classes)[number]
    return sortable<Row>(
      'Classes, in per cent; – where a class never occurs',
      [
        { name: 'class', value: row => row.name, text: row => row.name },
        fractions('IoU', row => row.iou),
        fractions('accuracy', row => row.acc),
        {
          name: 'share of pixels',
          value: row => row.pixels,
          text: row => share(row.pixels, pixels),
        },
        counts('pixels', row => row.pixels),
      ],
      result.classes,
    )
  }
  if (result.task === 'regions') {
    if (result.classes === undefined) return undefined
    type Row = RegionRow
    const kinds = new Map(classes.map(({ name, thing }) => [name, thing ? 'thing' : 'stuff']))
    const pools = POOLS.filter(pool => result[pool] !== undefined)
    return sortable<Row>(
      'Classes: regions that are right, in per cent; – where a class never occurs',
      [
        { name: 'class', value: row => row.name, text: row => row.name },
        { name: 'kind', value: row => kinds.get(row.name) ?? '', text: row => kinds.get(row.name) },
        ...pools.flatMap(pool => [
          fractions<Row>(`${pool}, first`, row => row[pool]?.acc1),
          fractions<Row>(`${pool}, of five`, row => row[pool]?.acc5),
        ]),
        counts('regions', row => Math.max(...pools.map(pool => row[pool]?.regions ?? 0))),
      ],
      result.classes,
    )
  }
  const rows = result['classes'] as readonly DetectionRow[] | undefined
  if (rows === undefined) return undefined
  type Row = DetectionRow
  const kinds = new Map(classes.map(one => [one.name, kindOf(one)]))
  const split = [...kinds.values()].some(kind => kind !== '')
  return sortable<Row>(
    'Classes: average precision in per cent; – where a class never occurs',
    [
      { name: 'class', value: row => row.name, text: row => row.name },
      ...(split
        ? [{ name: 'split', value: kindText(kinds), text: kindText(kinds) } satisfies Column<Row>]
        : []),
      fractions('AP', row => row.ap),
      ...(rows.some(({ ap50 }) => ap50 !== undefined)
        ? [fractions<Row>('AP50', row => row.ap50)]
        : []),
      ...(rows.some(({ objects }) => objects !== undefined)
        ? [counts<Row>('objects', row => row.objects)]
        : []),
    ],
    rows,
  )
}

const kindText = (kinds: ReadonlyMap<string, string>) => (row: { readonly name: string }) =>
  kinds.get(row.name) ?? ''

function kindOf({ split, frequency }: ReportClass): string {
  if (split) return split
  return frequency ? { r: 'rare', c: 'common', f: 'frequent' }[frequency] : ''
}

/** Regions: accuracy by how features were made, at 1 and of 5. */
export function regionTable(result: ReportResult): Markup | undefined {
  if (result.task !== 'regions') return undefined
  const rows = POOLS.flatMap(pool =>
    (['thing', 'stuff'] as const).map(kind => ({ pool, kind, of: result[pool]?.[kind] })),
  ).filter(({ of }) => of !== undefined && (of.regions ?? 1) > 0)
  return html`<section aria-labelledby="regions"><h2 id="regions">Regions</h2><div class="scroll"><table>
<caption>Mean over classes of the share of regions whose true word comes first, and is among the first five, in per cent</caption>
<thead><tr><th scope="col">features from</th><th scope="col">kind</th><th scope="col" class="n">first</th><th scope="col" class="n">of five</th><th scope="col" class="n">regions</th></tr></thead>
<tbody>${rows.map(({ pool, kind, of }) => html`<tr><th scope="row">${pool}</th><td>${kind}</td><td class="n">${percent(of?.macc1)}</td><td class="n">${percent(of?.macc5)}</td><td class="n">${of?.regions === undefined ? NONE : count(of.regions)}</td></tr>`)}</tbody></table></div></section>`
}

/** Names and values of an object, nested ones by dotted names. */
export function valueTable(caption: string, values: object): Markup {
  const rows = flatten(values, '').map(
    ([name, value]) =>
      html`<tr><th scope="row"><code>${name}</code></th><td><code>${value}</code></td></tr>`,
  )
  return html`<div class="scroll"><table class="values"><caption>${caption}</caption><thead><tr><th scope="col">name</th><th scope="col">value</th></tr></thead><tbody>${rows}</tbody></table></div>`
}

/** Long lists of values are cut: a report is no place for a thousand words. */
const MOST_CHARACTERS = 400

function flatten(values: object, prefix: string): [string, string][] {
  return Object.entries(values).flatMap(([key, value]): [string, string][] => {
    if (value === undefined) return []
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return flatten(value, `${prefix}${key}.`)
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    const cut =
      text.length > MOST_CHARACTERS
        ? `${text.slice(0, MOST_CHARACTERS)}… (${count(text.length)} characters)`
        : text
    return [[prefix + key, cut]]
  })
}

/** Pictures at most in the tables of failed and missing ones; the JSON has all. */
const MOST_NAMED = 200

/** Pictures that could not be measured; undefined where all could. */
export function failures(result: ReportResult): Markup | undefined {
  const failed = result.failed ?? []
  const missing = result.missing ?? []
  if (failed.length + missing.length === 0) return undefined
  const rest = (list: readonly unknown[]) =>
    list.length > MOST_NAMED &&
    html`<p>… and ${count(list.length - MOST_NAMED)} more, which result.json names.</p>`
  return html`<section aria-labelledby="failed"><h2 id="failed">Not measured</h2>
${
  failed.length > 0 &&
  html`<div class="scroll"><table><caption>${count(failed.length)} pictures failed; they count in no figure</caption>
<thead><tr><th scope="col">picture</th><th scope="col">why</th></tr></thead>
<tbody>${failed.slice(0, MOST_NAMED).map(({ id, error }) => html`<tr><th scope="row">${id}</th><td><code>${error.code}</code> ${error.message}</td></tr>`)}</tbody></table></div>${rest(failed)}`
}
${
  missing.length > 0 &&
  html`<p>${count(missing.length)} pictures of the data set are in no part:</p><ul class="ids">${missing.slice(0, MOST_NAMED).map(id => html`<li>${id}</li>`)}</ul>${rest(missing)}`
}</section>`
}
