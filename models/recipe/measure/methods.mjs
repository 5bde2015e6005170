/**
 * One table over all methods: accuracy of the bundled model on drawn scenes, time and memory of a ViT-B/16, and the
 * published means beside them.
 *
 *   node models/recipe/measure/methods.mjs [--scenes 60] [--seeds 31,32] [--rounds 3] [--only naclip,scclip]
 *     [--no-scenes] [--no-cost] [--folder <cache>]
 *
 * Scenes are those of scenes/folder.mjs: objects of models/scenes put together anew. Every method has its own preset
 * there, but that SC-CLIP's blocks are those at the same relative depths (words-tiny has 6 blocks, its paper 12). The
 * foundation model of `proxyclip` and `corrclip` is not shipped, so their scenes are left empty; their cost is with
 * random features.
 *
 * Time is processor time of a picture of 451 x 300 with 21 words, weights random, every method in a process of its own,
 * in turns; memory the peak of that process.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { checkpoint, PHOTO, VOC21 } from '../../../bench/inputs.mjs'
import { endWith, root } from '../../../scripts/build/common.mjs'

const SETS = 'voc21 voc20 context60 context59 coco-object coco-stuff ade20k cityscapes'.split(' ')

/** SC-CLIP at the depths of words-tiny: 9, 4 and 4 to 10 of 12 blocks. */
const atDepth = (/** @type {number} */ layers) => {
  const at = (/** @type {number} */ block) => Math.max(1, Math.round((block * layers) / 12))
  return { middleBlock: at(9), earlyBlock: at(4), fusedBlocks: [at(4), at(10)], classWeight: 0.3 }
}

/** The mean of a method's published figures over the eight sets, by backbone, best first. */
export function publishedMeans({ datasets }) {
  const rows = new Map()
  for (const set of SETS)
    for (const { backbone, mIoU } of datasets[set]?.published ?? [])
      rows.set(backbone, [...(rows.get(backbone) ?? []), mIoU])
  return [...rows]
    .filter(([, values]) => values.length === SETS.length)
    .map(([backbone, values]) => ({ backbone, mean: values.reduce((a, b) => a + b) / SETS.length }))
    .sort((a, b) => b.mean - a.mean)
}

async function measureScenes(methods, { scenes, seeds, folder }) {
  const { evaluate, loadModel } = await import('../../../dist/index.mjs')
  const { writeFolder, cutOutSprites } = await import('../scenes/folder.mjs')
  const model = await loadModel('words-tiny')
  const sprites = await cutOutSprites()
  const found = Object.fromEntries(methods.map(method => [method, []]))
  for (const seed of seeds) {
    const data = join(folder, `scenes-${seed}-${scenes}`)
    if (!existsSync(join(data, 'classes.txt'))) {
      mkdirSync(data, { recursive: true })
      await writeFolder(data, { count: scenes, seed, sprites })
    }
    for (const method of methods) {
      const options = method === 'scclip' ? { scclip: atDepth(model.info.layers) } : {}
      try {
        const call = { dataset: 'folder', data, model, method, ...options }
        found[method].push((await evaluate(call)).miou)
      } catch (error) {
        found[method].push(String(error.message).split(/[.:]/)[0])
      }
      console.error(`seed ${seed}, ${method}: ${found[method].at(-1)}`)
    }
  }
  model.dispose()
  return found
}

/** What one method costs, in this process. */
async function cost(method, folder) {
  const { loadModel, segment, Tensor } = await import('../../../dist/index.mjs')
  const { peakRss } = await import('../../../bench/measure.mjs')
  const model = await loadModel(await checkpoint('vit-b-16', folder), { dtype: 'float32' })
  const needs = ['proxyclip', 'corrclip'].includes(method)
  const random = () => {
    let state = 1
    const values = Float32Array.from({ length: 2 * 768 * 42 * 42 }, () => {
      state = (state * 1103515245 + 12345) % 2147483648
      return state / 1073741824 - 1
    })
    return Tensor.from(values, [2, 768, 42, 42])
  }
  const options = { model, method, ...(needs && { proxy: { features: random() } }) }
  const vocabulary = await model.vocabulary(VOC21)
  const run = async () => (await segment(PHOTO, vocabulary, options)).dispose()
  await run()
  const before = process.cpuUsage()
  await run()
  const { user, system } = process.cpuUsage(before)
  console.log(JSON.stringify({ seconds: (user + system) / 1e6, peak: peakRss() }))
}

function measureCost(methods, { rounds, folder }) {
  const found = Object.fromEntries(methods.map(method => [method, []]))
  for (let round = 0; round < rounds; round++)
    for (const method of methods) {
      const args = [fileURLToPath(import.meta.url), '--cost', method, '--folder', folder]
      const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' })
      const last = stdout.trim().split('\n').at(-1)
      if (last?.startsWith('{')) found[method].push(JSON.parse(last))
      else console.error(`${method}: ${stderr.trim().split('\n').find(line => /Error/.test(line))}`)
    }
  return found
}

const median = list => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)]

async function main() {
  const { values } = parseArgs({
    options: {
      scenes: { type: 'string', default: '60' },
      seeds: { type: 'string', default: '31,32' },
      rounds: { type: 'string', default: '3' },
      only: { type: 'string' },
      'no-scenes': { type: 'boolean', default: false },
      'no-cost': { type: 'boolean', default: false },
      folder: { type: 'string', default: join(tmpdir(), 'declip-native-bench') },
      cost: { type: 'string' },
    },
  })
  const { folder } = values
  mkdirSync(folder, { recursive: true })
  if (values.cost) return cost(values.cost, folder)
  const { METHODS } = await import('../../../dist/methods/list.js')
  const methods = values.only?.split(',') ?? Object.keys(METHODS).filter(m => m !== 'talk2dino')
  const seeds = values.seeds.split(',').map(Number)
  const drawn = values['no-scenes']
    ? {}
    : await measureScenes(methods, { scenes: Number(values.scenes), seeds, folder })
  const costs = values['no-cost']
    ? {}
    : measureCost(methods, { rounds: Number(values.rounds), folder })
  const cell = value => (typeof value === 'number' ? (100 * value).toFixed(1) : '–')
  console.log(
    `| method | ${seeds.map(seed => `scenes ${seed}`).join(' | ')} | s of processor | peak MB | published mean of 8 |`,
  )
  console.log(`| --- | ${seeds.map(() => '--- | ').join('')}--- | --- | --- |`)
  for (const method of methods) {
    const list = costs[method] ?? []
    const seconds = list.length ? median(list.map(one => one.seconds)).toFixed(2) : '–'
    const peak = list.length ? Math.round(median(list.map(one => one.peak)) / 2 ** 20) : '–'
    const means = publishedMeans(METHODS[method])
    const best = means[0] ? `${means[0].mean.toFixed(1)} (${means[0].backbone})` : '–'
    const scenes = seeds.map((_, i) => cell(drawn[method]?.[i])).join(' | ')
    console.log(`| \`${method}\` | ${scenes} | ${seconds} | ${peak} | ${best} |`)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main().catch(endWith)
