/** A worker that ends itself while one of its calls reports progress. */
import { workerData } from 'node:worker_threads'
import { loadModel, segment } from '../../../dist/index.mjs'

const model = await loadModel()
const onProgress = () => process.exit(5)
await segment(workerData.picture, workerData.classes, { model, onProgress })
