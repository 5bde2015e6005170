/**
 * The first script: one picture, a few words, a mask and an overlay.
 *
 *   node examples/segment.mjs
 */
import { segment } from 'declip-native'

const picture = new URL('../models/scenes/park.png', import.meta.url)
const seg = await segment(picture, ['background', 'tree', 'dog, puppy', 'butterfly'])

for (const [i, name] of seg.classes.entries()) {
  console.log(name, `${(100 * seg.areas[i]).toFixed(1)} %`)
}
await seg.savePNG('mask.png')
await seg.savePNG('overlay.png', { overlay: true })
console.log('mask.png and overlay.png written')
seg.dispose()
