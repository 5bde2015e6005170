/**
 * Things by name: boxes, scores and a picture of them.
 *
 *   node examples/detect.mjs
 */
import { detect } from 'declip-native'

const picture = new URL('../models/scenes/table.png', import.meta.url)
const found = await detect(picture, ['pizza', 'banana', 'coffee, cup of coffee', 'strawberry'])

for (const { class: name, score, box } of found.toJSON().objects) {
  console.log(name, `${(100 * score).toFixed(0)} %`, box.join(' '))
}
await found.savePNG('found.png', { overlay: true })
console.log('found.png written')
found.dispose()
