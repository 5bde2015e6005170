/** A table of a page of the documentation, between two markers, made of a file of figures. */
import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Failure } from '../../../scripts/build/common.mjs'

/** A share in per cent; a dash for none. */
export const percent = (/** @type {number | null | undefined} */ value) =>
  value === null || value === undefined ? '–' : (100 * value).toFixed(1)

/**
 * @param {{ page: string, name: string }} place the page's file, and what its markers are called
 * @returns the text of the page with `table` between its markers
 */
export function withMarkedTable({ page, name }, text, table) {
  const [opening, closing] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`]
  const [begin, end] = [text.indexOf(opening), text.indexOf(closing)]
  if (begin < 0 || end < begin) throw new Failure(`${page} has no ${opening} ... ${closing}.`)
  return `${text.slice(0, begin)}${opening}\n${table}\n${text.slice(end)}`
}

/** What the command does: the table of `--figures`, or of `figures`, into the page. */
export function writeMarkedTable(place, figures, toTable) {
  const { values } = parseArgs({ options: { figures: { type: 'string', default: figures } } })
  const table = toTable(JSON.parse(readFileSync(values.figures, 'utf8')))
  writeFileSync(place.page, withMarkedTable(place, readFileSync(place.page, 'utf8'), table))
}
