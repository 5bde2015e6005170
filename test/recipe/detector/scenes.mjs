/** Detection sets: boxes and masks are those of the drawn pixels, and training says nothing of novel things. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeMasks, evaluate } from 'declip-native'
import sharp from 'sharp'
import t from 'tap'
import { CONCEPTS } from '../../../models/recipe/art/concepts.mjs'
import { annotate, detectionScenes, writeScenes } from '../../../models/recipe/detector/scenes.mjs'
import { BASE, isNovel, NOVEL } from '../../../models/recipe/detector/split.mjs'
import { madeUpSprites } from '../support.mjs'

const folder = mkdtempSync(join(tmpdir(), 'declip-detection-scenes-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const sprites = madeUpSprites()
const read = name => JSON.parse(readFileSync(join(folder, name, 'annotations.json'), 'utf8'))

t.test('base and novel concepts are all concepts, and either part has its share', t => {
  t.same([...BASE, ...NOVEL].sort(), CONCEPTS.map(({ name }) => name).sort())
  t.equal(NOVEL.length, 22)
  // The list goes by kind: no stretch of it is without novel ones.
  for (let from = 0; from + 8 <= CONCEPTS.length; from++)
    t.equal([...Array(8).keys()].filter(i => isNovel(from + i)).length, 2)
  t.end()
})

t.test('masks and boxes are the pixels that a thing was drawn on', async t => {
  const scene = detectionScenes(sprites, { use: 'test', seed: 3, side: 64 })
  let things = 0
  for (let index = 0; index < 8; index++) {
    const made = scene(index)
    const { width, height, owner, objects } = made
    const annotations = await annotate(made, 'test')
    const shown = objects.flatMap(({ concept, area, visible }, k) =>
      area >= 48 && visible >= 0.25 ? [{ concept, number: k + 1 }] : [],
    )
    t.same(
      annotations.map(one => one.category_id),
      shown.map(({ concept }) => concept + 1),
      'things that hardly show are left out, no others',
    )
    if (annotations.length === 0) continue
    const shapes = annotations.map(({ segmentation }) => segmentation)
    const masks = await decodeMasks(shapes, { width, height })
    const bits = await masks.data()
    masks.dispose()
    for (const [i, { number }] of shown.entries()) {
      const own = bits.subarray(i * width * height, (i + 1) * width * height)
      t.ok(
        own.every((bit, at) => (bit !== 0) === (owner[at] === number)),
        `mask ${i} of scene ${index}`,
      )
      const at = [...owner.keys()].filter(at => owner[at] === number)
      const xs = at.map(at => at % width)
      const ys = at.map(at => Math.floor(at / width))
      const [x, y] = [Math.min(...xs), Math.min(...ys)]
      t.same(annotations[i].bbox, [x, y, Math.max(...xs) + 1 - x, Math.max(...ys) + 1 - y])
      t.equal(annotations[i].area, at.length)
      things++
    }
  }
  t.ok(things > 10, `${things} things`)
})

t.test('training scenes draw novel things in every other scene and annotate none', async t => {
  const scene = detectionScenes(sprites, { use: 'train', seed: 1, side: 64 })
  let drawn = 0
  for (let index = 0; index < 40; index++) {
    const made = scene(index)
    const novel = made.objects.filter(({ concept }) => isNovel(concept)).length
    if (index % 2 === 0) t.equal(novel, 0, `scene ${index} is of base concepts`)
    drawn += novel
    for (const { category_id } of await annotate(made, 'train')) t.notOk(isNovel(category_id - 1))
  }
  t.ok(drawn > 5, `${drawn} novel things`)
})

t.test('a set is what an evaluation reads, and the same in a larger one', async t => {
  await writeScenes(join(folder, 'three'), { use: 'test', count: 3, side: 64, sprites })
  await writeScenes(join(folder, 'five'), { use: 'test', count: 5, side: 64, sprites })
  const [three, five] = [read('three'), read('five')]
  t.same(three.images, five.images.slice(0, 3))
  t.same(three.annotations, five.annotations.slice(0, three.annotations.length))
  t.same(readFileSync(join(folder, 'three/novel.txt'), 'utf8').trim().split('\n'), NOVEL)
  for (const { file_name, width, height } of five.images) {
    const picture = await sharp(join(folder, 'five/images', file_name)).metadata()
    t.same([picture.width, picture.height], [width, height])
    t.ok(Math.max(width, height) <= 64)
  }
  const result = await evaluate({
    task: 'detection',
    dataset: 'folder',
    data: join(folder, 'three'),
    model: 'words-tiny',
  })
  t.equal(result.pictures, 3)
  t.same(result.failed, [])
  t.equal(
    result.classes.reduce((sum, { objects }) => sum + objects, 0),
    three.annotations.length,
  )
})
