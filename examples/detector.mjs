/**
 * A detector's own boxes: the words that it stores, and any others, of one pass over the picture.
 *
 *   node examples/detector.mjs fvit.pth photo.jpg ["dog; cup"]
 *
 * A detector without a text tower finds any of the words that it stores; others need the CLIP that it was trained on:
 * view.detect(words, { text: { model: 'clip.pt' } }).
 */
import { loadModel } from 'declip-native'

const [source, picture, words] = process.argv.slice(2)
if (!source || !picture) {
  console.error('node examples/detector.mjs <detector> <picture> ["dog; cup"]')
  process.exit(2)
}
const model = await loadModel(source)
const view = await model.encodeForDetection(picture)
console.log(`${view.proposals} proposals of ${view.width} x ${view.height} pixels`)

const found = await view.detect(words?.split(';'), { scoreThreshold: 0.2 })
for (const { class: name, score, box } of found.toJSON().objects) {
  console.log(name, `${(100 * score).toFixed(0)} %`, box.map(Math.round).join(' '))
}
await found.savePNG('found.png', { overlay: true })
console.log('found.png written')

found.dispose()
view.dispose()
model.dispose()
