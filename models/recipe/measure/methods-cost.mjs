/**
 * What one row of methods.mjs costs on a picture with a ViT-B/16 of random weights, in this process:
 * `node methods-cost.mjs '<row as JSON>' <folder of checkpoints>`. The foundation model is a DINO ViT-B/8;
 * regions are those of the picture's colours, made before.
 */

import { checkpoint, PHOTO, photoOfSize, VOC21 } from '../../../bench/inputs.mjs'
import { peakRss } from '../../../bench/measure.mjs'
import { loadModel, segment, Tensor, Vocabulary } from '../../../dist/index.mjs'
import { colourRegions } from './regions-without-model.mjs'

const [row, folder] = process.argv.slice(2)
const { method, options, masks, proxy } = JSON.parse(row)
const model = await loadModel(await checkpoint('vit-b-16', folder), { dtype: 'float32' })
const channels = 512
const features = Tensor.from(
  Float32Array.from({ length: VOC21.length * channels }, (_, i) => Math.sin(i * i)),
  [VOC21.length, channels],
)
const vocabulary = await Vocabulary.fromFeatures(VOC21, features, { background: true })
const call = {
  model,
  method,
  ...(proxy && { proxy: { model: await loadModel(await checkpoint('dino-b-8', folder)) } }),
}
const own = { ...options, ...(masks && { masks: await colourRegions({ path: PHOTO }) }) }
const run = async (/** @type {any} */ picture, /** @type {object} */ changes) =>
  (await segment(picture, vocabulary, { ...call, ...changes })).dispose()
// Warms up on one or a few windows: ITACLIP's 60, in five copies each, take minutes.
await run(await photoOfSize(224, 224), { stride: 224 })
const before = process.cpuUsage()
const start = performance.now()
await run(PHOTO, own)
const wall = (performance.now() - start) / 1000
const { user, system } = process.cpuUsage(before)
console.log(JSON.stringify({ seconds: (user + system) / 1e6, wall, peak: peakRss() }))
