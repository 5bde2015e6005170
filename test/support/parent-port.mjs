/**
 * For a program that Electron's utilityProcess would run: `process.parentPort` over the messages of
 * child_process.fork(). A message { window, data } is one to the window's port of that number, which is
 * made by the first; what the port says comes back as { window, data }. `declip-native` is this copy.
 */
import { EventEmitter } from 'node:events'
import { register } from 'node:module'

const index = new URL('../../dist/index.mjs', import.meta.url).href
const hooks = `export const resolve = (name, context, next) =>
  name === 'declip-native' ? { url: ${JSON.stringify(index)}, shortCircuit: true } : next(name, context)`
register(`data:text/javascript,${encodeURIComponent(hooks)}`)

const ports = new Map()

/** As Electron's MessagePortMain. */
class Port extends EventEmitter {
  #waiting = []

  constructor(window) {
    super()
    this.window = window
  }

  postMessage(data) {
    process.send?.({ window: this.window, data })
  }

  start() {
    for (const data of this.#waiting.splice(0)) this.emit('message', { data })
    this.#waiting = undefined
  }

  deliver(data) {
    if (this.#waiting) this.#waiting.push(data)
    else this.emit('message', { data })
  }
}

/** Electron's keeps what comes before somebody listens. */
const early = []
process.parentPort = new EventEmitter().on('newListener', () =>
  setImmediate(() => {
    for (const message of early.splice(0)) process.parentPort.emit('message', message)
  }),
)

function connect(window) {
  const port = new Port(window)
  ports.set(window, port)
  const message = { data: { type: 'window' }, ports: [port] }
  if (process.parentPort.listenerCount('message') > 0) process.parentPort.emit('message', message)
  else early.push(message)
  return port
}

process.on('message', ({ window, data, close }) => {
  const port = ports.get(window) ?? connect(window)
  if (close) port.emit('close')
  else port.deliver(data)
})
