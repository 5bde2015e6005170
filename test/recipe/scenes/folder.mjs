/** Folders of scenes: pictures and labels of one size, labels that are classes, the same for every count. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import t from 'tap'
import { classesOf, cutOutSprites, writeFolder } from '../../../models/recipe/scenes/folder.mjs'
import { madeUpSprites } from '../support.mjs'

const folder = mkdtempSync(join(tmpdir(), 'declip-scenes-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

t.test('objects of the shipped scenes are cut out along their labels', async t => {
  const sprites = await cutOutSprites()
  t.ok(sprites.length > 40, `${sprites.length} objects`)
  for (const { levels, icon } of sprites) {
    const [{ width, height, rgba }] = levels
    const solid = (x, y) => rgba[(y * width + x) * 4 + 3] === 255
    const row = y => Array.from({ length: width }, (_, x) => x).some(x => solid(x, y))
    const column = x => Array.from({ length: height }, (_, y) => y).some(y => solid(x, y))
    t.ok(row(0) && row(height - 1) && column(0) && column(width - 1), `${icon} fills its box`)
  }
  const { lines, labelOf } = classesOf(sprites)
  t.equal(lines.length, new Set(sprites.map(({ concept }) => concept)).size + 1)
  t.equal(Math.max(...sprites.map(({ concept }) => labelOf(concept))), lines.length - 1)
})

t.test('a folder has what an evaluation asks for', async t => {
  const sprites = madeUpSprites().slice(0, 12)
  await writeFolder(join(folder, 'six'), { count: 6, side: 48, sprites })
  await writeFolder(join(folder, 'three'), { count: 3, side: 48, sprites })
  const classes = readFileSync(join(folder, 'six/classes.txt'), 'utf8').trim().split('\n')
  t.equal(classes.length, 13)
  const seen = new Set()
  const images = readdirSync(join(folder, 'six/images'))
  t.equal(images.length, 6)
  for (const image of images) {
    const stem = image.slice(0, -4)
    const picture = await sharp(join(folder, 'six/images', image)).metadata()
    const labels = sharp(join(folder, 'six/labels', `${stem}.png`))
    const { width, height, channels } = await labels.metadata()
    t.same([width, height, channels], [picture.width, picture.height, 1], stem)
    for (const label of await labels.extractChannel(0).raw().toBuffer()) seen.add(label)
  }
  t.ok(Math.max(...seen) < classes.length && seen.size > 5, `labels ${[...seen].sort()}`)
  for (const image of readdirSync(join(folder, 'three/images')))
    t.ok(
      readFileSync(join(folder, 'three/images', image)).equals(
        readFileSync(join(folder, 'six/images', image)),
      ),
      `${image} is the same in a smaller folder`,
    )
})
