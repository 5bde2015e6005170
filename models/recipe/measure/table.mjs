/**
 * Turns what evaluate.mjs measured into the tables of docs/bundled-model.md.
 *
 *   node models/recipe/measure/table.mjs [--figures models/recipe/measure/figures.json]
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { endWith, Failure, root } from '../../../scripts/build/common.mjs'

const PAGE = join(root, 'docs', 'bundled-model.md')
const [BEGIN, END] = ['<!-- figures:begin -->', '<!-- figures:end -->']

/** @typedef {{ model: string, set: string, mode: string, pipeline: string, scenes: any, regions?: any }} Row */

const shown = value => (value === null || value === undefined ? '–' : value.toFixed(3))
const unique = list => [...new Set(list)]

/** Models in the order of their rows; another seed's (base-2) stands below its first (base). */
function models(rows) {
  const names = unique(rows.map(({ model }) => model))
  const stage = name => name.replace(/-\d+$/, '')
  return unique(names.map(stage)).flatMap(first => names.filter(name => stage(name) === first))
}

/**
 * A table with a row per model and a column per mode. A cell has a figure per seed of the scenes.
 *
 * @param {readonly Row[]} rows of one kind of set
 * @param {(row: Row) => number | null | undefined} value
 */
function modesTable(rows, value) {
  const modes = unique(rows.map(({ mode }) => mode))
  const lines = [`| model | ${modes.join(' | ')} |`, `|${' --- |'.repeat(modes.length + 1)}`]
  for (const model of models(rows)) {
    const cells = modes.map(mode =>
      rows
        .filter(row => row.model === model && row.mode === mode)
        .map(row => shown(value(row)))
        .join(' / '),
    )
    lines.push(`| ${[model, ...cells].join(' | ')} |`)
  }
  return lines.join('\n')
}

/** The class token looks at no dense mode: one column per kind of figure. */
function tokenTable(rows) {
  const lines = ['| model | right word first | among the first five |', '| --- | --- | --- |']
  for (const model of models(rows)) {
    const own = rows.filter(row => row.model === model && row.mode === 'vanilla')
    const cell = key => own.map(({ regions }) => shown(regions[key])).join(' / ')
    lines.push(`| ${model} | ${cell('tokenTop1')} | ${cell('tokenTop5')} |`)
  }
  return lines.join('\n')
}

/** Rows of another pipeline than windows and argmax alone. */
function pipelineTable(rows) {
  const lines = [
    '| model | mode | pipeline | set | words of the scene | all 90 |',
    `|${' --- |'.repeat(6)}`,
  ]
  for (const { model, mode, pipeline, set, scenes } of rows)
    lines.push(
      `| ${[model, mode, pipeline, set, shown(scenes.scene.mIoU), shown(scenes.all.mIoU)].join(' | ')} |`,
    )
  return lines.join('\n')
}

/** @param {readonly Row[]} rows @returns {string} */
export function tables(rows) {
  const plain = rows.filter(({ pipeline }) => pipeline === 'plain')
  const of = set => plain.filter(row => row.set.split('/').at(-1).startsWith(set))
  const parts = []
  const add = (title, set, render) => {
    const some = of(set)
    if (some.length) parts.push(`**${title}**`, render(some))
  }
  const scene = row => row.scenes.scene.mIoU
  const all = row => row.scenes.all.mIoU
  add('Scenes of 96 pixels, words of the scene: mIoU', 'grid', some => modesTable(some, scene))
  add('The same, all 90 words offered: mIoU', 'grid', some => modesTable(some, all))
  add('Scenes of 256 x 192, words of the scene: mIoU', 'large', some => modesTable(some, scene))
  add('The eight bundled pictures, words of the scene: mIoU', 'scenes', some =>
    modesTable(some, scene),
  )
  add('The same, all 90 words offered: mIoU', 'scenes', some => modesTable(some, all))
  add('Objects by their masks, 90 words: share right', 'grid', some =>
    modesTable(some, row => row.regions?.maskTop1),
  )
  add('Pictures of one object by the class token, 90 words: share right', 'single', tokenTable)
  const others = rows.filter(({ pipeline }) => pipeline !== 'plain')
  if (others.length) parts.push('**With smoothing: mIoU**', pipelineTable(others))
  return parts.join('\n\n')
}

/** The page with these tables between its markers. @param {string} page @param {string} text */
export function withTables(page, text) {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (begin < 0 || end < begin) throw new Failure(`${PAGE} has no ${BEGIN} ... ${END}.`)
  return `${page.slice(0, begin)}${BEGIN}\n${text}\n${page.slice(end)}`
}

function main() {
  const { values } = parseArgs({
    options: {
      figures: {
        type: 'string',
        default: join(root, 'models', 'recipe', 'measure', 'figures.json'),
      },
    },
  })
  const page = readFileSync(PAGE, 'utf8')
  writeFileSync(PAGE, withTables(page, tables(JSON.parse(readFileSync(values.figures, 'utf8')))))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    main()
  } catch (error) {
    endWith(error)
  }
}
