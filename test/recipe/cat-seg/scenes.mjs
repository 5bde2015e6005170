/** Folders for CAT-Seg: labels are the drawn pixels, and training says nothing of unseen things. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { evaluate } from 'declip-native'
import sharp from 'sharp'
import t from 'tap'
import { CONCEPTS } from '../../../models/recipe/art/concepts.mjs'
import { apart } from '../../../models/recipe/cat-seg/measure.mjs'
import { classesFor, writeScenes } from '../../../models/recipe/cat-seg/scenes.mjs'
import { detectionScenes } from '../../../models/recipe/detector/scenes.mjs'
import { BASE, isNovel, NOVEL } from '../../../models/recipe/detector/split.mjs'
import { madeUpSprites } from '../support.mjs'

const folder = mkdtempSync(join(tmpdir(), 'declip-cat-seg-scenes-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))
const sprites = madeUpSprites()
const stem = index => String(index).padStart(6, '0')
const labelsOf = (name, index) =>
  sharp(join(folder, name, 'labels', `${stem(index)}.png`))
    .extractChannel(0)
    .raw()
    .toBuffer()
const linesOf = name =>
  readFileSync(join(folder, name, 'classes.txt'), 'utf8')
    .trim()
    .split('\n')

t.test('training has the seen words alone, the others all', t => {
  t.same(classesFor('train').lines.slice(1), BASE)
  t.same(
    classesFor('test').lines.slice(1),
    CONCEPTS.map(({ name }) => name),
  )
  t.match(classesFor('train').lines[0], /^background, /)
  t.end()
})

for (const use of /** @type {const} */ (['train', 'test']))
  t.test(`labels of ${use} scenes are the pixels that things were drawn on`, async t => {
    await writeScenes(join(folder, use), { use, count: 12, side: 64, sprites })
    const lines = linesOf(use)
    const scene = detectionScenes(sprites, { use, seed: 1, side: 64 })
    let unseen = 0
    for (let index = 0; index < 12; index++) {
      const { owner, objects } = scene(index)
      const labels = await labelsOf(use, index)
      t.equal(labels.length, owner.length)
      const right = [...owner.keys()].every(i => {
        if (owner[i] === 0) return labels[i] === 0
        const { concept } = objects[owner[i] - 1]
        if (use === 'train' && isNovel(concept)) {
          unseen++
          return labels[i] === 255
        }
        return lines[labels[i]] === CONCEPTS[concept].name
      })
      t.ok(right, `scene ${index}`)
    }
    if (use === 'train') t.ok(unseen > 100, `${unseen} pixels of unseen things have no label`)
    t.same(
      readFileSync(join(folder, use, 'unseen.txt'), 'utf8')
        .trim()
        .split('\n'),
      NOVEL,
    )
  })

t.test('a smaller set is the beginning of a larger one, and an evaluation reads it', async t => {
  await writeScenes(join(folder, 'two'), { use: 'test', count: 2, side: 64, sprites })
  for (const index of [0, 1]) t.same(await labelsOf('two', index), await labelsOf('test', index))
  const result = await evaluate({
    dataset: 'folder',
    data: join(folder, 'two'),
    model: 'words-tiny',
    method: 'maskclip',
  })
  t.equal(result.pictures, 2)
  t.same(result.failed, [])
  t.equal(result.classes.length, 91)
  t.equal(result.classes[0].name, 'background')
})

t.test('means of seen and unseen words, over what occurs', t => {
  const of = (name, iou) => ({ name, iou })
  const classes = [of('background', 0.9), of(BASE[0], 0.5), of(BASE[1], null), of(BASE[2], 0.7)]
  const near = (a, b) => t.ok(Math.abs(a - b) < 1e-12, `${a} is ${b}`)
  const found = apart([...classes, of(NOVEL[0], 0.2), of(NOVEL[1], 0)])
  near(found.seen, 0.6)
  near(found.unseen, 0.1)
  near(found.words, 0.35)
  t.equal(found.background, 0.9)
  t.equal(apart(classes).unseen, null)
  t.end()
})
