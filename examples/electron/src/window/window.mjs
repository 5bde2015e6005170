/** The page: a picture, words, and what the utility process says to them. */
import { drawLegend, drawOverlay } from './draw.mjs'
import { Client } from './protocol.mjs'

const $ = id => document.getElementById(id)
const client = new Client(message => window.bridge.send(message))
window.bridge.onMessage(message => client.receive(message))

let picture
let controller

async function choose(file) {
  if (!file) return
  try {
    picture = { file, bitmap: await createImageBitmap(file) }
  } catch {
    return say(`${file.name} is no picture that can be shown.`)
  }
  const { width, height } = picture.bitmap
  const nothing = { labels: [], width, height, colors: [] }
  drawOverlay($('canvas'), picture.bitmap, nothing)
  $('canvas').hidden = false
  $('hint').hidden = true
  $('run').disabled = false
  $('legend').replaceChildren()
  say('')
}

async function load() {
  await during('Loading the model', async options => {
    const { device } = await client.init({}, options)
    say(`The model is ready on ${device}.`)
  })
}

async function run() {
  const { file, bitmap } = picture
  const classes = $('words')
    .value.split(',')
    .map(word => word.trim())
    .filter(Boolean)
  const image = new Uint8Array(await file.arrayBuffer())
  await during('Segmenting', async options => {
    const result = await client.segment({ image, classes }, options)
    drawOverlay($('canvas'), bitmap, result)
    drawLegend($('legend'), result)
    say(`${result.width} x ${result.height} pixels`)
  })
}

/** Shows what a request does, and lets it be cancelled; whether it came to its end. */
async function during(title, work) {
  controller = new AbortController()
  show(true)
  say(`${title} ...`)
  const onProgress = ({ step, done, total }) => {
    $('progress').value = total > 0 ? done / total : 0
    say(`${title}: ${step}`)
  }
  try {
    await work({ signal: controller.signal, onProgress })
    return true
  } catch (error) {
    fail(error)
    return false
  } finally {
    show(false)
  }
}

function fail({ code, message }) {
  if (code === 'ERR_DECLIP_ABORTED') return say('Cancelled.')
  if (code !== 'ERR_DECLIP_LIBTORCH') return say(message)
  $('setup').hidden = false
  say('LibTorch, the library that computes, is not on this machine yet.')
}

function show(isRunning) {
  $('run').hidden = isRunning
  $('cancel').hidden = !isRunning
  $('progress').hidden = !isRunning
  $('progress').value = 0
}

function say(text) {
  $('status').textContent = text
}

$('form').addEventListener('submit', event => {
  event.preventDefault()
  if (!$('run').hidden && picture) void run()
})
$('cancel').addEventListener('click', () => controller.abort())
$('setup').addEventListener('click', async () => {
  $('setup').hidden = true
  const isThere = await during('Downloading', options => client.setup(options))
  if (isThere) await load()
})
$('file').addEventListener('change', ({ target }) => choose(target.files[0]))

const drop = document.documentElement
drop.addEventListener('dragover', event => {
  event.preventDefault()
  $('drop').classList.add('over')
})
drop.addEventListener('dragleave', () => $('drop').classList.remove('over'))
drop.addEventListener('drop', event => {
  event.preventDefault()
  $('drop').classList.remove('over')
  void choose(event.dataTransfer.files[0])
})

await load()
