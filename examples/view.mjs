/**
 * Encode a picture once, then ask for other words: no further pass through the vision tower.
 *
 *   node examples/view.mjs
 */
import { loadModel } from 'declip-native'

const model = await loadModel('words-tiny')
const view = await model.encode(new URL('../models/scenes/garden.png', import.meta.url))
console.log(`${view.windows} windows, ${(view.byteLength / 1e6).toFixed(1)} MB of features`)

for (const words of [
  ['background', 'elephant', 'mushroom'],
  ['background', 'rainbow', 'sunflower', 'bee'],
]) {
  const seg = await view.segment(words)
  const shares = seg.classes.map((name, i) => `${name} ${(100 * seg.areas[i]).toFixed(1)} %`)
  console.log(shares.join(', '), `(${Math.round(seg.timings.totalMs)} ms)`)
  seg.dispose()
}

// The cosine of every pixel with a text, float32 [H, W].
const map = await view.similarity('a photo of an elephant')
const cosines = await map.data()
const best = cosines.reduce((most, value, i) => (value > cosines[most] ? i : most), 0)
const [x, y] = [best % view.width, Math.floor(best / view.width)]
console.log(`most like an elephant: pixel ${x}, ${y}, cosine ${cosines[best].toFixed(3)}`)

map.dispose()
view.dispose()
model.dispose()
