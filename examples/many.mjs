/**
 * Many pictures, in order, with bounded memory: words are encoded once, the next pictures are
 * decoded while others are computed, and a file that cannot be read is reported and left out.
 *
 *   node examples/many.mjs [folder]
 */
import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { loadModel, segmentMany } from 'declip-native'

const folder = process.argv[2] ?? fileURLToPath(new URL('../models/scenes', import.meta.url))
const names = (await readdir(folder)).filter(name => /\.(jpe?g|png|webp)$/i.test(name))
const pictures = names.filter(name => !name.endsWith('-labels.png')).sort()

const model = await loadModel('words-tiny')
const vocabulary = await model.vocabulary([
  'background',
  'tree',
  'pizza',
  'umbrella',
  'cat',
  'penguin',
  'ghost',
  'elephant',
  'laptop',
])

const results = segmentMany(
  pictures.map(name => join(folder, name)),
  vocabulary,
  { model, onError: (error, image) => console.error(`${image}: ${error.message}`) },
)
for await (const seg of results) {
  const shares = seg.areas.map((area, c) => (c === vocabulary.background ? 0 : area))
  const largest = shares.indexOf(Math.max(...shares))
  const share = `${(100 * shares[largest]).toFixed(1)} %`
  console.log(basename(seg.image).padEnd(14), seg.classes[largest].padEnd(10), share)
  seg.dispose()
}
vocabulary.dispose()
model.dispose()
