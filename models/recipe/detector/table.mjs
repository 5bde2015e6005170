/**
 * Writes the table of docs/guides/detectors.md from figures.json.
 *
 *   node models/recipe/detector/table.mjs [--figures models/recipe/detector/figures.json]
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { endWith, Failure, root } from '../../../scripts/build/common.mjs'

const BEGIN = '<!-- small detector:begin -->'
const END = '<!-- small detector:end -->'
const PAGE = join(root, 'docs', 'guides', 'detectors.md')

const percent = (/** @type {number | null | undefined} */ value) =>
  value === null || value === undefined ? '–' : (100 * value).toFixed(1)

/**
 * A row for every way of finding things; AP50 of boxes and of masks, base and novel concepts apart.
 *
 * @param {{ rows: any[] }} figures
 */
export function toTable({ rows }) {
  const cells = kind => ['base', 'novel', 'all'].map(part => percent(kind?.[part]))
  return [
    '| | boxes: AP50 base | novel | all | AP | masks: AP50 base | novel | all | AP |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- |',
    ...rows.map(
      ({ name, bbox, segm }) =>
        `| ${[name, ...cells(bbox), percent(bbox?.ap), ...cells(segm), percent(segm?.ap)].join(' | ')} |`,
    ),
  ].join('\n')
}

/** The page with the table between its markers. @param {string} page @param {string} text */
export function withTable(page, text) {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (begin < 0 || end < begin) throw new Failure(`${PAGE} has no ${BEGIN} ... ${END}.`)
  return `${page.slice(0, begin)}${BEGIN}\n${text}\n${page.slice(end)}`
}

function main() {
  const { values } = parseArgs({
    options: {
      figures: { type: 'string', default: join(root, 'models/recipe/detector/figures.json') },
    },
  })
  const text = toTable(JSON.parse(readFileSync(values.figures, 'utf8')))
  writeFileSync(PAGE, withTable(readFileSync(PAGE, 'utf8'), text))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    main()
  } catch (error) {
    endWith(error)
  }
}
