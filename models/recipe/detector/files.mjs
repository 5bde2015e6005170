/**
 * A detector's heads beside the model that they were trained on: `detector.safetensors` has the heads in half
 * precision, and `detector.safetensors.index.json` lists theirs and the model's tensors, so that the tower is on the
 * disk once. loadModel() takes the index.
 */
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../../../scripts/build/common.mjs'
import { writeWhole } from '../../../scripts/build/packed.mjs'
import { float16File, namesIn, readFloat32 } from '../weights.mjs'

export const HEADS = 'detector.safetensors'
export const INDEX = 'detector.safetensors.index.json'
const MODEL = 'model.safetensors'

/** mmdetection's names of what is not the tower, without the counters of batch norms, which only training needs. */
const isOfHeads = (/** @type {string} */ name) =>
  /^(backbone\.interpolate|neck\.|rpn_head\.|roi_head\.)/.test(name) &&
  !name.endsWith('.num_batches_tracked')

/**
 * The heads of a trained detector as one file.
 *
 * @param {string} trained the weights that training exported, float32
 * @param {{ alpha: number, beta: number, voteTemperature: number }} vote what its file says from now on
 */
export function headsFile(trained, vote) {
  const { tensors, metadata } = readFloat32(trained, isOfHeads)
  const said = JSON.parse(metadata['declip.detector'] ?? '{}')
  return float16File(tensors, {
    format: 'pt',
    license: 'apache-2.0',
    'declip.detector': JSON.stringify({ ...said, ...vote }),
  })
}

/** The index of heads and model. @param {Buffer} heads @param {Buffer} model */
export function indexOf(heads, model) {
  const map = (/** @type {Buffer} */ bytes, /** @type {string} */ file) =>
    namesIn(bytes).map(name => [name, file])
  const weight_map = Object.fromEntries([...map(model, MODEL), ...map(heads, HEADS)])
  return `${JSON.stringify({ metadata: { total_size: model.length + heads.length }, weight_map }, null, 1)}\n`
}

/**
 * Writes a folder with heads, index and a copy of the bundled model.
 *
 * @param {string} folder
 * @param {Buffer} heads
 */
export function writeDetector(folder, heads) {
  mkdirSync(folder, { recursive: true })
  const model = join(root, 'models', 'words-tiny', MODEL)
  copyFileSync(model, join(folder, MODEL))
  writeWhole(join(folder, HEADS), heads)
  writeWhole(join(folder, INDEX), indexOf(heads, readFileSync(model)))
}
