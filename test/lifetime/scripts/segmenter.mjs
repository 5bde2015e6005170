/** A worker that segments one picture, once or without end, and posts the labels. */
import { parentPort, workerData } from 'node:worker_threads'
import { loadModel, segment } from '../../../dist/index.mjs'

const { picture, classes, options, endless } = workerData
const model = await loadModel()
parentPort.postMessage('loaded')
do {
  const seg = await segment(picture, classes, { ...options, model })
  const labels = await seg.labels.data()
  parentPort.postMessage(labels)
  seg.dispose()
} while (endless)
