/** An evaluation as a page to look at. */
import { join } from 'node:path'
import { writeFileAtomic } from '../../base/files.js'
import { namedConfusion } from './confusion.js'
import { drawConfusion, MOST_DRAWN } from './confusion-picture.js'
import { confusionSection } from './confusion-section.js'
import { curveSection } from './curves.js'
import { figureCards, headlineFigures, publishedTable, textAt, valueAt } from './headline.js'
import { html, type Markup } from './html.js'
import { count } from './numbers.js'
import { page } from './page.js'
import type { ReportInput, ReportResult } from './parts.js'
import { classTable, failures, regionTable, valueTable } from './tables.js'
import { worstPictures } from './worst.js'

const TASKS = {
  semantic: 'semantic segmentation',
  regions: 'naming of regions',
  detection: 'detection',
} as const

/**
 * Writes `report.html` into the folder `out`: one file with all pictures in it that opens from the disk and asks
 * nothing of the network. It has the figures beside published ones, a table of classes, what is taken for what, the
 * worst pictures, and all settings. The confusion matrix is written as `confusion.png` too. Both are written whole or
 * not at all.
 *
 * @throws DeclipError ERR_DECLIP_IO, ERR_DECLIP_ABORTED, ERR_DECLIP_IMAGE where sharp is missing
 * @internal
 */
export async function writeReport(input: ReportInput): Promise<void> {
  const { result, classes, out } = input
  const names = classes.map(({ name }) => name)
  const confusion = input.confusion && namedConfusion(input.confusion, names)
  const drawn =
    confusion && confusion.names.length <= MOST_DRAWN ? await drawConfusion(confusion) : undefined
  const unit = result.task === 'semantic' ? 'pixels' : result.task
  const table = classTable(result, classes)
  const sections = [
    warning(result),
    figureCards(headlineFigures(result)),
    publishedTable(result),
    regionTable(result),
    curveSection(input.curves),
    table &&
      html`<section aria-labelledby="classes"><h2 id="classes">Classes</h2>${table}</section>`,
    confusion && confusionSection(confusion, unit, drawn),
    await worstPictures(input),
    failures(result),
    html`<section aria-labelledby="settings"><h2 id="settings">Settings and versions</h2><div class="two">${valueTable('Settings', result.settings)}${valueTable('Versions', result.versions)}</div></section>`,
  ]
  const text = page(
    `Evaluation on ${result.dataset}`,
    subtitle(result),
    sections,
    html`Written by declip eval. The figures and more digits of them are in result.json beside this file.`,
  )
  if (drawn) await writeFileAtomic(join(out, 'confusion.png'), drawn.bytes)
  await writeFileAtomic(join(out, 'report.html'), Buffer.from(text))
}

function subtitle(result: ReportResult): Markup {
  const told = [
    ['method', textAt(result.settings, 'method')],
    [
      'mode',
      textAt(result.settings, 'values.dense.mode') ?? textAt(result.settings, 'values.mode'),
    ],
    ['family', textAt(result.settings, 'model.family')],
    ['', textAt(result.settings, 'model.dtype')],
    ['on', textAt(result.versions, 'device')],
  ].flatMap(([name, text]) => (text === undefined ? [] : [`${name} ${text}`.trim()]))
  const parts = [TASKS[result.task], `${count(result.pictures)} pictures`, ...told]
  return html`${parts.join(' · ')}`
}

/** Says aloud that the figures are not of the whole data set. */
function warning(result: ReportResult): Markup | undefined {
  const failed = result.failed?.length ?? 0
  const missing = result.missing?.length ?? 0
  const limit = valueAt(result.settings, 'limit')
  const reasons = [
    failed > 0 && `${count(failed)} failed`,
    missing > 0 && `${count(missing)} are missing`,
    typeof limit === 'number' && `the run was limited to ${count(limit)}`,
  ].filter(reason => reason !== false)
  if (reasons.length === 0) return undefined
  return html`<p class="warning" role="note">Not all pictures of the data set count: ${reasons.join(', ')}.${result.published?.length ? ' These figures cannot be compared with published ones.' : ''}</p>`
}
