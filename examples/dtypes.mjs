/**
 * What a smaller number format costs: the share of pixels whose label is the same as in float32.
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

const reference = await labelsOf('float32')
for (const dtype of ['bfloat16', 'float16', 'int8']) {
  const labels = await labelsOf(dtype).catch(error => error)
  if (labels instanceof DeclipError) {
    console.log(`${dtype}: ${labels.message}`)
    continue
  }
  let [same, pixels] = [0, 0]
  for (const [i, map] of labels.entries()) {
    pixels += map.length
    for (let p = 0; p < map.length; p++) same += Number(map[p] === reference[i][p])
  }
  console.log(`${dtype}: ${((100 * same) / pixels).toFixed(3)} % of ${pixels} pixels as in float32`)
}

async function labelsOf(dtype) {
  const model = await loadModel(source, { dtype })
  const maps = []
  for (const name of names) {
    const seg = await segment(join(folder, name), classes, { model })
    maps.push(await seg.labels.data())
    seg.dispose()
  }
  model.dispose()
  return maps
}
