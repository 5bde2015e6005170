/**
 * The table of methods in docs/guides/methods.md: accuracy of the bundled model on drawn scenes, time and memory of a
 * ViT-B/16 with random weights, and the published means beside them.
 *
 *   node models/recipe/measure/methods.mjs [--scenes 12] [--seeds 31,32] [--only <part of a row's name>,...]
 *     [--no-scenes] [--no-cost] [--rounds 1] [--threads 2] [--folder <cache>] [--docs]
 *
 * What is measured goes into methods.json, row by row, and what is left out stays as it is there. `--docs` writes the
 * table into the guide; with `--no-scenes --no-cost` nothing is measured before.
 *
 * Scenes are those of scenes/folder.mjs: objects of models/scenes put together anew. Time is processor time of a
 * picture of 451 x 300 with 21 words, without the words' own, every method in a process of its own, in turns; memory the peak
 * of that process, the model's weights included.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { checkpoint } from '../../../bench/inputs.mjs'
import { endWith, root } from '../../../scripts/build/common.mjs'

/**
 * @typedef {object} Row
 * @property {string} name as the table has it
 * @property {string} method
 * @property {object} [options]
 * @property {'colours' | 'labels'} [masks]
 * @property {boolean} [proxy] looks through another model's features
 */

/** @type {readonly Row[]} */
export const ROWS = [
  ...['vanilla', 'maskclip', 'clipself', 'declip', 'naclip', 'sclip', 'clearclip'],
  ...['itaclip', 'scclip'],
]
  .map(method => /** @type {Row} */ ({ name: `\`${method}\``, method }))
  .concat(
    { name: '`maskclip`, aggregate', method: 'maskclip', options: { aggregate: true } },
    { name: '`naclip`, aggregate', method: 'naclip', options: { aggregate: true } },
    voted('maskclip', 'colours', 'vote by colour regions'),
    voted('maskclip', 'labels', 'vote by true outlines'),
    { name: '`proxyclip`', method: 'proxyclip', proxy: true },
    { name: '`corrclip`, no masks', method: 'corrclip', proxy: true },
    {
      name: '`corrclip`, colour regions',
      method: 'corrclip',
      proxy: true,
      masks: 'colours',
    },
    { name: '`corrclip`, true outlines', method: 'corrclip', proxy: true, masks: 'labels' },
    { name: '`talk2dino`', method: 'talk2dino' },
  )

function voted(method, masks, how) {
  return { name: `\`${method}\`, ${how}`, method, masks, options: { refine: 'vote' } }
}

const SETS = 'voc21 voc20 context60 context59 coco-object coco-stuff ade20k cityscapes'.split(' ')

/** The means of a method's published figures over the eight sets, of ViT-B/16: a plain CLIP's first, then the best. */
export function publishedMeans({ datasets }) {
  const rows = new Map()
  for (const set of SETS)
    for (const { backbone, mIoU } of datasets[set]?.published ?? [])
      rows.set(backbone, [...(rows.get(backbone) ?? []), mIoU])
  return [...rows]
    .filter(([backbone, values]) => values.length === SETS.length && /B\/16/.test(backbone))
    .map(([backbone, values]) => ({ backbone, mean: values.reduce((a, b) => a + b) / SETS.length }))
    .sort((a, b) => isPlain(b) - isPlain(a) || b.mean - a.mean)
}

const isPlain = ({ backbone }) => Number(/^CLIP /.test(backbone))

const FIGURES = fileURLToPath(new URL('methods.json', import.meta.url))
const GUIDE = join(root, 'docs/guides/methods.md')
const [BEGIN, END] = ['<!-- methods:begin -->', '<!-- methods:end -->']

const read = () =>
  existsSync(FIGURES) ? JSON.parse(readFileSync(FIGURES, 'utf8')) : { settings: {}, rows: {} }

function keep(part, settings, name, values) {
  const all = read()
  const date = new Date().toISOString().slice(0, 10)
  all.settings[part] = { ...settings, date }
  all.rows[name] = { ...all.rows[name], [part]: values }
  writeFileSync(FIGURES, `${JSON.stringify(all, null, 2)}\n`)
}

/** Rows in turns, the slow one last and in the first round alone. */
function measureCost(rows, { rounds, threads, folder }) {
  const here = fileURLToPath(new URL('methods-cost.mjs', import.meta.url))
  const found = new Map(rows.map(({ name }) => [name, /** @type {any[]} */ ([])]))
  for (let round = 0; round < rounds; round++)
    for (const row of rows) {
      if (row.method === 'itaclip' && round > 0) continue
      const env = { ...process.env, DECLIP_THREADS: threads }
      const args = [here, JSON.stringify(row), folder]
      const { stdout, stderr } = spawnSync(process.execPath, args, {
        cwd: root,
        encoding: 'utf8',
        env,
      })
      const last = stdout.trim().split('\n').at(-1)
      if (!last?.startsWith('{')) {
        console.error(
          `${row.name}: ${stderr
            .trim()
            .split('\n')
            .find(line => /Error/.test(line))}`,
        )
        continue
      }
      const list = /** @type {any[]} */ (found.get(row.name))
      list.push(JSON.parse(last))
      console.error(`${row.name}: ${last}`)
      const median = key => list.map(one => one[key]).sort((a, b) => a - b)[list.length >> 1]
      const seconds = Math.min(...list.map(one => one.seconds))
      const value = { seconds, peak: median('peak'), runs: list.length }
      keep('cost', { threads: Number(threads) }, row.name, value)
    }
}

const percent = (/** @type {number | null | undefined} */ value) =>
  typeof value === 'number' ? (100 * value).toFixed(1) : '–'

const both = (/** @type {(number | null)[] | undefined} */ values) =>
  values ? values.map(percent).join(' / ') : '–'

/** The table, from what methods.json holds. */
export function methodsTable(methods, { settings, rows }) {
  const { seeds = [], scenes: count = 0 } = settings.scenes ?? {}
  const header = [
    'method',
    `drawn scenes, preset (${count} each of seeds ${seeds.join(' / ')})`,
    'drawn scenes, plain',
    'processor s',
    'peak MB',
    'published mean of 8',
  ]
  const lines = [`| ${header.join(' | ')} |`, `|${' --- |'.repeat(header.length)}`]
  for (const { name, method, options, masks } of ROWS) {
    const { scenes, cost } = rows[name] ?? {}
    const isOwn = !options && (!masks || masks === 'colours')
    const [best] = isOwn ? publishedMeans(methods[method]) : []
    const cells = [
      name,
      both(scenes?.preset),
      both(scenes?.plain),
      cost ? cost.seconds.toFixed(1) : '–',
      cost ? Math.round(cost.peak / 2 ** 20) : '–',
      best && !(method === 'corrclip' && !masks)
        ? `${best.mean.toFixed(1)} (${best.backbone})`
        : '–',
    ]
    lines.push(`| ${cells.join(' | ')} |`)
  }
  return lines.join('\n')
}

function writeGuide(table) {
  const page = readFileSync(GUIDE, 'utf8')
  const [from, to] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (from < 0 || to < from) throw new Error(`${GUIDE} has no ${BEGIN} ... ${END}`)
  writeFileSync(GUIDE, `${page.slice(0, from + BEGIN.length)}\n${table}\n${page.slice(to)}`)
}

async function main() {
  const { values } = parseArgs({
    options: {
      scenes: { type: 'string', default: '12' },
      seeds: { type: 'string', default: '31,32' },
      rounds: { type: 'string', default: '1' },
      threads: { type: 'string', default: '2' },
      only: { type: 'string' },
      'no-scenes': { type: 'boolean', default: false },
      'no-cost': { type: 'boolean', default: false },
      docs: { type: 'boolean', default: false },
      folder: { type: 'string', default: join(tmpdir(), 'declip-native-bench') },
    },
  })
  const { folder } = values
  mkdirSync(folder, { recursive: true })
  const only = values.only?.split(',')
  const rows = ROWS.filter(
    ({ name, method }) =>
      method !== 'talk2dino' && (!only || only.some(part => name.includes(part))),
  )
  if (!values['no-scenes']) {
    const { measureScenes } = await import('./methods-scenes.mjs')
    const settings = { scenes: Number(values.scenes), seeds: values.seeds.split(',').map(Number) }
    await measureScenes(rows, {
      ...settings,
      folder,
      keep: (name, found) => keep('scenes', settings, name, found),
    })
  }
  if (!values['no-cost']) {
    for (const name of ['vit-b-16', 'dino-b-8']) await checkpoint(name, folder)
    // True outlines cost what colour regions do.
    const isSlow = (/** @type {Row} */ { method }) => Number(method === 'itaclip')
    const costly = rows
      .filter(({ masks }) => masks !== 'labels')
      .sort((a, b) => isSlow(a) - isSlow(b))
    measureCost(costly, { rounds: Number(values.rounds), threads: values.threads, folder })
  }
  const { METHODS } = await import('../../../dist/methods/list.js')
  const table = methodsTable(METHODS, read())
  console.log(table)
  if (values.docs) writeGuide(table)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main().catch(endWith)
