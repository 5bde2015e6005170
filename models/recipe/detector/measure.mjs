/**
 * Measures a detector on scenes of the held-out style, with and without the tower's vote, beside detect() of the model
 * without heads, which takes the objects of its segmentation.
 *
 *   node models/recipe/detector/measure.mjs --detector <folder> --test <folder> --out figures.json [--limit <scenes>]
 *
 * All 90 concepts are asked for in every picture.
 */
import { writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import { evaluate, loadModel } from 'declip-native'
import { endWith, Failure } from '../../../scripts/build/common.mjs'
import { INDEX } from './files.mjs'

/** What is measured, by whom. */
const ROWS = [
  { name: 'objects', by: 'model', options: {} },
  {
    name: 'objects, PAMR, stride 24',
    by: 'model',
    options: { stride: 24, pamr: { iterations: 10, dilations: [1, 2, 4, 8] } },
  },
  { name: 'detector alone', by: 'detector', options: { alpha: 0, beta: 0 } },
  { name: 'detector with the vote', by: 'detector', options: {} },
]

async function main() {
  const { values } = parseArgs({
    options: {
      detector: { type: 'string' },
      test: { type: 'string' },
      out: { type: 'string' },
      limit: { type: 'string' },
    },
  })
  const { detector, test: data, out } = values
  if (!detector || !data || !out)
    throw new Failure('Say --detector <folder>, --test <folder> and --out <file>.')
  const limit = values.limit === undefined ? undefined : Number(values.limit)
  const models = {
    model: await loadModel('words-tiny'),
    detector: await loadModel(join(detector, INDEX)),
  }
  const rows = []
  for (const { name, by, options } of ROWS) {
    const figures = {}
    let pictures = 0
    for (const kind of /** @type {const} */ (['bbox', 'segm'])) {
      const result = await evaluate({
        task: 'detection',
        dataset: 'folder',
        data,
        model: models[by],
        kind,
        limit,
        ...options,
      })
      if (result.task !== 'detection' || result.failed.length)
        throw new Failure(`${name}: ${result.failed.length} pictures could not be measured.`)
      pictures = result.pictures
      figures[kind] = { ...result.ap50, ap: result.ap }
    }
    rows.push({ name, pictures, ...figures })
    console.log(JSON.stringify(rows.at(-1)))
  }
  for (const model of Object.values(models)) model.dispose()
  writeFileSync(out, `${JSON.stringify({ set: basename(data), rows }, null, 1)}\n`)
}

await main().catch(endWith)
