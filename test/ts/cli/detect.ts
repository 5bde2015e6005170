/** `declip detect`, `info` and `eval` with a detector that has heads of its own. */
import { spawn } from 'node:child_process'
import { copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packageRoot } from '../../../ts/base/package-files.js'
import { detect } from '../../../ts/detect/detect.js'
import { loadModel } from '../../../ts/model/load.js'
import { fixture } from '../../support/calls.js'
import { finish } from '../../support/child.js'

const MAIN = join(packageRoot, 'dist/cli/main.js')
const declip = (...args: string[]) => finish(spawn(process.execPath, [MAIN, ...args]))
const coco = fixture('fvit', 'coco-fvit.pth')
const lvis = fixture('fvit', 'lvis-fvit.pth')
const photo = fixture('fvit', 'square.png')
const SMALL = ['--input-size', '128', '--proposals-keep', '50']

t.test('the words of the file, printed as a table, with a picture', async t => {
  const overlay = join(t.testdir(), 'found.png')
  const { code, out, err } = await declip(
    'detect',
    photo,
    '--model',
    coco,
    ...SMALL,
    '--overlay',
    overlay,
  )
  t.equal(code, 0, err)
  using model = await loadModel(coco)
  using found = await detect(photo, undefined, { model, inputSize: 128, proposals: { keep: 50 } })
  const { objects } = found.toJSON()
  t.match(out, new RegExp(`120 x 120, ${objects.length} objects`))
  for (const { class: name, score } of objects.slice(0, 5)) {
    t.match(out, new RegExp(`${name} .*${(100 * score).toFixed(1)} %`))
  }
  t.equal(readFileSync(overlay).subarray(1, 4).toString(), 'PNG')
})

t.test("COCO's results of several pictures, and masks", async t => {
  const dir = t.testdir()
  const [first, second] = [join(dir, '000000000139.png'), join(dir, 'other.png')]
  copyFileSync(photo, first)
  copyFileSync(photo, second)
  const file = join(dir, 'results.json')
  const args = ['--model', lvis, '--input-size', '112', '--limit', '4', '--masks', '--coco', file]
  const { code, err } = await declip('detect', first, second, ...args)
  t.equal(code, 0, err)
  const lines = JSON.parse(readFileSync(file, 'utf8')) as {
    image_id: number | string
    category_id: number
    segmentation: { size: number[]; counts: unknown }
  }[]
  t.strictSame([...new Set(lines.map(({ image_id }) => image_id))], [139, 'other'])
  t.ok(lines.every(({ category_id }) => category_id >= 1 && category_id <= 1203))
  t.ok(lines.every(({ segmentation }) => typeof segmentation.counts === 'string'))
  const json = await declip('detect', first, '--model', lvis, '--input-size', '112', '--json')
  t.equal(json.code, 0, json.err)
  t.ok(JSON.parse(json.out).objects.every((one: object) => !('mask' in one)))
})

t.test('words that the detector stores, and what is refused', async t => {
  const some = await declip(
    'detect',
    photo,
    '--model',
    coco,
    ...SMALL,
    '--classes',
    'cat; cup',
    '--novel',
    'cup',
  )
  t.equal(some.code, 0, some.err)
  const unknown = await declip('detect', photo, '--model', coco, '--classes', 'unicorn')
  t.match(unknown.err, /ERR_DECLIP_INVALID_ARG.*'unicorn'.*--text-model/)
  const area = await declip('detect', photo, '--model', coco, '--min-area', '5')
  t.match(area.err, /minArea is of segmentation/)
  const plain = await declip('detect', photo, '--model', 'words-tiny')
  t.match(plain, { code: 2, err: /Classes are missing/ })
  const alpha = await declip(
    'detect',
    photo,
    '--model',
    'words-tiny',
    '--classes',
    'cat',
    '--alpha',
    '0',
  )
  t.match(alpha.err, /alpha is of a detector checkpoint/)
})

t.test('info shows the heads', async t => {
  const { code, out } = await declip('info', lvis)
  t.equal(code, 0)
  t.match(out, /detector +F-ViT as for OV-LVIS: boxes and masks/)
  t.match(out, /13 stored words from aerosol_can to vase/)
  const { out: json } = await declip('info', coco, '--json')
  t.match(JSON.parse(json).detector, { classes: 11, masks: false })
})
