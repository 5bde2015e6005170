/**
 * Writes the table of docs/bundled-model.md from figures.json.
 *
 *   node models/recipe/cat-seg/table.mjs [--figures models/recipe/cat-seg/figures.json]
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { endWith, root } from '../../../scripts/build/common.mjs'
import { percent, withMarkedTable, writeMarkedTable } from '../measure/marked-table.mjs'

const PLACE = { page: join(root, 'docs', 'bundled-model.md'), name: 'small cat-seg' }

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
export const withTable = (page, text) => withMarkedTable(PLACE, page, text)

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    writeMarkedTable(PLACE, join(root, 'models/recipe/cat-seg/figures.json'), toTable)
  } catch (error) {
    endWith(error)
  }
}
