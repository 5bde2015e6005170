/**
 * Your own checkpoint: a file, a folder or a Hugging Face id (downloaded then, and cached).
 *
 *   node examples/checkpoint.mjs [checkpoint] [picture] [class...]
 *   node examples/checkpoint.mjs openai/clip-vit-base-patch16 photo.jpg background "cat, feline" sofa
 */
import { fileURLToPath } from 'node:url'
import { loadModel, segment } from 'declip-native'

const local = path => fileURLToPath(new URL(path, import.meta.url))
const [
  source = local('../models/words-tiny/model.safetensors'),
  picture = local('../models/scenes/street.png'),
  ...given
] = process.argv.slice(2)
const classes = given.length > 0 ? given : ['background', 'cat', 'traffic light', 'car']

const model = await loadModel(source, {
  onProgress: ({ step, done, total }) => {
    if (total > 0 && done === total) console.log(`${step}: done`)
  },
})
const { format, family, imageSize, patchSize, denseMode, device, deviceReason, notes } = model.info
console.log(`${format} file, family ${family}, ${imageSize} px, patches of ${patchSize}`)
console.log(`runs on ${device}: ${deviceReason}`)
if (denseMode) console.log(`fine-tuned for dense mode ${denseMode}`)
for (const note of notes) console.log(`note: ${note}`)

const seg = await segment(picture, classes, { model })
for (const [i, name] of seg.classes.entries()) {
  console.log(name.padEnd(16), `${(100 * seg.areas[i]).toFixed(1)} %`)
}
seg.dispose()
model.dispose()
