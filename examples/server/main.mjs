/**
 * Starts the server and ends it: on SIGTERM it takes no new request, answers those it has, and after
 * DRAIN_MS stops what is left.
 *
 *   PORT=3000 node main.mjs
 */
import { configure, loadModel } from 'declip-native'
import { buildServer } from './app.mjs'

const setting = (name, otherwise) => Number(process.env[name] ?? otherwise)

configure({
  maxWaiting: setting('MAX_WAITING', 256),
  maxPixels: setting('MAX_PIXELS', 50e6),
})
const model = await loadModel(process.env.DECLIP_MODEL ?? 'words-tiny')
const stopping = new AbortController()
const app = await buildServer({
  model,
  timeout: setting('TIMEOUT_MS', 30_000),
  maxUpload: setting('MAX_UPLOAD', 32 * 2 ** 20),
  stopping: stopping.signal,
})
const address = await app.listen({
  port: setting('PORT', 3000),
  host: process.env.HOST ?? '127.0.0.1',
})
console.log(`listening on ${address}`)

let ending = false
for (const name of ['SIGTERM', 'SIGINT']) {
  process.on(name, async () => {
    if (ending) return stopping.abort() // asked twice
    ending = true
    const late = setTimeout(() => stopping.abort(), setting('DRAIN_MS', 25_000))
    await app.close()
    clearTimeout(late)
    model.dispose()
    console.log('drained')
  })
}
