/** The main process: windows, and the utility process that computes. It loads nothing native itself. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import {
  app,
  BrowserWindow,
  dialog,
  MessageChannelMain,
  protocol,
  session,
  utilityProcess,
} from 'electron'

const here = import.meta.dirname
const TYPES = { '.html': 'text/html', '.css': 'text/css', '.mjs': 'text/javascript' }
const SCHEME = 'app'
const PAGE = `${SCHEME}://window/index.html`

/** The utility process, while it runs. */
let computing
let quitting = false

protocol.registerSchemesAsPrivileged([
  { scheme: SCHEME, privileges: { standard: true, secure: true, supportFetchAPI: true } },
])

/** Where LibTorch is looked for: shipped as an extra resource, else where `setup` downloads it to. */
function places() {
  const shipped = join(process.resourcesPath, 'libtorch')
  const DECLIP_CACHE = join(app.getPath('userData'), 'declip')
  return { DECLIP_CACHE, ...(existsSync(shipped) && { LIBTORCH: shipped }), ...process.env }
}

function startUtility() {
  const child = utilityProcess.fork(join(here, 'utility.mjs'), [], {
    env: places(),
    serviceName: 'declip',
  })
  child.once('exit', code => {
    if (computing === child) computing = undefined
    if (code !== 0 && !quitting) dialog.showErrorBox('The engine has ended', `Exit code ${code}.`)
  })
  return child
}

app.on('before-quit', () => {
  quitting = true
})

/** Connects a window with the utility process; pictures and labels do not pass through this one. */
function connect({ webContents }) {
  computing ??= startUtility()
  const { port1, port2 } = new MessageChannelMain()
  computing.postMessage({ type: 'window' }, [port1])
  webContents.postMessage('port', null, [port2])
}

/** Serves the files of src/window, and nothing else. */
async function serveFile({ url }) {
  const { host, pathname } = new URL(url)
  const type = TYPES[extname(pathname)]
  if (host !== 'window' || !type || !/^\/[\w-]+\.\w+$/.test(pathname)) {
    return new Response('not found', { status: 404 })
  }
  const headers = { 'content-type': type }
  return new Response(await readFile(join(here, 'window', pathname)), { headers })
}

function openWindow() {
  const window = new BrowserWindow({
    width: 1100,
    height: 760,
    webPreferences: {
      preload: join(here, 'preload.cjs'),
      contextIsolation: true,
      sandbox: true,
      nodeIntegration: false,
    },
  })
  // A page of someone else must not get the bridge.
  window.webContents.on('will-navigate', event => event.preventDefault())
  window.webContents.setWindowOpenHandler(() => ({ action: 'deny' }))
  window.webContents.on('did-finish-load', () => connect(window))
  window.loadURL(PAGE)
}

app.on('window-all-closed', () => {
  if (process.platform !== 'darwin') app.quit()
})

await app.whenReady()
protocol.handle(SCHEME, serveFile)
session.defaultSession.setPermissionRequestHandler((_contents, _permission, answer) =>
  answer(false),
)
app.on('activate', () => {
  if (BrowserWindow.getAllWindows().length === 0) openWindow()
})
openWindow()
