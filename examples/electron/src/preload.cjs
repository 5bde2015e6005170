/** The bridge: the page may send messages and is told what comes back. It gets no Node and no Electron. */
const { contextBridge, ipcRenderer } = require('electron')

let port
let listener
const waiting = []

ipcRenderer.on('port', ({ ports }) => {
  port = ports[0]
  port.onmessage = ({ data }) => listener?.(data)
  for (const message of waiting.splice(0)) port.postMessage(message)
})

contextBridge.exposeInMainWorld('bridge', {
  send(message) {
    if (port) port.postMessage(message)
    else waiting.push(message)
  },
  onMessage(callback) {
    listener = callback
  },
})
