/**
 * One way for a process to end, named by the first argument, while the native part is busy, idle or
 * has work queued. Run by ../exit.ts, which looks at exit code, signal and stderr.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { loadModel, segment, Tensor } from '../../../dist/index.mjs'

const model = await loadModel()
const classes = ['cat', 'dog', 'background']
const picture = size => ({
  data: new Uint8Array(size * size * 3).map((_, i) => (i * 7919) % 251),
  width: size,
  height: size,
})
await segment(picture(96), classes, { model })

/** A call of a second or so: 25 windows, five copies of each. */
const busy = options =>
  segment(picture(288), classes, { model, method: 'itaclip', stride: 48, ...options })
const soon = ms => new Promise(resolve => setTimeout(resolve, ms))
const endless = () => setInterval(() => {}, 1000)

const ways = {
  async 'exit during a call'() {
    const call = busy()
    call.catch(() => {})
    await soon(150)
    process.exit(7)
  },
  async 'exit with queued calls'() {
    for (let i = 0; i < 20; i++) busy().catch(() => {})
    await soon(150)
    process.exit(8)
  },
  async 'exit in a progress callback'() {
    await busy({ onProgress: () => process.exit(9) })
  },
  async 'exit while models load'() {
    for (let i = 0; i < 10; i++) loadModel().catch(() => {})
    await soon(5)
    process.exit(10)
  },
  async 'exit while a worker segments'() {
    const workerData = { picture: picture(192), classes, options: {}, endless: true }
    const worker = new Worker(new URL('segmenter.mjs', import.meta.url), { workerData })
    await once(worker, 'message')
    await soon(50)
    process.exit(11)
  },
  async 'a call in an exit listener'() {
    process.on('exit', () => {
      busy().catch(() => {})
      try {
        model.native.encodeText({ tokens: model.tokenize('cat').native, normalize: true })
      } catch (error) {
        console.log(error.code)
      }
    })
    busy().catch(() => {})
    await soon(50)
    process.exit(12)
  },
  async 'uncaught exception during a call'() {
    busy().catch(() => {})
    await soon(150)
    throw new Error('on purpose')
  },
  async 'nothing pending'() {},
  async 'handles that nobody disposed'() {
    globalThis.kept = [Tensor.from(new Float32Array(1e6), [1e6]), await model.encode(picture(96))]
  },
  async 'a call that nobody awaits'() {
    void busy({ stride: 96 }).then(seg => console.log(`finished ${seg.areas.length}`))
  },
  async 'an aborted call'() {
    const stop = new AbortController()
    const call = busy({ signal: stop.signal })
    await soon(100)
    stop.abort()
    await call.catch(error => console.log(error.code))
  },
  async 'a signal from outside'() {
    endless()
    busy().catch(() => {})
    await soon(100)
    process.kill(process.pid, 'SIGTERM')
  },
}

console.log('ready')
await ways[process.argv[2]]()
