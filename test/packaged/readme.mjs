/**
 * What README shows, done from the packed package in a reader's order, in a folder that holds nothing
 * else; what it says is printed is compared, but for times.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import sharp from 'sharp'
import t from 'tap'
import { installedProject, runIn } from './support.mjs'

const HUB_MODEL = 'openai/clip-vit-base-patch16'
/** Commands that are not run here, by how they begin. */
const NOT_RUN = [
  [
    'npm install declip-native',
    'is how the folder was made, with the tarballs in place of the registry',
  ],
  ['npm run demo', 'is for clones; test/packaged/examples.mjs runs examples/demo.mjs'],
  ['npm test', 'is for clones, and what runs this'],
  [
    'npx declip train',
    'needs COCO and EVA-CLIP; test/ts/train/data/samples.ts runs the file on small ones',
  ],
]

const folder = installedProject(t)
const installed = join(folder, 'node_modules/declip-native')
const weights = join(installed, 'models/words-tiny/model.safetensors')
await stageFiles()
const env = { HOME: join(folder, 'home'), HF_ENDPOINT: await serveModel() }

const readme = readFileSync(join(installed, 'README.md'), 'utf8')
const blocks = [...readme.matchAll(/^## (.*)$|^```(\w*)\n([\s\S]*?)^```$/gm)]
let [section, printed] = ['', '']
for (const [, heading, language, text] of blocks) {
  if (heading) section = heading
  else if (language === 'js') await script(text)
  else if (language === 'sh') for (const line of text.trim().split('\n')) await command(line)
  else t.test(`${section}: what is printed`, async t => t.equal(untimed(printed), untimed(text)))
}

function script(text) {
  // the sentence before a script may name its file
  const before = readme.slice(0, readme.indexOf(text)).split('\n\n').at(-2)
  const name = /`(\w+\.mjs)`/.exec(before)?.[1] ?? 'script.mjs'
  return t.test(`${section}: ${name}`, async t => {
    writeFileSync(join(folder, name), text)
    const ended = await runIn(folder, process.execPath, [name], { env })
    t.equal(ended.code, 0, ended.stderr)
    printed = ended.stdout
  })
}

function command(line) {
  const skip = NOT_RUN.find(([start]) => line.startsWith(start))?.[1] ?? false
  return t.test(`${section}: ${line}`, { skip }, async t => {
    const ended = await runIn(folder, 'sh', ['-c', line], { env })
    t.equal(ended.code, 0, ended.stderr)
    printed = ended.stdout
  })
}

t.test('files that were to be written are there', async t => {
  for (const name of ['mask.png', 'overlay.png']) {
    const { format } = await sharp(join(folder, name)).metadata()
    t.equal(format, 'png')
  }
})

function untimed(text) {
  return text.replace(/\d+(\.\d+)? (ms|s)\b/g, 'N $2')
}

/** A picture and a checkpoint under the names that README gives them: a drawn one, and the bundled model. */
async function stageFiles() {
  const scene = join(installed, 'models/scenes/street.png')
  await sharp(scene).resize(128, 96).jpeg().toFile(join(folder, 'photo.jpg'))
  cpSync(weights, join(folder, 'ViT-B-16.pt'))
  mkdirSync(join(folder, 'home'))
}

/** Hugging Face on loopback, with the bundled model as its only one; resolves to its address. */
async function serveModel() {
  const content = readFileSync(weights)
  const oid = createHash('sha256').update(content).digest('hex')
  const size = content.length
  const file = { type: 'file', path: 'model.safetensors', size, oid, lfs: { oid, size } }
  const revision = '0'.repeat(40)
  const answers = {
    [`/api/models/${HUB_MODEL}/revision/main`]: { sha: revision, cardData: { license: 'mit' } },
    [`/api/models/${HUB_MODEL}/tree/${revision}`]: [file],
  }
  const server = createServer((request, response) => {
    const path = request.url.split('?')[0]
    if (answers[path]) response.end(JSON.stringify(answers[path]))
    else if (path === `/${HUB_MODEL}/resolve/${revision}/${file.path}`)
      response.writeHead(200, { 'content-length': size }).end(content)
    else response.writeHead(404).end()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${server.address().port}`
}
