/**
 * Your own checkpoint: a file, a folder or a Hugging Face id (downloaded then, and cached). Prints what helps to
 * choose one, docs/guides/choosing-a-model.md: what it is, what runs on it, what it makes of a picture, and how long.
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
const { info } = model
const { format, family, parameters, storedDtype, license, imageSize, patchSize } = info
console.log(`${format} file, family ${family}, ${imageSize} px, patches of ${patchSize}`)
console.log(
  `${(parameters / 1e6).toFixed(1)} million parameters in ${storedDtype}, licence: ${license ?? 'not stated'}`,
)
console.log(`runs in ${info.dtype} on ${info.device}: ${info.deviceReason}`)
for (const note of info.notes) console.log(`note: ${note}`)

if (!info.textSpace) {
  const patches = await model.encodeDense(picture)
  console.log(
    `knows no words; its patches are a tensor [${patches.shape}] for ProxyCLIP and training`,
  )
  patches.dispose()
} else if (!info.towers.includes('text')) {
  console.log('has no text tower; give it text features of the same family')
} else {
  console.log(`texts of up to ${info.contextLength} tokens, vocabulary '${info.tokenizer}'`)
  console.log(`methods: ${info.methods.join(', ')}; by default ${info.defaultMethod}`)
  if (info.denseMode) console.log(`fine-tuned for dense mode ${info.denseMode}`)

  await segment(picture, classes, { model }) // the first call makes the text tower
  const start = performance.now()
  const seg = await segment(picture, classes, { model })
  const time = Math.round(performance.now() - start)
  console.log(`\n${seg.width} x ${seg.height} pixels in ${time} ms`)
  for (const [i, name] of seg.classes.entries()) {
    console.log(name.padEnd(16), `${(100 * seg.areas[i]).toFixed(1)} %`)
  }
  seg.dispose()
}
model.dispose()
