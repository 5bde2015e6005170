/**
 * Regions of a picture against words: boxes and masks in one call.
 *
 *   node examples/regions.mjs
 */
import { loadModel } from 'declip-native'

const picture = new URL('../models/scenes/table.png', import.meta.url)
const words = ['pizza', 'banana', 'coffee', 'strawberry', 'cake', 'hamburger']
const boxes = [
  [115, 108, 213, 225],
  [208, 188, 290, 280],
  [94, 218, 170, 288],
]
// The outline of the strawberry, as COCO writes polygons: x1, y1, x2, y2 ...
const masks = [[[150, 45, 205, 45, 209, 65, 195, 95, 180, 105, 165, 95, 145, 65]]]

const model = await loadModel('words-tiny')
for (const pool of ['dense', 'crop', 'mean']) {
  const { regions } = await model.classify(picture, words, { boxes, masks, pool, size: 192 })
  const best = regions.map(({ ranked: [first] }) => {
    const percent = (100 * first.probability).toFixed(0)
    return `${first.class} (${percent} %, cosine ${first.score.toFixed(2)})`
  })
  console.log(`${pool}: ${best.join(', ')}`)
}
model.dispose()
