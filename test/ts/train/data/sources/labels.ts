/** Pictures with the class of every pixel: plain folders and COCO-Stuff. */
import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { DATASETS } from '../../../../../ts/methods/benchmarks.js'
import { resolveConfig } from '../../../../../ts/train/config.js'
import { Pictures } from '../../../../../ts/train/data/pictures.js'
import { openSource } from '../../../../../ts/train/data/sources/open.js'
import type { Source } from '../../../../../ts/train/data/sources/source.js'
import { LABELLED_CLASSES, labelledPicture, writeLabelled } from '../../../../support/labelled.js'
import { png } from '../../../../support/png.js'

const folder = t.testdir()
const scenes = join(folder, 'scenes')
await writeLabelled(scenes, 4)

const open = (data: object, changes: object = {}) =>
  openSource(
    resolveConfig({
      objective: 'cat-seg',
      out: 'run',
      model: 'a.pt',
      data: { kind: 'labels', path: scenes, ...data },
      ...changes,
    }),
  )
const labelsOf = async (source: Source, index = 0) => {
  const truth = await (await source.read(index)).truth?.()
  return truth as NonNullable<typeof truth>
}
/** A folder with one grey picture of 2 x 2 pixels and a label file of values. */
function single(name: string, values: readonly number[], depth = 8): string {
  const path = join(folder, name)
  for (const inner of ['images', 'labels']) mkdirSync(join(path, inner), { recursive: true })
  writeFileSync(join(path, 'images/a.png'), png(2, 2, Array(12).fill(9), { color: 2 }))
  writeFileSync(
    join(path, 'labels/a.png'),
    png(2, 2, values, { depth, color: depth === 16 ? 0 : 3 }),
  )
  return path
}

t.test('a plain folder has its pictures in order with the classes of its file', async t => {
  const source = await open({})
  t.equal(source.length, 4)
  t.strictSame(source.classes, [...LABELLED_CLASSES])
  for (let i = 0; i < 4; i++) {
    const { width, height, labels } = labelledPicture(i)
    t.strictSame(await labelsOf(source, i), { width, height, labels })
  }
  t.ok(source.leftOut.isEmpty)
  t.equal((await open({})).digest, source.digest)
  const own = await open({}, { classes: ['a, b', 'c', 'd', 'e'] })
  t.strictSame(own.classes, ['a', 'c', 'd', 'e'], 'of several words the first')
  const apart = await open(
    {
      path: 'nowhere',
      images: join(scenes, 'images'),
      labels: join(scenes, 'labels'),
    },
    { classes: join(scenes, 'classes.txt') },
  )
  t.equal(apart.digest, source.digest)
})

t.test('values mean what the configuration says', async t => {
  const classes = ['a', 'b', 'c']
  const values = async (path: string, data: object = {}) => [
    ...(await labelsOf(await open({ path, ...data }, { classes }))).labels,
  ]
  t.strictSame(await values(single('plain', [0, 1, 2, 255])), [0, 1, 2, 255])
  t.strictSame(await values(single('wide', [0, 2, 255, 65535], 16)), [0, 2, 255, 255])
  t.strictSame(await values(single('seven', [0, 1, 7, 2]), { ignore: 7 }), [0, 1, 255, 2])
  t.strictSame(await values(single('zero', [0, 1, 3, 255]), { reduceZero: true }), [255, 0, 2, 255])
  const labelMap = { 10: 2, 20: 0, 30: null }
  t.strictSame(await values(single('map', [10, 20, 30, 255]), { labelMap }), [2, 0, 255, 255])
  t.strictSame(
    await values(single('map16', [1000, 0, 0, 1000], 16), { labelMap: { 1000: 1, 0: 0 } }),
    [1, 0, 0, 1],
  )
  for (const [path, data] of [
    ['plain', { ignore: 7 }],
    ['zero', {}],
    ['map', { labelMap: { 10: 2 } }],
  ] as const) {
    await t.rejects(values(join(folder, path), data), {
      code: 'ERR_DECLIP_INVALID_ARG',
      message: /labels.a\.png: the label (255|3|20) of 1 pixel/,
    })
  }
  await t.rejects(values(join(folder, 'map'), { labelMap: { 10: 3 } }), {
    message: 'data.labelMap: 10 is given the class 3, but there are 3 classes, counted from 0.',
  })
})

t.test('more than 255 classes are labels of 16 bits', async t => {
  const classes = Array.from({ length: 300 }, (_, i) => `class ${i}`)
  const { labels } = await labelsOf(
    await open({ path: single('many', [0, 255, 299, 65535], 16) }, { classes }),
  )
  t.ok(labels instanceof Uint16Array)
  t.strictSame([...labels], [0, 255, 299, 65535])
})

t.test('what is missing is named', async t => {
  const path = single('lacks', [0, 0, 0, 0])
  await t.rejects(open({ path }), { code: 'ERR_DECLIP_IO', message: /classes\.txt is not there/ })
  const classes = ['a']
  writeFileSync(join(path, 'images/b.png'), png(2, 2, Array(12).fill(9), { color: 2 }))
  writeFileSync(join(path, 'labels/c.png'), png(2, 2, [0, 0, 0, 0]))
  const source = await open({ path }, { classes })
  t.equal(source.length, 1)
  t.match(
    source.leftOut.toString(),
    /pictures without labels: 1 .*label files without a picture: 1/,
  )
  rmSync(join(path, 'labels/a.png'))
  await t.rejects(open({ path }, { classes }), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /no picture of .* has labels in .*, such as a\.png/,
  })
  rmSync(join(path, 'labels'), { recursive: true })
  await t.rejects(open({ path }, { classes }), {
    code: 'ERR_DECLIP_IO',
    message: /no folder .*labels/,
  })
  await t.rejects(open({ path: 'nowhere' }, { classes }), { code: 'ERR_DECLIP_IO' })
})

t.test('a picture whose labels cannot be used is replaced, and told of', async t => {
  const path = join(folder, 'damaged')
  await writeLabelled(path, 5)
  truncateSync(join(path, 'labels/picture-0.png'), 60)
  writeFileSync(join(path, 'labels/picture-1.png'), png(3, 3, Array(9).fill(0)))
  const { width, height } = labelledPicture(2)
  writeFileSync(
    join(path, 'labels/picture-2.png'),
    png(width, height, Array(width * height).fill(99)),
  )
  const pictures = new Pictures(await open({ path }), 3, new AbortController().signal)
  const reasons = [/ends after 60 bytes/, /3 x 3 pixels/, /the label 99 of/]
  for (const [index, reason] of reasons.entries()) {
    const loaded = await pictures.load({ epoch: 0, index })
    t.match(loaded.skipped[0], reason)
    t.ok(loaded.visit.index > 2)
    t.equal(loaded.truth?.width, loaded.image.width)
  }
  t.match(pictures.leftOut.toString(), /pictures that cannot be used: 3/)
})

t.test('COCO-Stuff is found in its folders, as published and as it is converted', async t => {
  const coco = (name: string, labels: string, file: string, values: number[]) => {
    const path = join(folder, name)
    mkdirSync(join(path, 'images/train2017'), { recursive: true })
    mkdirSync(join(path, labels), { recursive: true })
    writeFileSync(join(path, 'images/train2017/1.png'), png(2, 2, Array(12).fill(9), { color: 2 }))
    writeFileSync(join(path, labels, file), png(2, 2, values, { color: 0 }))
    return path
  }
  const values = async (path: string) => {
    const source = await open({ kind: 'coco-stuff', path })
    t.strictSame(source.classes, DATASETS['coco-stuff'].labels)
    return [...(await labelsOf(source)).labels]
  }
  const published = coco('a/coco', 'stuffthingmaps/train2017', '1.png', [0, 12, 181, 255])
  t.strictSame(await values(published), [0, 11, 170, 255])
  t.strictSame(await values(join(folder, 'a')), [0, 11, 170, 255], 'the folder that holds it')
  t.strictSame(
    await values(coco('b', 'annotations/train2017', '1_labelTrainIds.png', [0, 12, 170, 255])),
    [0, 12, 170, 255],
  )
  t.strictSame(
    await values(coco('c', 'stuffthingmaps_detectron2/train2017', '1.png', [0, 12, 170, 255])),
    [0, 12, 170, 255],
  )
  await t.rejects(open({ kind: 'coco-stuff', path: scenes }), {
    code: 'ERR_DECLIP_IO',
    message: /found no pictures in images\/train2017 with labels in stuffthingmaps\/train2017/,
  })
})
