/**
 * Writes the table of docs/guides/detectors.md from figures.json.
 *
 *   node models/recipe/detector/table.mjs [--figures models/recipe/detector/figures.json]
 */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { endWith, root } from '../../../scripts/build/common.mjs'
import { percent, withMarkedTable, writeMarkedTable } from '../measure/marked-table.mjs'

const PLACE = { page: join(root, 'docs', 'guides', 'detectors.md'), name: 'small detector' }

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
export const withTable = (page, text) => withMarkedTable(PLACE, page, text)

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    writeMarkedTable(PLACE, join(root, 'models/recipe/detector/figures.json'), toTable)
  } catch (error) {
    endWith(error)
  }
}
