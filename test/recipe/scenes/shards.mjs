/** Samples of a shard: equal for equal seeds, and readable as tar files. */

import { once } from 'node:events'
import sharp from 'sharp'
import t from 'tap'
import { Parser } from 'tar'
import { composer } from '../../../models/recipe/scenes/scenes.mjs'
import { sampleFiles } from '../../../models/recipe/scenes/shards.mjs'
import { TAR_END, tarEntry } from '../../../models/recipe/scenes/tar.mjs'
import { madeUpSprites } from '../support.mjs'

const options = { seed: '3', size: 64, kind: 'mixed' }

t.test('a sample is its scene, and the same each time', async t => {
  const compose = composer(madeUpSprites())
  for (let index = 0; index < 6; index++) {
    const files = await sampleFiles(compose, index, options)
    const again = await sampleFiles(composer(madeUpSprites()), index, options)
    for (const name of ['jpg', 'txt', 'json']) t.ok(again[name].equals(files[name]), name)
    const { width, height, format } = await sharp(files.jpg).metadata()
    t.same({ width, height, format }, { width: 64, height: 64, format: 'jpeg' })
    const { caption, regions } = JSON.parse(files.json.toString())
    t.equal(files.txt.toString(), caption)
    for (const {
      box: [x, y, w, h],
      label,
    } of regions)
      t.ok(x >= 0 && y >= 0 && w > 0 && h > 0 && x + w <= 64 && y + h <= 64 && label)
  }
})

t.test('entries are what a tar reader finds', async t => {
  const files = {
    '00000000.jpg': Buffer.alloc(700, 7),
    '00000000.txt': Buffer.from('a dog'),
    empty: Buffer.alloc(0),
  }
  const archive = Buffer.concat([
    ...Object.entries(files).map(([name, data]) => tarEntry(name, data)),
    TAR_END,
  ])
  t.equal(archive.length % 512, 0)
  const found = []
  const parser = new Parser({ strict: true })
  parser.on('entry', entry => found.push(entry.concat().then(data => [entry.path, data])))
  const ended = once(parser, 'end')
  parser.end(archive)
  await ended
  t.same(await Promise.all(found), Object.entries(files))
})
