/** One command makes scenes, trains heads, chooses the vote, measures and writes the table; what is there is kept. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadModel } from 'declip-native'
import t from 'tap'
import { writeScenes } from '../../../models/recipe/detector/scenes.mjs'
import { NOVEL } from '../../../models/recipe/detector/split.mjs'
import { root } from '../../../scripts/build/common.mjs'
import { madeUpSprites } from '../support.mjs'

const work = mkdtempSync(join(tmpdir(), 'declip-train-detector-'))
t.teardown(() => rmSync(work, { recursive: true, force: true }))
const run = () =>
  execFileSync(
    process.execPath,
    [join(root, 'models/recipe/detector/train.mjs'), '--work', work, '--try'],
    { encoding: 'utf8' },
  )

t.test('a little of everything', async t => {
  // Scenes that are there are taken: these need no art from the registry.
  const sprites = madeUpSprites()
  for (const [use, count] of Object.entries({ train: 6, valid: 1, test: 2 }))
    await writeScenes(join(work, 'scenes', use), { use, count, side: 96, sprites })
  t.match(run(), /\| detector with the vote \|/)
  const figures = JSON.parse(readFileSync(join(work, 'figures.json'), 'utf8'))
  t.equal(figures.rows.length, 4)
  for (const { name, pictures, bbox, segm } of figures.rows) {
    t.equal(pictures, 2, name)
    for (const { all, ap } of [bbox, segm]) t.ok(all >= 0 && all <= 1 && ap >= 0, name)
  }
  const index = join(work, 'detector/detector.safetensors.index.json')
  const model = await loadModel(index)
  const { detector } = model.info
  t.match(detector, { classes: 90, novel: NOVEL, masks: true, channels: 64 })
  model.dispose()
  const written = statSync(index).mtimeMs
  t.match(run(), /\| detector with the vote \|/)
  t.equal(statSync(index).mtimeMs, written, 'the same command again makes nothing again')
})
