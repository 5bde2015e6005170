/** The utility process: one for all windows. Each window's port comes from the main process. */
import { serve } from './serve.mjs'

process.parentPort.on('message', ({ data, ports: [port] }) => {
  if (data?.type !== 'window') return
  const { receive, close } = serve(message => port.postMessage(message))
  port.on('message', ({ data }) => receive(data))
  port.on('close', close)
  port.start()
})
