/**
 * CAT-Seg: a picture is encoded once, and asked for one list of words after the other.
 *
 *   node examples/cat-seg.mjs model_base.pth photo.jpg ["cat; sofa, couch; wall"] ["cup; table; spoon"]
 */
import { loadModel } from 'declip-native'

const [source, picture, ...lists] = process.argv.slice(2)
if (!source || !picture) {
  console.error('node examples/cat-seg.mjs <checkpoint> <picture> ["cat; sofa; wall"] ...')
  process.exit(2)
}
const model = await loadModel(source)
if (!model.info.catSeg) {
  console.error(`${source} has no CAT-Seg head; it runs: ${model.info.methods.join(', ')}`)
  process.exit(1)
}
const view = await model.encode(picture)
console.log(`${view.windows} inputs of ${view.width} x ${view.height} pixels`)

for (const list of lists.length > 0 ? lists : ['person; tree; sky; road', 'cup; table; wall']) {
  const found = await view.segment(list.split(';').map(word => word.trim()))
  const shares = found.classes.map((name, i) => `${name} ${(100 * found.areas[i]).toFixed(1)} %`)
  console.log(`${shares.join(', ')} in ${Math.round(found.timings.totalMs)} ms`)
  await found.savePNG('cat-seg.png', { overlay: { image: picture } })
  found.dispose()
}
console.log('cat-seg.png written')
view.dispose()
model.dispose()
