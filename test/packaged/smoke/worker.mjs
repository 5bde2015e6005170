/** Segments one picture and sends the labels' hash; with `endless` it goes on until it is terminated. */
import { createHash } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'
import { segment } from 'declip-native'

const { park, classes, endless } = workerData
do {
  const seg = await segment(new URL(park), classes, { model: 'words-tiny', shortSide: 96 })
  const hash = createHash('sha256').update(await seg.labels.data())
  parentPort.postMessage(hash.digest('hex').slice(0, 16))
  seg.dispose()
} while (endless)
