/**
 * Writes training scenes as WebDataset shards: for every scene `KEY.jpg`, `KEY.txt` (its caption) and
 * `KEY.json` (`caption`, and `regions`: boxes x, y, width, height in pixels, with labels).
 *
 *   node models/recipe/scenes/shards.mjs --out <folder> [--count 130000] [--styles train] [--kind mixed]
 *     [--cells whole|dots] [--size 96] [--seed 1] [--per-shard 5000] [--threads 1] [--work <folder>]
 *
 * A seed gives the same bytes, whatever the number of threads.
 */
import { closeSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import sharp from 'sharp'
import { endWith, Failure } from '../../../scripts/build/common.mjs'
import { loadArt, toSprites } from '../art/art.mjs'
import { random } from '../paint/random.mjs'
import { caption } from './captions.mjs'
import { CELLS, regions } from './regions.mjs'
import { composer, MIXED } from './scenes.mjs'
import { TAR_END, tarEntry } from './tar.mjs'

/**
 * @typedef {object} ShardOptions
 * @property {string} out
 * @property {number} count scenes
 * @property {number} perShard
 * @property {string} seed
 * @property {number} size of the square pictures
 * @property {'mixed' | 'single' | 'grid' | 'anywhere'} kind
 * @property {'whole' | 'dots'} cells
 */

/** Files of one scene, as a WebDataset sample. */
export async function sampleFiles(compose, index, { seed, size, kind, cells }) {
  const layouts = kind === 'mixed' ? MIXED : { [kind]: 1 }
  const scene = compose(index, { seed, width: size, height: size, layouts })
  const rng = random(seed, index, 'words')
  const json = { caption: caption(scene, rng), regions: regions(scene, rng, cells) }
  const jpg = await sharp(scene.pixels, { raw: { width: size, height: size, channels: 3 } })
    .jpeg({ quality: rng.int(80, 95) })
    .toBuffer()
  return { jpg, txt: Buffer.from(json.caption), json: Buffer.from(JSON.stringify(json)) }
}

/** Writes one shard beside its name and renames it. */
async function writeShard(compose, shard, options) {
  const { out, count, perShard } = options
  const file = join(out, `${String(shard).padStart(6, '0')}.tar`)
  const handle = openSync(`${file}.part`, 'w')
  try {
    const end = Math.min(count, (shard + 1) * perShard)
    // Some scenes at a time: JPEG encoding goes on beside composing.
    for (let from = shard * perShard; from < end; from += 32) {
      const some = Array.from({ length: Math.min(32, end - from) }, (_, i) => from + i)
      const samples = await Promise.all(some.map(i => sampleFiles(compose, i, options)))
      const entries = samples.flatMap((files, i) =>
        Object.entries(files).map(([extension, content]) =>
          tarEntry(`${String(some[i]).padStart(8, '0')}.${extension}`, content),
        ),
      )
      writeSync(handle, Buffer.concat(entries))
    }
    writeSync(handle, TAR_END)
  } finally {
    closeSync(handle)
  }
  renameSync(`${file}.part`, file)
  return Math.min(perShard, count - shard * perShard)
}

async function main() {
  const { values } = parseArgs({
    options: {
      out: { type: 'string' },
      count: { type: 'string', default: '130000' },
      styles: { type: 'string', default: 'train' },
      kind: { type: 'string', default: 'mixed' },
      cells: { type: 'string', default: 'whole' },
      size: { type: 'string', default: '96' },
      seed: { type: 'string', default: '1' },
      'per-shard': { type: 'string', default: '5000' },
      threads: { type: 'string', default: '1' },
      work: { type: 'string' },
    },
  })
  const { out, styles, kind, cells, seed } = values
  const [count, size, perShard, threads] = [
    values.count,
    values.size,
    values['per-shard'],
    values.threads,
  ].map(Number)
  if (!out) throw new Failure('Say where the shards go: --out <folder>.')
  if (!['mixed', 'single', 'grid', 'anywhere'].includes(kind))
    throw new Failure(`--kind is mixed, single, grid or anywhere, not '${kind}'.`)
  if (!Object.hasOwn(CELLS, cells))
    throw new Failure(`--cells is ${Object.keys(CELLS).join(' or ')}, not '${cells}'.`)
  if (!['train', 'valid', 'test'].includes(styles))
    throw new Failure(`--styles is train, valid or test, not '${styles}'.`)
  for (const [name, value, max] of [
    ['count', count, 1e8],
    ['size', size, 1024],
    ['per-shard', perShard, 1e6],
    ['threads', threads, 2],
  ])
    if (!Number.isInteger(value) || value < 1 || value > max)
      throw new Failure(`--${name} is a whole number from 1 to ${max}.`)
  const art = await loadArt(styles, values.work)
  mkdirSync(out, { recursive: true })
  const shards = Math.ceil(count / perShard)
  const start = performance.now()
  let [next, done] = [0, 0]
  await Promise.all(
    Array.from({ length: Math.min(threads, shards) }, () => {
      const worker = new Worker(fileURLToPath(import.meta.url), {
        workerData: { art, options: { out, count, perShard, seed, size, kind, cells } },
      })
      return new Promise((resolve, reject) => {
        const more = () => worker.postMessage(next < shards ? next++ : null)
        worker.on('error', reject)
        worker.on('exit', resolve)
        worker.on('message', scenes => {
          done += scenes
          const rate = done / ((performance.now() - start) / 1000)
          console.log(`${done} of ${count} scenes, ${Math.round(rate)} scenes/s`)
          more()
        })
        more()
      })
    }),
  )
}

if (!isMainThread && workerData?.options) {
  sharp.concurrency(1)
  const compose = composer(toSprites(workerData.art))
  parentPort?.on('message', async shard => {
    if (shard === null) parentPort?.close()
    else parentPort?.postMessage(await writeShard(compose, shard, workerData.options))
  })
} else if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main().catch(endWith)
}
