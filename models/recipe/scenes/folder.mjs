/**
 * Writes scenes with the class of every pixel as a plain data set folder, which `declip eval --dataset folder` reads:
 * `images/*.jpg`, `labels/*.png` (index pictures, 0 is background) and `classes.txt`.
 *
 *   node models/recipe/scenes/folder.mjs --out <folder> [--count 500] [--seed 1] [--side 240]
 *     [--styles scenes|valid|test|train] [--work <folder>]
 *
 * `--styles scenes`, the default, needs no download: the objects of models/scenes are cut out and put together anew,
 * over other backgrounds. The others take the art of art/packages.mjs, with npm. A scene is a function of seed and
 * number: the first scenes of a larger folder are those of a smaller one.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import sharp from 'sharp'
import { endWith, Failure, root } from '../../../scripts/build/common.mjs'
import { loadArt, toSprites } from '../art/art.mjs'
import { CONCEPTS } from '../art/concepts.mjs'
import { random } from '../paint/random.mjs'
import { composer } from './scenes.mjs'
import { EVALUATED_BACKGROUND } from './sets.mjs'

/** @typedef {import('../art/art.mjs').Sprite} Sprite */

/** The objects of models/scenes, cut out along their labels. @returns {Promise<Sprite[]>} */
export async function cutOutSprites() {
  const folder = join(root, 'models/scenes')
  const { scenes } = JSON.parse(readFileSync(join(folder, 'scenes.json'), 'utf8'))
  const header = []
  const parts = []
  let offset = 0
  for (const { file, labels, width, height, classes } of scenes) {
    const picture = await sharp(join(folder, file)).removeAlpha().raw().toBuffer()
    const owner = await sharp(join(folder, labels)).extractChannel(0).raw().toBuffer()
    for (const [label, name] of classes.entries()) {
      const concept = CONCEPTS.findIndex(concept => concept.name === name)
      if (label === 0 || concept < 0) continue
      const cut = cutOut(picture, owner, width, height, label)
      header.push({ concept, style: 'twemoji', icon: `${file}:${name}`, ...cut.size, offset })
      parts.push(cut.rgba)
      offset += cut.rgba.length
    }
  }
  const pixels = new SharedArrayBuffer(offset)
  const bytes = new Uint8Array(pixels)
  for (const [i, part] of parts.entries()) bytes.set(part, header[i].offset)
  return toSprites({ header, pixels })
}

/** The pixels of a label, in their bounding box. */
function cutOut(picture, owner, width, height, label) {
  let [left, top, right, bottom] = [width, height, 0, 0]
  for (let i = 0; i < owner.length; i++) {
    if (owner[i] !== label) continue
    const [x, y] = [i % width, Math.floor(i / width)]
    left = Math.min(left, x)
    top = Math.min(top, y)
    right = Math.max(right, x + 1)
    bottom = Math.max(bottom, y + 1)
  }
  const size = { width: right - left, height: bottom - top }
  const rgba = new Uint8Array(size.width * size.height * 4)
  for (let y = 0, o = 0; y < size.height; y++)
    for (let x = 0; x < size.width; x++, o += 4) {
      const i = (top + y) * width + left + x
      if (owner[i] !== label) continue
      rgba.set(picture.subarray(3 * i, 3 * i + 3), o)
      rgba[o + 3] = 255
    }
  return { size, rgba }
}

/** Class lines of the concepts that sprites show: the background first. @param {Sprite[]} sprites */
export function classesOf(sprites) {
  const shown = CONCEPTS.map((_, concept) => concept).filter(concept =>
    sprites.some(sprite => sprite.concept === concept),
  )
  return {
    lines: [EVALUATED_BACKGROUND.join(', '), ...shown.map(concept => CONCEPTS[concept].name)],
    /** Label of a concept. */
    labelOf: concept => shown.indexOf(concept) + 1,
  }
}

/** Scenes are of different shapes, and some are large, as the pictures of data sets are. */
function sizeOf(seed, index, side) {
  const rng = random(seed, index, 'size')
  const long = Math.round(side * rng.uniform(0.8, 1.4))
  const short = Math.round(long * rng.uniform(0.65, 1))
  return rng.chance(0.6) ? [long, short] : [short, long]
}

/**
 * Writes `count` scenes.
 *
 * @param {string} out
 * @param {{ count: number, seed?: number | string, side?: number, sprites: Sprite[] }} options
 */
export async function writeFolder(out, { count, seed = 1, side = 240, sprites }) {
  const compose = composer(sprites)
  const { lines, labelOf } = classesOf(sprites)
  for (const folder of ['images', 'labels']) mkdirSync(join(out, folder), { recursive: true })
  writeFileSync(join(out, 'classes.txt'), `${lines.join('\n')}\n`)
  for (let i = 0; i < count; i++) {
    const [width, height] = sizeOf(seed, i, side)
    const options = { layouts: { grid: 0.7, single: 0.1, anywhere: 0.2 }, gridCount: [2, 5] }
    const scene = compose(i, { seed: `folder-${seed}`, strength: 0, width, height, ...options })
    const labels = scene.owner.map(k => (k ? labelOf(scene.objects[k - 1].concept) : 0))
    const stem = String(i).padStart(5, '0')
    const raw = channels => ({ raw: { width, height, channels } })
    await Promise.all([
      sharp(scene.pixels, raw(3))
        .jpeg({ quality: 92 })
        .toFile(join(out, 'images', `${stem}.jpg`)),
      sharp(labels, raw(1))
        .toColourspace('b-w')
        .png()
        .toFile(join(out, 'labels', `${stem}.png`)),
    ])
  }
}

async function main() {
  const { values } = parseArgs({
    options: {
      out: { type: 'string' },
      count: { type: 'string', default: '500' },
      seed: { type: 'string', default: '1' },
      side: { type: 'string', default: '240' },
      styles: { type: 'string', default: 'scenes' },
      work: { type: 'string' },
    },
  })
  const { out, styles, seed } = values
  if (!out) throw new Failure('Say where the scenes go: --out <folder>.')
  const [count, side] = [Number(values.count), Number(values.side)]
  if (!Number.isInteger(count) || count < 1 || !Number.isInteger(side) || side < 16)
    throw new Failure('--count is a whole number from 1, --side one from 16.')
  if (!['scenes', 'train', 'valid', 'test'].includes(styles))
    throw new Failure(`--styles is scenes, train, valid or test, not '${styles}'.`)
  const sprites =
    styles === 'scenes' ? await cutOutSprites() : toSprites(await loadArt(styles, values.work))
  await writeFolder(out, { count, seed, side, sprites })
  console.log(`${out}: ${count} scenes, ${classesOf(sprites).lines.length} classes`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main().catch(endWith)
