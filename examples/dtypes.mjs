/**
 * What a smaller number format costs and gives: the share of pixels whose label is the same as in float32,
 * and how many times as fast the image encoder is.
 *
 *   node examples/dtypes.mjs [checkpoint] [folder of pictures] [class...]
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DeclipError, loadModel, segment } from 'declip-native'

const scenes = fileURLToPath(new URL('../models/scenes', import.meta.url))
const [source = 'words-tiny', folder = scenes, ...given] = process.argv.slice(2)
const classes =
  given.length > 0 ? given : ['background', 'tree', 'cat', 'star', 'laptop', 'elephant']
const names = (await readdir(folder)).filter(
  name => /\.(jpe?g|png|webp)$/i.test(name) && !name.endsWith('-labels.png'),
)

const reference = await loadModel(source, { dtype: 'float32' })
for (const dtype of ['bfloat16', 'float16', 'int8']) {
  const model = await loadModel(source, { dtype }).catch(error => error)
  if (model instanceof DeclipError) {
    console.log(`${dtype}: ${model.message}`)
    continue
  }
  await compare(model)
  model.dispose()
}
reference.dispose()

/** Both formats take turns, so that whatever else the machine does falls on both. */
async function compare(model) {
  let [same, pixels] = [0, 0]
  const ratios = []
  for (const either of [model, reference]) await labels(either, names[0]) // makes text tower and buffers
  for (const name of names) {
    const [ours, theirs] = [await labels(model, name), await labels(reference, name)]
    pixels += ours.map.length
    for (let p = 0; p < ours.map.length; p++) same += Number(ours.map[p] === theirs.map[p])
    ratios.push(theirs.encodeMs / ours.encodeMs)
  }
  const percent = ((100 * same) / pixels).toFixed(3)
  const speed = ratios.sort((a, b) => a - b)[ratios.length >> 1].toFixed(2)
  console.log(
    `${model.info.dtype}: ${percent} % of ${pixels} pixels as in float32, image encoder ${speed} times as fast`,
  )
}

async function labels(model, name) {
  const seg = await segment(join(folder, name), classes, { model })
  const result = { map: await seg.labels.data(), encodeMs: seg.timings.encodeMs }
  seg.dispose()
  return result
}
