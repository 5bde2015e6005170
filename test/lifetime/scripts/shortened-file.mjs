/** Another program shortens the weights of a model in use: node shortened-file.mjs <copy of the weights> */
import { copyFileSync, truncateSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { loadModel } from '../../../dist/index.mjs'

const path = process.argv[2]
const failure = call =>
  call.then(
    () => 'worked',
    error => error.code,
  )
const bundled = await loadModel()
copyFileSync(bundled.info.path, path)
const model = await loadModel(path)
truncateSync(path, 20_000)
console.log(await failure(model.encodeText(['a dog'])))
console.log(await failure(model.encodeText(['a dog'])))
console.log(await failure(loadModel(path)))

// One that is read while it becomes shorter, by a worker's call.
copyFileSync(bundled.info.path, path)
const worker = new Worker(
  `const { parentPort, workerData } = require('node:worker_threads')
  import(workerData.index).then(async ({ loadModel }) => {
    const model = await loadModel(workerData.path)
    parentPort.postMessage('loaded')
    parentPort.once('message', () =>
      model.encodeText(['a dog']).then(
        () => parentPort.postMessage('worked'),
        error => parentPort.postMessage(error.code),
      ),
    )
  })`,
  {
    eval: true,
    workerData: { path, index: new URL('../../../dist/index.mjs', import.meta.url).href },
  },
)
worker.on('message', message => {
  console.log(message)
  if (message !== 'loaded') return worker.terminate()
  truncateSync(path, 0)
  worker.postMessage('go')
})
await new Promise(resolve => worker.once('exit', resolve))

copyFileSync(bundled.info.path, path)
console.log(await failure(loadModel(path)))
console.log(await failure(bundled.encodeText(['a dog'])))
