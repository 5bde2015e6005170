/**
 * Writes the table of docs/bundled-model.md from figures.json.
 *
 *   node models/recipe/cat-seg/table.mjs [--figures models/recipe/cat-seg/figures.json]
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { endWith, Failure, root } from '../../../scripts/build/common.mjs'

const BEGIN = '<!-- small cat-seg:begin -->'
const END = '<!-- small cat-seg:end -->'
const PAGE = join(root, 'docs', 'bundled-model.md')

const percent = (/** @type {number | null | undefined} */ value) =>
  value === null || value === undefined ? '–' : (100 * value).toFixed(1)

/**
 * A row for every way of naming pixels: mIoU of seen words, of unseen ones, of both, and of both with the background.
 *
 * @param {{ rows: any[] }} figures
 */
export function toTable({ rows }) {
  return [
    '| | seen | unseen | all words | background | words and background | scenes |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...rows.map(({ name, seen, unseen, words, background, all, pictures }) => {
      const cells = [seen, unseen, words, background, all].map(percent)
      return `| ${[name, ...cells, pictures].join(' | ')} |`
    }),
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
      figures: { type: 'string', default: join(root, 'models/recipe/cat-seg/figures.json') },
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
