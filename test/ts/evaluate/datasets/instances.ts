import { join } from 'node:path'
import t, { type Test } from 'tap'
import type {
  AnyDataset,
  DetectionTruth,
  RegionsTruth,
} from '../../../../ts/evaluate/datasets/dataset.js'
import { openDataset } from '../../../../ts/evaluate/datasets/open.js'
import { COCO_THINGS } from '../../../../ts/methods/benchmarks.js'
import { NOVEL, OV_COCO } from '../../../../ts/methods/ov-coco.js'
import { pixelsOf } from '../../../support/rle.js'
import { jpeg, writeTree } from '../../../support/tree.js'

const WIDTH = 40
const HEIGHT = 30

/** COCO's ids of 80 categories have gaps; any will do. */
const CATEGORIES = COCO_THINGS.map((name, i) => ({ id: i + 1 + Math.floor(i / 10), name }))
const idOf = (name: string) => CATEGORIES.find(one => one.name === name)?.id as number

const image = (id: number, file_name = `${String(id).padStart(12, '0')}.jpg`) => ({
  id,
  file_name,
  width: WIDTH,
  height: HEIGHT,
})

/** A rectangle of whole pixels as a polygon. */
const rectangle = (x: number, y: number, w: number, h: number) => [
  [x, y, x + w, y, x + w, y + h, x, y + h],
]
const inside = (x: number, y: number, w: number, h: number) =>
  Array.from({ length: WIDTH * HEIGHT }, (_, i) => {
    const [column, row] = [i % WIDTH, Math.floor(i / WIDTH)]
    return column >= x && column < x + w && row >= y && row < y + h ? 1 : 0
  })

/** Run lengths down the columns of a rectangle. */
function counts(x: number, y: number, w: number, h: number): number[] {
  const list = [x * HEIGHT + y]
  for (let i = 0; i < w; i++) list.push(h, i + 1 < w ? HEIGHT - h : 0)
  list[list.length - 1] = (WIDTH - x - w) * HEIGHT + (HEIGHT - y - h)
  return list
}

const annotation = (id: number, image_id: number, name: string, more: object = {}) => ({
  id,
  image_id,
  category_id: idOf(name),
  bbox: [4, 5, 10, 8],
  area: 80,
  iscrowd: 0,
  segmentation: rectangle(4, 5, 10, 8),
  ...more,
})

const ANNOTATIONS = [
  annotation(11, 1, 'dog'),
  annotation(12, 1, 'hot dog'),
  annotation(13, 2, 'hot dog'),
  annotation(14, 1, 'person', {
    iscrowd: 1,
    bbox: [2, 3, 5, 6],
    area: 30,
    segmentation: { size: [HEIGHT, WIDTH], counts: counts(2, 3, 5, 6) },
  }),
  annotation(15, 3, 'zebra', { area: undefined }),
]

async function write(t: Test, json: object = {}, at = 'annotations/instances_val2017.json') {
  const picture = await jpeg(WIDTH, HEIGHT)
  return writeTree(t.testdir(), {
    'val2017/000000000001.jpg': picture,
    'val2017/000000000002.jpg': picture,
    'val2017/000000000003.jpg': picture,
    [at]: {
      images: [image(3), image(1), image(2)],
      annotations: ANNOTATIONS,
      categories: [...CATEGORIES].reverse(),
      ...json,
    },
  })
}

const open = (data: string, masks?: boolean) => openDataset({ dataset: 'coco-ov', data, masks })

async function truthOf(data: string, id: string, masks?: boolean): Promise<DetectionTruth> {
  const set = await open(data, masks)
  return (await set.pictures.find(one => one.id === id)?.truth()) as DetectionTruth
}

/** What is known of a set's first picture. */
async function firstTruth<T>(set: AnyDataset): Promise<T> {
  const [picture] = set.pictures
  if (!picture) throw new Error('there is no picture')
  return (await picture.truth()) as T
}

t.test('the split has 48 base and 17 novel classes in the order of ids', async t => {
  t.equal(OV_COCO.length, 65)
  t.equal(OV_COCO.filter(({ split }) => split === 'base').length, 48)
  t.equal(NOVEL.size, 17)
  const base = `person, bicycle, car, motorcycle, train, truck, boat, bench, bird, horse, sheep, bear,
    zebra, giraffe, backpack, handbag, suitcase, frisbee, skis, kite, surfboard, bottle, fork, spoon,
    bowl, banana, apple, sandwich, orange, broccoli, carrot, pizza, donut, chair, bed, toilet, tv,
    laptop, mouse, remote, microwave, oven, toaster, refrigerator, book, clock, vase, toothbrush`
  t.same(
    OV_COCO.filter(({ split }) => split === 'base').map(({ name }) => name),
    base.split(/,\s+/),
  )
})

t.test("of COCO's own file the pictures with one of the 65 classes", async t => {
  const data = await write(t)
  const set = await open(data)
  t.equal(set.task, 'detection')
  t.same(
    set.classes.map(({ name, split, id }) => ({ name, split, id })),
    OV_COCO.map(({ name, split }) => ({ name, split, id: idOf(name) })),
  )
  t.same(
    set.pictures.map(({ id, image }) => [id, image]),
    [
      ['3', join(data, 'val2017/000000000003.jpg')],
      ['1', join(data, 'val2017/000000000001.jpg')],
    ],
  )
  t.match(set.notes, [/^Of 3 pictures of .*instances_val2017\.json 2 have an object of the 65/])
  const label = (name: string) => OV_COCO.findIndex(one => one.name === name)
  t.same(await truthOf(data, '1'), {
    width: WIDTH,
    height: HEIGHT,
    objects: [
      { id: 11, label: label('dog'), box: [4, 5, 10, 8], area: 80, crowd: false },
      { id: 14, label: label('person'), box: [2, 3, 5, 6], area: 30, crowd: true },
    ],
  })
})

t.test('masks of polygons and run lengths', async t => {
  const data = await write(t)
  const { objects } = await truthOf(data, '1', true)
  t.same(
    objects.map(({ mask }) => mask && pixelsOf(mask)),
    [inside(4, 5, 10, 8), inside(2, 3, 5, 6)],
  )
  const [zebra] = (await truthOf(data, '3', true)).objects
  t.equal(zebra?.area, 80, 'the area of the mask, where the file has none')
  t.equal((await truthOf(data, '3')).objects[0]?.area, 80, 'else of the box')
})

t.test('the file of the 65 classes goes first, and all its pictures are taken', async t => {
  const data = await write(t, {}, 'zero-shot/instances_val2017_all_2.json')
  writeTree(data, { 'annotations/instances_val2017.json': '{}' })
  const used = CATEGORIES.filter(({ name }) => OV_COCO.some(one => one.name === name))
  const annotations = ANNOTATIONS.filter(one => used.some(({ id }) => id === one.category_id))
  writeTree(data, {
    'zero-shot/instances_val2017_all_2.json': {
      images: [image(3), image(1)],
      annotations,
      categories: used,
    },
  })
  const set = await open(data)
  t.equal(set.pictures.length, 2)
  t.same(set.notes, [])
})

t.test('what belongs to one picture, by its annotation', async t => {
  const reject = async (more: object, message: RegExp, masks?: boolean) => {
    const annotations = [...ANNOTATIONS, annotation(99, 1, 'dog', more)]
    const data = await write(t, { annotations })
    const set = await open(data, masks)
    await t.rejects(truthOf(data, '1', masks), { code: 'ERR_DECLIP_INVALID_ARG', message })
    if (!masks) {
      t.match(set.notes[1], message, 'told at once')
      t.match(set.notes[1], /^1 picture has annotations that cannot be measured with/)
    }
    t.equal((await truthOf(data, '3')).objects.length, 1, 'others are read')
  }
  await reject(
    { category_id: 12345 },
    /annotations\[5\] \(id 99\) has category_id 12345, which is none/,
  )
  await reject(
    { bbox: [1, 2, 3] },
    /\(id 99\) has bbox \[1,2,3\]; expected \[x, y, width, height\]/,
  )
  await reject({ bbox: [1, 2, null, 4] }, /\[1,2,null,4\]; expected/)
  await reject({ bbox: [1, 2, 'NaN', 4] }, /\[1,2,"NaN",4\]; expected/)
  await reject({ bbox: [1, 2, 3, 0] }, /has no area/)
  await reject({ bbox: [1, 2, -3, 4] }, /has no area/)
  await reject({ bbox: [-9, 2, 9, 4] }, /lies outside image 1 of 40 x 30 pixels/)
  await reject({ bbox: [1, 30, 9, 4] }, /lies outside image 1/)
  await reject({ area: -1 }, /has area -1; expected a number of pixels/)
  await reject({ segmentation: [] }, /annotations\[5\] \(id 99\) has no segmentation/, true)
  await reject({ segmentation: undefined }, /\(id 99\) has no segmentation/, true)
  await reject({ segmentation: [[1, 2, 3, 4, 5]] }, /\(id 99\): segmentation/, true)
  await reject({ segmentation: [[1, 2, 3, 4, 5, 'NaN']] }, /\(id 99\): segmentation/, true)
  const size = [HEIGHT, WIDTH]
  await reject({ segmentation: { size, counts: [5, 6] } }, /\(id 99\): segmentation/, true)
  await reject({ segmentation: { size: [3, 4], counts: [5, 7] } }, /\(id 99\): segmentation/, true)
  await reject({ segmentation: { size, counts: 'no runs' } }, /\(id 99\): segmentation/, true)
})

t.test('numbers that Python writes are told as they stand there', async t => {
  const data = await write(t)
  const text = JSON.stringify({
    images: [image(1)],
    annotations: [annotation(7, 1, 'dog', { bbox: [1, 'HERE', 3, 4] })],
    categories: CATEGORIES,
  }).replace('"HERE"', 'NaN')
  writeTree(data, { 'annotations/instances_val2017.json': text })
  await t.rejects(truthOf(data, '1'), { message: /\(id 7\) has bbox \[1,"NaN",3,4\]/ })
})

t.test('pictures', async t => {
  const data = await write(t)
  writeTree(data, { 'val2017/000000000003.jpg': await jpeg(WIDTH + 1, HEIGHT) })
  await t.rejects(truthOf(data, '3'), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message:
      /image 3 of .*instances_val2017\.json is 40 x 30 pixels, its picture .*03\.jpg is 41 x 30/,
  })
  const images = [image(1), image(3, 'none.jpg')]
  const annotations = ANNOTATIONS.filter(one => one.image_id !== 2)
  const lacking = await write(t, { images, annotations })
  t.match((await open(lacking)).notes[0], /^1 picture is missing: none\.jpg\.$/)
  await t.rejects(truthOf(lacking, '3'), {
    code: 'ERR_DECLIP_IO',
    message: /none\.jpg \(image 3\) is not there/,
  })
  const elsewhere = await write(t, {
    images: [image(1, 'a/1.jpg'), image(3, 'a/3.jpg')],
    annotations,
  })
  await t.rejects(open(elsewhere), {
    code: 'ERR_DECLIP_IO',
    message: /data: the pictures \(a\/1\.jpg, a\/3\.jpg\) are not there\. Looked in/,
  })
})

t.test('what is wrong with the whole file', async t => {
  const reject = async (json: object, message: RegExp) =>
    t.rejects(open(await write(t, json)), { code: 'ERR_DECLIP_INVALID_ARG', message })
  const twice = [...ANNOTATIONS, annotation(11, 2, 'cat')]
  await reject(
    { annotations: twice },
    /annotations\[0\] \(id 11\) and annotations\[5\] \(id 11\) have the same id/,
  )
  await reject(
    { annotations: [annotation('x' as never, 1, 'dog')] },
    /must have an "id" that is a whole number, found "x"/,
  )
  await reject({ annotations: [null] }, /annotations\[0\] must be an object/)
  await reject(
    { annotations: [annotation(1, 8, 'dog'), annotation(2, 9, 'dog')] },
    /annotations\[0\] \(id 1\) of image 8 belongs to no picture of "images" \(so do 1 more\); add the pictures/,
  )
  await reject(
    { categories: CATEGORIES.slice(1), annotations: [] },
    /has no category person; the 65 classes/,
  )
  await reject({ annotations: undefined }, /it has no list "annotations"/)
})

const LVIS = {
  images: [
    {
      ...image(1),
      file_name: undefined,
      coco_url: 'http://images.cocodataset.org/train2017/000000000001.jpg',
      neg_category_ids: [3],
      not_exhaustive_category_ids: [1],
    },
  ],
  annotations: [{ ...annotation(1, 1, 'dog'), category_id: 2 }],
  categories: [
    { id: 3, name: 'zucchini', frequency: 'f' },
    { id: 1, name: 'aerosol_can', frequency: 'c' },
    { id: 2, name: 'alligator', frequency: 'r' },
  ],
}

async function lvis(t: Test, json: object = {}): Promise<string> {
  return writeTree(t.testdir(), {
    'lvis_v1_val.json': { ...LVIS, ...json },
    'train2017/000000000001.jpg': await jpeg(WIDTH, HEIGHT),
  })
}

t.test('LVIS', async t => {
  const data = await lvis(t)
  const set = await openDataset({ dataset: 'lvis', data })
  t.same(set.classes, [
    { name: 'aerosol_can', words: ['aerosol can'], id: 1, frequency: 'c' },
    { name: 'alligator', words: ['alligator'], id: 2, frequency: 'r' },
    { name: 'zucchini', words: ['zucchini'], id: 3, frequency: 'f' },
  ])
  t.equal(set.pictures[0]?.image, join(data, 'train2017/000000000001.jpg'))
  const { objects, ...rest } = await firstTruth<DetectionTruth>(set)
  t.same(rest, { width: WIDTH, height: HEIGHT, negative: [2], notExhaustive: [0] })
  t.same(
    objects.map(({ label, mask }) => [label, mask && pixelsOf(mask)]),
    [[1, inside(4, 5, 10, 8)]],
  )
})

t.test('what is no LVIS', async t => {
  const reject = async (json: object, message: RegExp) =>
    t.rejects(openDataset({ dataset: 'lvis', data: await lvis(t, json) }), {
      code: 'ERR_DECLIP_INVALID_ARG',
      message,
    })
  const [one] = LVIS.images
  await reject({ categories: CATEGORIES }, /category 1 \(person\) has no "frequency"/)
  await reject(
    { images: [{ ...one, neg_category_ids: undefined, not_exhaustive_category_ids: undefined }] },
    /image 1 has no "neg_category_ids"/,
  )
  await reject(
    { images: [{ ...one, neg_category_ids: undefined }] },
    /must have lists of ids "neg_category_ids"/,
  )
  const data = await lvis(t, { images: [{ ...one, neg_category_ids: [77] }] })
  const set = await openDataset({ dataset: 'lvis', data })
  await t.rejects(Promise.resolve(set.pictures[0]?.truth()), {
    message: /image 1 lists the category 77/,
  })
})

t.test('plain folders', async t => {
  const data = writeTree(t.testdir(), {
    'images/a.jpg': await jpeg(WIDTH, HEIGHT),
    'annotations.json': {
      images: [image(5, 'a.jpg')],
      annotations: [
        annotation(1, 5, 'dog', { category_id: 9 }),
        annotation(2, 5, 'dog', { category_id: 4, bbox: [4, 5, 7, 8] }),
      ],
      categories: [
        { id: 9, name: 'cat' },
        { id: 4, name: 'grass', isthing: 0 },
      ],
    },
  })
  const found = await openDataset({ dataset: 'folder', task: 'detection', data, masks: true })
  t.same(
    found.classes.map(({ name }) => name),
    ['grass', 'cat'],
  )
  const { objects } = await firstTruth<DetectionTruth>(found)
  t.same(
    objects.map(({ label, mask }) => [label, mask && pixelsOf(mask)]),
    [
      [1, inside(4, 5, 10, 8)],
      [0, inside(4, 5, 10, 8)],
    ],
  )
  const regions = await openDataset({ dataset: 'folder', task: 'regions', data })
  const truth = await firstTruth<RegionsTruth>(regions)
  t.same(
    truth.regions.map(({ mask, ...rest }) => ({ ...rest, mask: pixelsOf(mask) })),
    [
      {
        id: 1,
        label: 1,
        thing: true,
        box: [4, 5, 14, 13],
        crop: [1.5, 3, 16.5, 15],
        mask: inside(4, 5, 10, 8),
      },
    ],
    'smaller than 8 x 8 is left out',
  )
})
