/**
 * Measures the small CAT-Seg on labelled scenes beside the bundled model with every method that needs no training.
 *
 *   node models/recipe/cat-seg/measure.mjs --data <folder> --out figures.json [--model <weights>] [--limit <scenes>]
 *     [--only <part of a row's name>,...]
 *
 * All 90 words and the background are asked for in every picture. mIoU is the mean over the words that occur, of seen
 * and unseen words apart; the background is in neither, but counts in `all`, as evaluate() has it. Rows are written one
 * by one, and rows that the file has are not measured again. Without --model CAT-Seg's rows are left out.
 * `proxyclip`, `corrclip` and `talk2dino` are not there: they need another model.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { evaluate, loadModel } from 'declip-native'
import { endWith, Failure } from '../../../scripts/build/common.mjs'
import { NOVEL } from '../detector/split.mjs'
import { atDepth } from '../measure/methods-scenes.mjs'

/** One grid of windows, and a pixel's likeliest word as it is. */
const PLAIN = { stride: 48, pamr: false, probThreshold: 0, areaThreshold: 0, closing: false }
/** What the model card chose on the validation style. */
const SMOOTH = { iterations: 10, dilations: [1, 2, 4, 8] }
const FINE = { stride: 24, pamr: SMOOTH, probThreshold: 0, areaThreshold: 0.06, closing: false }

const FREE = ['vanilla', 'maskclip', 'declip', 'sclip', 'clearclip', 'naclip', 'itaclip', 'scclip']

/**
 * @typedef {object} Row
 * @property {string} name
 * @property {'bundled' | 'cat-seg'} by
 * @property {string} method
 * @property {object} options
 */

/** `clipself` is `maskclip`'s mode and values under another name. @type {readonly Row[]} */
export const ROWS = [
  // ITACLIP's windows every eighth of their side, in five copies each, take minutes a scene.
  ...FREE.flatMap(method => [
    {
      name: `\`${method}\`, preset`,
      by: /** @type {const} */ ('bundled'),
      method,
      options: method === 'itaclip' ? { stride: 48 } : {},
    },
    {
      name: `\`${method}\`, plain`,
      by: /** @type {const} */ ('bundled'),
      method,
      options: PLAIN,
    },
  ]),
  ...['vanilla', 'maskclip', 'scclip'].map(method => ({
    name: `\`${method}\`, stride 24, PAMR, area 0.06`,
    by: /** @type {const} */ ('bundled'),
    method,
    options: FINE,
  })),
  {
    name: 'CAT-Seg, the whole picture',
    by: 'cat-seg',
    method: 'cat-seg',
    options: { catSeg: { sliding: false } },
  },
  { name: 'CAT-Seg', by: 'cat-seg', method: 'cat-seg', options: {} },
  { name: 'CAT-Seg, PAMR', by: 'cat-seg', method: 'cat-seg', options: { pamr: SMOOTH } },
  {
    name: "`maskclip` on CAT-Seg's tower, plain",
    by: 'cat-seg',
    method: 'maskclip',
    options: PLAIN,
  },
]

const mean = (/** @type {number[]} */ values) =>
  values.length ? values.reduce((a, b) => a + b) / values.length : null

/**
 * Means over the words that occur, of a list of classes with their IoU; null where there is none.
 *
 * @param {readonly { name: string, iou: number | null }[]} classes the background first
 */
export function apart(classes) {
  const things = classes.slice(1)
  const of = (/** @type {boolean} */ unseen) =>
    mean(
      things.flatMap(({ name, iou }) =>
        iou !== null && NOVEL.includes(name) === unseen ? [iou] : [],
      ),
    )
  const words = things.flatMap(({ iou }) => (iou === null ? [] : [iou]))
  return { seen: of(false), unseen: of(true), words: mean(words), background: classes[0].iou }
}

const read = (/** @type {string} */ file) =>
  existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : { rows: [] }

function keep(file, data, name, value) {
  const all = read(file)
  const rest = all.rows.filter(row => row.name !== name)
  const order = ROWS.map(row => row.name)
  const rows = [...rest, { name, ...value }].sort(
    (a, b) => order.indexOf(a.name) - order.indexOf(b.name),
  )
  writeFileSync(file, `${JSON.stringify({ set: basename(resolve(data)), rows }, null, 1)}\n`)
}

async function main() {
  const { values } = parseArgs({
    options: {
      data: { type: 'string' },
      out: { type: 'string' },
      model: { type: 'string' },
      limit: { type: 'string' },
      only: { type: 'string' },
    },
  })
  const { data, out } = values
  if (!data || !out) throw new Failure('Say --data <folder> and --out <file>.')
  const only = values.only?.split(',')
  const done = read(out).rows.map(row => row.name)
  const rows = ROWS.filter(
    ({ name, by }) =>
      !done.includes(name) &&
      (by === 'bundled' || values.model) &&
      (!only || only.some(part => name.includes(part))),
  )
  const limit = values.limit === undefined ? undefined : Number(values.limit)
  const models = new Map()
  for (const { name, by, method, options } of rows) {
    if (!models.has(by))
      models.set(by, await loadModel(by === 'bundled' ? 'words-tiny' : String(values.model)))
    const model = models.get(by)
    const depths = atDepth(model.info)[method]
    const given = depths ? { [method]: depths } : {}
    const start = performance.now()
    const result = await evaluate({
      dataset: 'folder',
      data,
      model,
      method,
      limit,
      ...given,
      ...options,
    })
    if (result.task !== 'semantic' || result.failed.length)
      throw new Failure(`${name}: ${result.failed.length} pictures could not be measured.`)
    const value = { pictures: result.pictures, ...apart(result.classes), all: result.miou }
    keep(out, data, name, value)
    const seconds = ((performance.now() - start) / 1000).toFixed(0)
    console.log(`${name}: ${JSON.stringify(value)} in ${seconds} s`)
  }
  for (const model of models.values()) model.dispose()
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main().catch(endWith)
