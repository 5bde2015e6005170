import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { packageRoot } from '../../../ts/base/package-files.js'
import { loadAddon } from '../../../ts/engine/load-addon.js'
import { loadModel } from '../../../ts/index.js'
import { finish } from '../../support/child.js'

const SCENES = join(packageRoot, 'models/scenes')
const table = join(SCENES, 'table.png')
const CLASSES = ['--classes', 'pizza; banana; coffee']
const BOXES = [
  [10, 60, 190, 230],
  [220, 40, 370, 200],
]
const declip = (...args: string[]) =>
  finish(spawn(process.execPath, [join(packageRoot, 'dist/cli/main.js'), 'classify', ...args]))

t.test('regions as JSON, as the API has them', async t => {
  using model = await loadModel('words-tiny')
  const vocabulary = await model.vocabulary(['pizza', 'banana', 'coffee'])
  const flags = ['--boxes', JSON.stringify(BOXES), '--json', '--top', '2', '--pool', 'mean']
  const { code, out, err } = await declip(table, ...CLASSES, ...flags, '--crop-scale', '2')
  t.equal(code, 0, err)
  const options = { boxes: BOXES, pool: 'mean', topK: 2, cropScale: 2 } as const
  const want = await model.classify(table, vocabulary, options)
  t.match(JSON.parse(out), {
    image: table,
    classes: ['pizza', 'banana', 'coffee'],
    regions: want.regions.map(({ box, ranked }) => ({
      box,
      ranked: ranked.map(({ class: name, index }) => ({ class: name, index })),
    })),
    device: 'cpu',
  })
})

t.test('a table for each region, and published features for words', async t => {
  using model = await loadModel('words-tiny')
  const { features } = await model.vocabulary(['pizza', 'banana', 'coffee'])
  const dir = t.testdir({ 'boxes.json': JSON.stringify({ 'table.png': BOXES }) })
  const path = join(dir, 'words.safetensors')
  const addon = loadAddon()
  await addon.writeSafetensors({ path, tensors: { x: features.native }, metadata: {} })
  const args = [table, '--boxes', join(dir, 'boxes.json'), '--top', '1']
  const words = await declip(...args, ...CLASSES)
  t.equal(words.code, 0, words.err)
  t.match(
    words.out,
    /^.*table\.png\n {2}region 1: 10, 60, 190, 230\n {4}\w+ +\d+\.\d %.*\n {2}region 2: 220, 40, 370, 200\n {4}\w+ +\d+\.\d %.*\n$/,
  )
  const published = await declip(...args, ...CLASSES, '--vocabulary', path)
  t.strictSame(published, words)
  const unnamed = await declip(...args, '--vocabulary', path)
  t.match(unnamed, { code: 2, out: '', err: /3 rows without names/ })
})

t.test('wrong usage', async t => {
  for (const [flags, message] of [
    [['--pool', 'crop'], /--pool is about regions; give --boxes or --masks/],
    [['--crop-scale', '2'], /--crop-scale is about regions/],
    [['--pool', 'max', '--boxes', '[]'], /Allowed choices are dense, crop, mean/],
    [['--boxes', '[]', '--mode', 'qq', '--dense-mode', 'kk'], /are one option/],
    [['--boxes', '[[1, 2]]'], /the list: entry 0 must be/],
    [['--vocabulary', 'x.npy', '--templates', 'none'], /--templates makes prompts/],
  ] as const) {
    const { code, out, err } = await declip(table, ...CLASSES, ...flags)
    t.equal(code, 2, err)
    t.equal(out, '')
    t.match(err, message)
  }
  const outside = await declip(table, ...CLASSES, '--boxes', '[[900, 0, 950, 50]]')
  t.match(outside, { code: 2, err: /boxes\[0\] must overlap the picture/ })
})

t.test('a picture that the file does not know is left out', async t => {
  const dir = t.testdir()
  const path = join(dir, 'boxes.json')
  writeFileSync(path, JSON.stringify({ 'table.png': BOXES }))
  const { code, out, err } = await declip(
    table,
    join(SCENES, 'music.png'),
    ...CLASSES,
    '--boxes',
    path,
  )
  t.equal(code, 1)
  t.match(out, /^.*table\.png\n/)
  t.notMatch(out, /music/)
  t.match(err, /has no regions of .*music\.png/)
})
