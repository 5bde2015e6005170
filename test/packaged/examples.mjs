/** Every example, as it lies in the packed package, run in a project that has it installed. */
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import t from 'tap'
import { installedProject, runIn } from './support.mjs'

// Compiled with the other tests, which come before these.
const compiled = new URL('../../build/test/test/support/cat-seg-model.js', import.meta.url)
const { writeCatSeg } = await import(compiled.href)

const folder = installedProject(t)
const installed = join(folder, 'node_modules/declip-native')
for (const into of ['sound', 'mixed']) {
  mkdirSync(join(folder, into))
  for (const name of ['garden.png', 'park.png']) {
    const scene = join(installed, 'models/scenes', name)
    await sharp(scene)
      .resize(128, 96)
      .toFile(join(folder, into, name))
  }
}
writeFileSync(join(folder, 'mixed/damaged.png'), 'no picture')
const catSeg = await writeCatSeg(join(folder, 'cat-seg.safetensors'))
t.jobs = availableParallelism()

/** Arguments, what is printed, and what is written. */
const EXAMPLES = {
  'cancel.mjs': { prints: /ERR_DECLIP_ABORTED\nthe next call works: \d+ x \d+ labels/ },
  'cat-seg.mjs': {
    args: [catSeg, 'sound/park.png'],
    prints:
      /^5 inputs of 128 x 96 pixels\nperson \d+\.\d %, tree [^\n]* ms\ncup [^\n]* ms\ncat-seg\.png written\n$/,
    writes: ['cat-seg.png'],
  },
  'checkpoint.mjs': {
    prints:
      /openai file, family clip[\s\S]*million parameters[\s\S]*by default clipself[\s\S]* in \d+ ms\n[\s\S]*\ncat +\d+\.\d %/,
  },
  'demo.mjs': { args: ['demo.png'], prints: /mean IoU 0\.\d\d/, writes: ['demo.png'] },
  'detect.mjs': {
    prints: /^pizza \d+ % \d+ \d+ \d+ \d+$[\s\S]*found\.png written\n$/m,
    writes: ['found.png'],
  },
  'detector.mjs': {
    args: [join(import.meta.dirname, '../fixtures/fvit/coco-fvit.pth'), 'sound/park.png'],
    prints: /^\d+ proposals of 128 x 96 pixels\n[\s\S]*found\.png written\n$/,
    writes: ['found.png'],
  },
  'dtypes.mjs': {
    args: ['words-tiny', 'sound'],
    prints: /bfloat16: \d+\.\d{3} %[\s\S]*int8: /,
  },
  'export.mjs': {
    args: ['annotated'],
    prints: /table\.png \d+\n8 pictures, 0 of them from before\n/,
    writes: ['annotated/annotations/instances_default.json', 'annotated/results.json'],
  },
  'many.mjs': { args: ['mixed'], prints: /garden\.png +\w+ +\d+\.\d %\npark\.png / },
  'regions.mjs': {
    prints:
      /dense: pizza \(\d+ %, cosine 0\.\d+\), banana[^\n]*\ncrop: [^\n]*\nmean: [^\n]* strawberry /,
  },
  'segment.mjs': {
    prints: /background \d+\.\d %\n[\s\S]*written\n$/,
    writes: ['mask.png', 'overlay.png'],
  },
  'view.mjs': { prints: /windows, [\s\S]*elephant: pixel \d+, \d+, cosine 0\.\d+/ },
}

t.test('each has a line here', async t => {
  const names = readdirSync(join(installed, 'examples')).filter(name => name.endsWith('.mjs'))
  t.strictSame(names.sort(), Object.keys(EXAMPLES))
})

for (const [name, { args = [], prints, writes = [] }] of Object.entries(EXAMPLES)) {
  t.test(name, { buffered: true }, async t => {
    const script = join('node_modules/declip-native/examples', name)
    const { code, stdout, stderr } = await runIn(folder, process.execPath, [script, ...args])
    t.equal(code, 0, stderr)
    t.match(stdout, prints)
    for (const path of writes) t.ok(existsSync(join(folder, path)), path)
  })
}
