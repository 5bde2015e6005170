/**
 * Writes scenes as data sets of detection: `images/*.jpg` and `annotations.json` in COCO's format, with exact boxes and
 * masks. `declip eval --dataset folder --task detection` and the objective 'fvit' read them.
 *
 *   node models/recipe/detector/scenes.mjs --out <folder> --styles train|valid|test [--count 300] [--seed 1]
 *     [--side 192] [--threads 1] [--work <folder>]
 *
 * `train` annotates the base concepts alone (split.mjs), as OV-COCO does: novel things are in every other scene, and
 * nothing says so. They are then an eighth of all things. `valid` and `test` annotate all, and are drawn as the art is:
 * no change of style, no noise. Categories are the 90 concepts in their order; `novel.txt` names the novel ones. A scene
 * is a function of seed and number.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { encodeMasks } from 'declip-native'
import sharp from 'sharp'
import { endWith, Failure } from '../../../scripts/build/common.mjs'
import { writeWhole } from '../../../scripts/build/packed.mjs'
import { loadArt, toSprites } from '../art/art.mjs'
import { CONCEPTS } from '../art/concepts.mjs'
import { STYLES } from '../art/packages.mjs'
import { random } from '../paint/random.mjs'
import { composer } from '../scenes/scenes.mjs'
import { isNovel, NOVEL } from './split.mjs'

/** @typedef {import('../art/art.mjs').Sprite} Sprite */
/** @typedef {import('../scenes/scenes.mjs').Scene} Scene */
/** @typedef {'train' | 'valid' | 'test'} Use */

/** Objects with fewer visible pixels, or of which less shows, are no thing to find. */
const LEAST = { area: 48, visible: 0.25 }
/** Scenes that a thread makes at a time. */
const CHUNK = 50

/** Scenes are of different shapes; the longer side is `side` at most. */
function sizeOf(seed, index, side) {
  const rng = random(seed, index, 'size')
  const long = Math.round(side * rng.uniform(0.75, 1))
  const short = Math.round(long * rng.uniform(0.65, 1))
  return rng.chance(0.6) ? [long, short] : [short, long]
}

/**
 * @param {Sprite[]} sprites
 * @param {{ use: Use, seed: number | string, side: number }} options
 * @returns {(index: number) => Scene}
 */
export function detectionScenes(sprites, { use, seed, side }) {
  const all = composer(sprites)
  const base = composer(sprites.filter(({ concept }) => !isNovel(concept)))
  return index => {
    const compose = use === 'train' && index % 2 === 0 ? base : all
    const key = `detector-${use}-${seed}`
    const [width, height] = sizeOf(key, index, side)
    return compose(index, {
      seed: key,
      strength: use === 'train' ? 1 : 0,
      width,
      height,
      layouts: { grid: 0.6, single: 0.1, anywhere: 0.3 },
      gridCount: [2, 7],
    })
  }
}

/**
 * Annotations of a scene, without their ids.
 *
 * @param {Scene} scene
 * @param {Use} use
 */
export async function annotate({ owner, objects, width, height }, use) {
  const found = objects.flatMap(({ concept, area, visible }, k) =>
    area >= LEAST.area && visible >= LEAST.visible && !(use === 'train' && isNovel(concept))
      ? [{ concept, number: k + 1 }]
      : [],
  )
  const shapes = found.map(({ number }) => ({
    size: /** @type {[number, number]} */ ([height, width]),
    counts: runs(owner, number, width, height),
  }))
  const masks = await encodeMasks(shapes, { width, height })
  return found.map(({ concept }, i) => {
    const { rle, area, box } = masks[i]
    return { category_id: concept + 1, bbox: box, area, iscrowd: 0, segmentation: rle }
  })
}

/** Run lengths of an object's pixels, column by column, the first of what is not its. */
function runs(owner, number, width, height) {
  const counts = [0]
  let inside = false
  for (let x = 0; x < width; x++)
    for (let y = 0; y < height; y++) {
      if ((owner[y * width + x] === number) !== inside) {
        inside = !inside
        counts.push(0)
      }
      counts[counts.length - 1]++
    }
  return counts
}

/** Writes the pictures of some scenes; gives the entries of the file. */
async function writeSome(scene, out, use, indices) {
  return Promise.all(
    indices.map(async index => {
      const made = scene(index)
      const { pixels, width, height } = made
      const file_name = `${String(index).padStart(6, '0')}.jpg`
      await sharp(pixels, { raw: { width, height, channels: 3 } })
        .jpeg({ quality: 92 })
        .toFile(join(out, 'images', file_name))
      return { image: { file_name, width, height }, objects: await annotate(made, use) }
    }),
  )
}

/** The whole file: ids are numbers from 1 in the order of the scenes. */
function toCoco(entries, use, seed) {
  const annotations = []
  for (const [i, { objects }] of entries.entries())
    for (const object of objects)
      annotations.push({ id: annotations.length + 1, image_id: i + 1, ...object })
  return {
    info: {
      description: `drawn scenes, styles: ${use}, seed ${seed}`,
      art: STYLES.filter(style => style.use === use).map(
        ({ title, author, licence }) => `${title}, ${author}, ${licence}`,
      ),
    },
    categories: CONCEPTS.map(({ name }, concept) => ({ id: concept + 1, name })),
    images: entries.map(({ image }, i) => ({ id: i + 1, ...image })),
    annotations,
  }
}

/**
 * @param {string} out
 * @param {{ use: Use, count: number, seed?: number | string, side?: number, sprites: Sprite[] }} options
 */
export async function writeScenes(out, { use, count, seed = 1, side = 192, sprites }) {
  mkdirSync(join(out, 'images'), { recursive: true })
  const scene = detectionScenes(sprites, { use, seed, side })
  const entries = []
  for (let from = 0; from < count; from += CHUNK)
    entries.push(...(await writeSome(scene, out, use, range(from, Math.min(count, from + CHUNK)))))
  writeLists(out, toCoco(entries, use, seed))
}

/** Annotations come last and whole: where they are, the set is. */
function writeLists(out, coco) {
  writeFileSync(join(out, 'novel.txt'), `${NOVEL.join('\n')}\n`)
  writeWhole(join(out, 'annotations.json'), JSON.stringify(coco))
}

const range = (from, to) => Array.from({ length: to - from }, (_, i) => from + i)

/** The same on threads: every one takes the next scenes. */
async function writeOnThreads(out, { use, count, seed, side, art, threads }) {
  mkdirSync(join(out, 'images'), { recursive: true })
  const entries = new Array(count)
  let next = 0
  await Promise.all(
    Array.from({ length: threads }, () => {
      const worker = new Worker(fileURLToPath(import.meta.url), {
        workerData: { art, out, use, seed, side },
      })
      return new Promise((resolve, reject) => {
        const more = () => {
          const some = range(next, Math.min(count, next + CHUNK))
          next += some.length
          worker.postMessage(some.length ? some : null)
        }
        worker.on('error', reject)
        worker.on('exit', resolve)
        worker.on('message', ({ some, made }) => {
          for (const [k, index] of some.entries()) entries[index] = made[k]
          more()
        })
        more()
      })
    }),
  )
  writeLists(out, toCoco(entries, use, seed))
}

async function main() {
  const { values } = parseArgs({
    options: {
      out: { type: 'string' },
      styles: { type: 'string' },
      count: { type: 'string', default: '300' },
      seed: { type: 'string', default: '1' },
      side: { type: 'string', default: '192' },
      threads: { type: 'string', default: '1' },
      work: { type: 'string' },
    },
  })
  const { out, styles: use, seed } = values
  if (!out) throw new Failure('Say where the scenes go: --out <folder>.')
  if (!['train', 'valid', 'test'].includes(use))
    throw new Failure(`--styles is train, valid or test, not '${use}'.`)
  const [count, side, threads] = [values.count, values.side, values.threads].map(Number)
  for (const [name, value, min, max] of [
    ['count', count, 1, 1e6],
    ['side', side, 32, 2048],
    ['threads', threads, 1, 64],
  ])
    if (!Number.isInteger(value) || value < min || value > max)
      throw new Failure(`--${name} is a whole number from ${min} to ${max}.`)
  const art = await loadArt(use, values.work)
  if (threads > 1) await writeOnThreads(out, { use, count, seed, side, art, threads })
  else await writeScenes(out, { use, count, seed, side, sprites: toSprites(art) })
  console.log(`${out}: ${count} scenes`)
}

if (!isMainThread && workerData?.use) {
  sharp.concurrency(1)
  const { art, out, use, seed, side } = workerData
  const scene = detectionScenes(toSprites(art), { use, seed, side })
  parentPort?.on('message', async some => {
    if (some === null) parentPort?.close()
    else parentPort?.postMessage({ some, made: await writeSome(scene, out, use, some) })
  })
} else if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await main().catch(endWith)
}
