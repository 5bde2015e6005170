/**
 * What a bank of unlabelled drawn scenes does to the labels of others, with the bundled model and the same masks.
 *
 *   node models/recipe/scenes/folder.mjs --out <many> --count 2000 --seed unlabelled --side 128
 *   node models/recipe/scenes/folder.mjs --out <held> --count 200 --seed held-out --side 128
 *   node scripts/check/bank-proof.mjs <many> <held> [--masks drawn|colours] [--bank <file>]
 *
 * Masks are the drawn objects' without their classes, or regions of like colour, which nobody drew. Keys are the
 * model's own dense features. `--bank` keeps the bank, and goes on with it. Prints a line of JSON for every setting.
 */
import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { parseArgs } from 'node:util'
import sharp from 'sharp'
import { buildBank, loadModel, segment, Tensor } from '../../dist/index.js'

const { values, positionals } = parseArgs({
  options: {
    masks: { type: 'string', default: 'drawn' },
    limit: { type: 'string' },
    bank: { type: 'string' },
  },
  allowPositionals: true,
})
const [many, held] = positionals
const stem = path => basename(path).replace(/\.\w+$/, '')
const pictures = folder =>
  readdirSync(join(folder, 'images'))
    .sort()
    .slice(0, values.limit ? Number(values.limit) : undefined)
    .map(name => join(folder, 'images', name))

/** Pixels of one rounded colour that hang together are a region where there are enough of them. */
async function coloursOf(picture) {
  const { data, width, height } = await picture.pixels()
  const colour = new Uint16Array(width * height)
  for (let i = 0; i < colour.length; i++) {
    const [r, g, b] = data.subarray(3 * i, 3 * i + 3)
    colour[i] = ((r + 21) >> 6) * 25 + ((g + 21) >> 6) * 5 + ((b + 21) >> 6)
  }
  const regions = new Int32Array(colour.length).fill(-1)
  let next = 1
  for (let start = 0; start < colour.length; start++) {
    if (regions[start] !== -1) continue
    const found = [start]
    regions[start] = 0
    for (let k = 0; k < found.length; k++) {
      const i = found[k]
      const x = i % width
      for (const j of [
        x > 0 && i - 1,
        x < width - 1 && i + 1,
        i >= width && i - width,
        i + width,
      ]) {
        if (j === false || j >= colour.length || regions[j] !== -1) continue
        if (colour[j] !== colour[start]) continue
        regions[j] = 0
        found.push(j)
      }
    }
    if (found.length >= 60) {
      for (const i of found) regions[i] = next
      next++
    }
  }
  return Tensor.from(regions, [height, width])
}

const masksOf = folder => (values.masks === 'drawn' ? join(folder, 'labels') : coloursOf)
const model = await loadModel('words-tiny', { dtype: 'bfloat16' })
const started = performance.now()
// One pass over a picture, in the bank as in what is asked of it: the published windows are of larger models.
const windows = { shortSide: 128, window: 0, padTo: 8 }
const bank = await buildBank(pictures(many), {
  model,
  masks: masksOf(many),
  out: values.bank,
  ...windows,
})
const say = line => console.log(JSON.stringify({ masks: values.masks, ...line }))
say({
  pictures: bank.info.pictures,
  regions: bank.size,
  bytes: bank.info.bytes,
  buildS: (performance.now() - started) / 1000,
})

const truths = new Map()
for (const path of pictures(held)) {
  const file = join(held, 'labels', `${stem(path)}.png`)
  truths.set(path, await sharp(file).extractChannel(0).raw().toBuffer())
}
const vocabulary = await model.vocabulary(join(held, 'classes.txt'))
const classes = vocabulary.classes.length

async function miou(options) {
  const start = performance.now()
  const [both, ours, theirs] = [0, 1, 2].map(() => new Float64Array(classes))
  for (const [path, truth] of truths) {
    const seg = await segment(path, vocabulary, { model, ...windows, ...options })
    const labels = await seg.labels.data()
    for (let i = 0; i < truth.length; i++) {
      ours[labels[i]]++
      theirs[truth[i]]++
      if (labels[i] === truth[i]) both[truth[i]]++
    }
    seg.dispose()
  }
  const ious = [...theirs.keys()]
    .filter(c => theirs[c] > 0)
    .map(c => both[c] / (ours[c] + theirs[c] - both[c]))
  const mean = ious.reduce((a, b) => a + b, 0) / ious.length
  return {
    mIoU: +(100 * mean).toFixed(2),
    msEach: +((performance.now() - start) / truths.size).toFixed(1),
  }
}

const masks = masksOf(held)
say({ bank: false, vote: false, ...(await miou({})) })
say({ bank: false, vote: true, ...(await miou({ masks, refine: 'vote' })) })
for (const [bankShare, bankNeighbours] of [
  [0.5, 20],
  [0.25, 20],
  [0.75, 20],
  [0.5, 5],
  [0.5, 100],
]) {
  const options = { masks, bank, bankShare, bankNeighbours }
  say({ bankShare, bankNeighbours, vote: false, ...(await miou(options)) })
}
say({
  bankShare: 0.5,
  bankNeighbours: 20,
  vote: true,
  ...(await miou({ masks, bank, refine: 'vote' })),
})
bank.dispose()
