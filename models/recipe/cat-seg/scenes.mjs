/**
 * Writes scenes with the class of every pixel, as CAT-Seg learns from them and `declip eval --dataset folder` reads
 * them: `images/*.jpg`, `labels/*.png` (index pictures, 0 is background, 255 says nothing), `classes.txt`.
 *
 *   node models/recipe/cat-seg/scenes.mjs --out <folder> --styles train|valid|test [--count 300] [--seed 1]
 *     [--side 192] [--work <folder>]
 *
 * They are the small detector's scenes. `train` labels the seen concepts alone (detector/split.mjs): unseen things are
 * in every other scene and their pixels have no label, as a data set has things of which its annotators were not asked.
 * `valid` and `test` label all 90 concepts; `unseen.txt` names those that training never labels. A scene is a function
 * of seed and number: the first scenes of a larger folder are those of a smaller one.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import sharp from 'sharp'
import { endWith, Failure } from '../../../scripts/build/common.mjs'
import { writeWhole } from '../../../scripts/build/packed.mjs'
import { loadArt, toSprites } from '../art/art.mjs'
import { CONCEPTS } from '../art/concepts.mjs'
import { detectionScenes } from '../detector/scenes.mjs'
import { isNovel, NOVEL } from '../detector/split.mjs'
import { EVALUATED_BACKGROUND } from '../scenes/sets.mjs'

/** @typedef {import('../detector/scenes.mjs').Use} Use */

const IGNORED = 255
/** Scenes that are written at a time. */
const CHUNK = 50

/**
 * Class lines, the background's first, and what number a concept's pixels get.
 *
 * @param {Use} use
 */
export function classesFor(use) {
  const shown = [...CONCEPTS.keys()].filter(concept => use !== 'train' || !isNovel(concept))
  const labels = new Map(shown.map((concept, i) => [concept, i + 1]))
  return {
    lines: [EVALUATED_BACKGROUND.join(', '), ...shown.map(concept => CONCEPTS[concept].name)],
    labelOf: (/** @type {number} */ concept) => labels.get(concept) ?? IGNORED,
  }
}

/** Writes picture and labels of a scene. */
async function writeScene(out, index, { pixels, owner, objects, width, height }, labelOf) {
  const stem = String(index).padStart(6, '0')
  const labels = owner.map(k => (k ? labelOf(objects[k - 1].concept) : 0))
  await Promise.all([
    sharp(pixels, { raw: { width, height, channels: 3 } })
      .jpeg({ quality: 92 })
      .toFile(join(out, 'images', `${stem}.jpg`)),
    sharp(labels, { raw: { width, height, channels: 1 } })
      .toColourspace('b-w')
      .png()
      .toFile(join(out, 'labels', `${stem}.png`)),
  ])
}

/**
 * Writes `count` scenes. `classes.txt` comes last: where it is, the set is whole.
 *
 * @param {string} out
 * @param {{ use: Use, count: number, seed?: number | string, side?: number,
 *   sprites: import('../art/art.mjs').Sprite[] }} options
 */
export async function writeScenes(out, { use, count, seed = 1, side = 192, sprites }) {
  for (const folder of ['images', 'labels']) mkdirSync(join(out, folder), { recursive: true })
  const scene = detectionScenes(sprites, { use, seed, side })
  const { lines, labelOf } = classesFor(use)
  for (let from = 0; from < count; from += CHUNK) {
    const indices = Array.from({ length: Math.min(CHUNK, count - from) }, (_, i) => from + i)
    await Promise.all(indices.map(index => writeScene(out, index, scene(index), labelOf)))
  }
  writeFileSync(join(out, 'unseen.txt'), `${NOVEL.join('\n')}\n`)
  writeWhole(join(out, 'classes.txt'), `${lines.join('\n')}\n`)
}

async function main() {
  const { values } = parseArgs({
    options: {
      out: { type: 'string' },
      styles: { type: 'string' },
      count: { type: 'string', default: '300' },
      seed: { type: 'string', default: '1' },
      side: { type: 'string', default: '192' },
      work: { type: 'string' },
    },
  })
  const { out, styles: use, seed } = values
  if (!out) throw new Failure('Say where the scenes go: --out <folder>.')
  if (!['train', 'valid', 'test'].includes(use))
    throw new Failure(`--styles is train, valid or test, not '${use}'.`)
  const [count, side] = [Number(values.count), Number(values.side)]
  if (!Number.isInteger(count) || count < 1) throw new Failure('--count is a whole number from 1.')
  if (!Number.isInteger(side) || side < 32) throw new Failure('--side is a whole number from 32.')
  const sprites = toSprites(await loadArt(use, values.work))
  await writeScenes(out, { use, count, seed, side, sprites })
  console.log(`${out}: ${count} scenes`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main().catch(endWith)
