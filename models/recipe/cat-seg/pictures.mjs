/**
 * The small CAT-Seg on the eight bundled pictures, asked for the words of each alone, beside the bundled model.
 *
 *   node models/recipe/cat-seg/pictures.mjs --model <weights>
 *
 * mIoU of a picture is the mean over its words and the background; a row is the mean of the eight.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { loadModel, segment } from 'declip-native'
import sharp from 'sharp'
import { endWith, Failure, root } from '../../../scripts/build/common.mjs'

const SCENES = join(root, 'models', 'scenes')
const SMOOTH = { iterations: 10, dilations: [1, 2, 4, 8] }
const FINE = { method: 'maskclip', stride: 24, pamr: SMOOTH, areaThreshold: 0.06, probThreshold: 0 }
const LARGE = { catSeg: { canvas: 288, stride: 64 } }

/** @type {readonly [string, 'bundled' | 'cat-seg', object][]} */
const ROWS = [
  ['the bundled model as it comes', 'bundled', {}],
  ['`maskclip`, stride 24, PAMR, area 0.06', 'bundled', FINE],
  ['CAT-Seg', 'cat-seg', {}],
  ['CAT-Seg, PAMR', 'cat-seg', { pamr: SMOOTH }],
  ['CAT-Seg, canvas of 288', 'cat-seg', LARGE],
  ['CAT-Seg, canvas of 288, PAMR', 'cat-seg', { ...LARGE, pamr: SMOOTH }],
]

/** Mean over the words that either map has. */
function meanIoU(found, mask, words) {
  const all = words.flatMap((_, word) => {
    let [both, either] = [0, 0]
    for (let i = 0; i < found.length; i++) {
      both += Number(found[i] === word && mask[i] === word)
      either += Number(found[i] === word || mask[i] === word)
    }
    return either ? [both / either] : []
  })
  return all.reduce((a, b) => a + b) / all.length
}

async function main() {
  const { values } = parseArgs({ options: { model: { type: 'string' } } })
  if (!values.model) throw new Failure('Say --model <weights>.')
  const { scenes } = JSON.parse(readFileSync(join(SCENES, 'scenes.json'), 'utf8'))
  const models = {
    bundled: await loadModel('words-tiny'),
    'cat-seg': await loadModel(values.model),
  }
  const stems = scenes.map(({ file }) => file.replace('.png', ''))
  console.log(`| | ${stems.join(' | ')} | mean |`)
  console.log(`| --- |${' --- |'.repeat(stems.length + 1)}`)
  for (const [name, by, options] of ROWS) {
    const figures = []
    for (const { file, labels, classes } of scenes) {
      const seg = await segment(join(SCENES, file), classes, { model: models[by], ...options })
      const mask = await sharp(join(SCENES, labels)).extractChannel(0).raw().toBuffer()
      figures.push(meanIoU(await seg.labels.data(), mask, classes))
      seg.dispose()
    }
    figures.push(figures.reduce((a, b) => a + b) / figures.length)
    console.log(`| ${[name, ...figures.map(x => (100 * x).toFixed(1))].join(' | ')} |`)
  }
  for (const model of Object.values(models)) model.dispose()
}

await main().catch(endWith)
