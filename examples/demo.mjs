/**
 * Segments a bundled picture by words with the bundled model, compares the result with the picture's
 * own mask, and writes an overlay to look at.
 *
 *   node examples/demo.mjs [overlay.png]
 *
 * The art is of a style that the model was never trained on. The picture is the one of the eight
 * bundled ones that it does best; docs/bundled-model.md has the figures of all.
 */
import { fileURLToPath } from 'node:url'
import { loadModel, segment } from 'declip-native'
import sharp from 'sharp'

const scenes = new URL('../models/scenes/', import.meta.url)
const classes = ['background', 'pizza', 'hamburger', 'banana', 'strawberry', 'coffee', 'cake']
const palette = [
  [120, 120, 120],
  [230, 25, 75],
  [60, 180, 75],
  [0, 130, 200],
  [145, 30, 180],
  [255, 225, 25],
  [240, 50, 230],
]
const output = process.argv[2] ?? 'demo-overlay.png'

const model = await loadModel('words-tiny')
const seg = await segment(new URL('table.png', scenes), classes, {
  model,
  shortSide: null,
  stride: 24,
  pamr: { iterations: 10, dilations: [1, 2, 4] },
})
await seg.savePNG(output, { overlay: true, palette })

const found = await seg.labels.data()
const mask = await sharp(fileURLToPath(new URL('table-labels.png', scenes)))
  .extractChannel(0)
  .raw()
  .toBuffer()
const overlaps = classes.map((_, c) => intersectionOverUnion(found, mask, c))
const right = mask.filter((label, i) => label === found[i]).length / mask.length

const { imageSize, patchSize, layers } = model.info
console.log(`models/scenes/table.png, ${seg.width} x ${seg.height}`)
console.log(
  `model words-tiny (${imageSize} px, patches of ${patchSize}, ${layers} blocks), ${time()}`,
)
console.log('\n       found              area    IoU with the mask')
for (const [i, name] of classes.entries()) {
  const area = `${(100 * seg.areas[i]).toFixed(1)} %`.padStart(7)
  console.log(`  ${block(palette[i])} ${name.padEnd(16)} ${area}   ${overlaps[i].toFixed(2)}`)
}
const mean = overlaps.reduce((a, b) => a + b) / overlaps.length
console.log(`\nmean IoU ${mean.toFixed(2)}, ${(100 * right).toFixed(1)} % of the pixels right`)
console.log(`overlay written to ${output}`)
seg.dispose()
model.dispose()

/** Pixels that both maps give to class `c`, as a share of those that either does. */
function intersectionOverUnion(a, b, c) {
  let [intersection, union] = [0, 0]
  for (let i = 0; i < a.length; i++) {
    intersection += Number(a[i] === c && b[i] === c)
    union += Number(a[i] === c || b[i] === c)
  }
  return intersection / union
}

/** A coloured square on a terminal. */
function block([r, g, b]) {
  const color = process.stdout.isTTY && !process.env.NO_COLOR
  return color ? `\x1b[38;2;${r};${g};${b}m\u2588\u2588\x1b[0m` : '  '
}

function time() {
  const { textMs, encodeMs, pixelsMs } = seg.timings
  const ms = [textMs, encodeMs, pixelsMs].map(Math.round)
  return `${ms[0]} ms words, ${ms[1]} ms picture, ${ms[2]} ms pixels`
}
