/** One command makes scenes, trains a head, measures and writes the table; what is there is kept. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadModel, segment } from 'declip-native'
import t from 'tap'
import { writeScenes } from '../../../models/recipe/cat-seg/scenes.mjs'
import { root } from '../../../scripts/build/common.mjs'
import { madeUpSprites } from '../support.mjs'

const work = mkdtempSync(join(tmpdir(), 'declip-train-cat-seg-'))
t.teardown(() => rmSync(work, { recursive: true, force: true }))
const run = () =>
  execFileSync(
    process.execPath,
    [join(root, 'models/recipe/cat-seg/train.mjs'), '--work', work, '--try'],
    { encoding: 'utf8' },
  )

t.test('a little of everything', async t => {
  // Scenes that are there are taken: these need no art from the registry.
  const sprites = madeUpSprites()
  for (const [use, count] of Object.entries({ train: 6, valid: 1, test: 2 }))
    await writeScenes(join(work, 'scenes', use), { use, count, side: 96, sprites })
  t.match(run(), /\| CAT-Seg \|/)
  const figures = JSON.parse(readFileSync(join(work, 'figures.json'), 'utf8'))
  t.ok(figures.rows.some(row => row.name.startsWith('CAT-Seg')))
  for (const { name, pictures, words } of figures.rows) {
    t.equal(pictures, 2, name)
    t.ok(words >= 0 && words <= 1, name)
  }
  const index = readdirSync(join(work, 'run', 'model'))
    .map(name => join(work, 'run', 'model', name))
    .find(file => file.endsWith('.safetensors'))
  const model = await loadModel(join(work, 'run', 'model'))
  t.match(model.info.catSeg, { channels: 32, side: 96, mode: 'maskclip' })
  const [name] = readdirSync(join(work, 'scenes', 'test', 'images'))
  const seg = await segment(join(work, 'scenes', 'test', 'images', name), ['cat', 'car'], { model })
  t.equal(seg.classes.length, 2)
  seg.dispose()
  model.dispose()
  const written = statSync(index).mtimeMs
  t.match(run(), /\| CAT-Seg \|/)
  t.equal(statSync(index).mtimeMs, written, 'the same command again makes nothing again')
})
