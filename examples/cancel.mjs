/**
 * A job that is cancelled half-way. It stops between two windows; the model stays usable.
 *
 *   node examples/cancel.mjs
 */
import { DeclipError, loadModel, segment } from 'declip-native'

const model = await loadModel('words-tiny')
const picture = new URL('../models/scenes/desk.png', import.meta.url)
const classes = ['background', 'laptop', 'book', 'alarm clock']

const controller = new AbortController()
try {
  await segment(picture, classes, {
    model,
    stride: 4, // thousands of windows
    signal: controller.signal,
    onProgress: ({ step, done, total }) => {
      if (step !== 'encode') return
      console.log(`${step}: ${done} of ${total} windows`)
      if (done >= 100) controller.abort()
    },
  })
} catch (error) {
  if (!(error instanceof DeclipError)) throw error
  console.log(error.name, error.code)
}

const seg = await segment(picture, classes, { model })
console.log(`the next call works: ${seg.width} x ${seg.height} labels`)
seg.dispose()
model.dispose()
