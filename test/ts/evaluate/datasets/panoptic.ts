import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { RegionsTruth } from '../../../../ts/evaluate/datasets/dataset.js'
import { openDataset } from '../../../../ts/evaluate/datasets/open.js'
import { png } from '../../../support/png.js'
import { pixelsOf } from '../../../support/rle.js'
import { jpeg, writeTree } from '../../../support/tree.js'

const WIDTH = 60
const HEIGHT = 45

/** id, category, bbox: as the JSON has them; category 3 and 200 are stuff. */
interface Segment {
  id: number
  category_id: number
  bbox: readonly number[]
  area?: number
}

const CATEGORIES = [
  { id: 200, name: 'rug-merged', isthing: 0 },
  { id: 7, name: 'train', isthing: 1 },
  { id: 3, name: 'sky', isthing: 0 },
]

/** Segments as blobs that touch corners, columns' ends and one another. */
function idAt(x: number, y: number): number {
  if (x < 20 && (x + y) % 13 !== 0) return 70_001 // stuff, with gaps
  if (x >= 30 && y >= 20 && x < 50) return 300 // a thing
  if (y > 30) return 16_777_215 // stuff, down to the last pixel
  return 0
}

const ids = Array.from({ length: WIDTH * HEIGHT }, (_, i) => idAt(i % WIDTH, Math.floor(i / WIDTH)))
const colors = (list: readonly number[]) =>
  list.flatMap(id => [id % 256, Math.floor(id / 256) % 256, Math.floor(id / 65536)])

const SEGMENTS: readonly Segment[] = [
  { id: 70_001, category_id: 3, bbox: [0, 0, 20, 45] },
  { id: 300, category_id: 7, bbox: [29.5, 20.25, 20, 24.5] },
  { id: 16_777_215, category_id: 200, bbox: [0, 31, 60, 14] },
]

interface Parts {
  segments?: readonly object[]
  list?: readonly number[]
  json?: object
}

async function write(t: Test, { segments = SEGMENTS, list = ids, json = {} }: Parts = {}) {
  return writeTree(t.testdir(), {
    'val2017/000000000139.jpg': await jpeg(WIDTH, HEIGHT),
    'annotations/panoptic_val2017/000000000139.png': png(WIDTH, HEIGHT, colors(list), { color: 2 }),
    'annotations/panoptic_val2017.json': {
      info: {},
      images: [{ id: 139, file_name: '000000000139.jpg', width: WIDTH, height: HEIGHT }],
      annotations: [{ image_id: 139, file_name: '000000000139.png', segments_info: segments }],
      categories: CATEGORIES,
      ...json,
    },
  })
}

const open = (data: string) => openDataset({ dataset: 'coco-panoptic', data })
const truthOf = async (data: string, at = 0) =>
  (await (await open(data)).pictures[at]?.truth()) as RegionsTruth

/** x1, y1, x2, y2 of a segment, as mask2box() has them. */
function extent(id: number): number[] {
  const xs: number[] = []
  const ys: number[] = []
  for (const [i, own] of ids.entries()) {
    if (own !== id) continue
    xs.push(i % WIDTH)
    ys.push(Math.floor(i / WIDTH))
  }
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)]
}

t.test('regions, as a loop over pixels has them', async t => {
  const data = await write(t)
  const set = await open(data)
  t.equal(set.task, 'regions')
  t.same(set.classes, [
    { name: 'sky', words: ['sky'], id: 3, thing: false },
    { name: 'train', words: ['train'], id: 7, thing: true },
    { name: 'rug-merged', words: ['rug-merged'], id: 200, thing: false },
  ])
  t.same(
    set.pictures.map(({ id, image }) => [id, image]),
    [['139', join(data, 'val2017/000000000139.jpg')]],
  )
  t.same(set.notes, [])
  const { width, height, regions } = await truthOf(data)
  t.same([width, height], [WIDTH, HEIGHT])
  t.same(
    regions.map(({ id, label, thing }) => [id, label, thing]),
    [
      [70_001, 0, false],
      [300, 1, true],
      [16_777_215, 2, false],
    ],
  )
  for (const { id, mask } of regions) {
    t.same(mask.size, [HEIGHT, WIDTH])
    t.same(
      pixelsOf(mask),
      ids.map(own => (own === id ? 1 : 0)),
      `mask of ${id}`,
    )
  }
  const [sky, train, rug] = regions
  t.same(sky?.box, extent(70_001))
  t.same(sky?.crop, extent(70_001), 'stuff is not enlarged')
  t.same(rug?.box, extent(16_777_215))
  t.same(train?.box, [29.5, 20.25, 49.5, 44.75])
  t.same(train?.crop, [39.5 - 15, 32.5 - 0.75 * 24.5, 39.5 + 15, HEIGHT], 'clipped below')
})

t.test('small and huge regions, and those behind the hundredth, are left out', async t => {
  const least = [
    { id: 70_001, category_id: 3, bbox: [0, 0, 20, 45] },
    { id: 300, category_id: 7, bbox: [30, 20, 8, 7.99] },
    { id: 16_777_215, category_id: 200, bbox: [0, 31, 60, 14] },
  ]
  const found = await truthOf(await write(t, { segments: least }))
  t.same(
    found.regions.map(({ id }) => id),
    [70_001, 16_777_215],
  )
  const kept = least.map(one => (one.id === 300 ? { ...one, bbox: [30, 20, 8, 8] } : one))
  t.equal(
    (await truthOf(await write(t, { segments: kept }))).regions.length,
    3,
    '8 x 8 is measured',
  )
  const huge = least.map(one => (one.id === 300 ? { ...one, bbox: [30, 20, 1025, 1024] } : one))
  t.equal((await truthOf(await write(t, { segments: huge }))).regions.length, 2)
  const many = Array.from({ length: 120 }, (_, i) => i + 1)
  const list = ids.map((_, i) => many[Math.floor(i / 20)] ?? 0)
  const segments = many.map(id => ({ id, category_id: 7, bbox: [0, 0, id === 50 ? 1 : 20, 10] }))
  const { regions } = await truthOf(await write(t, { list, segments }))
  t.same(
    regions.map(({ id }) => id),
    many.slice(0, 100).filter(id => id !== 50),
    'small ones count',
  )
})

t.test('what belongs to one picture', async t => {
  const reject = async (parts: Parts, message: RegExp, code = 'ERR_DECLIP_INVALID_ARG') =>
    t.rejects(truthOf(await write(t, parts)), { code, message })
  const replaced = (change: object) =>
    SEGMENTS.map(one => (one.id === 300 ? { ...one, ...change } : one))
  await reject(
    { segments: SEGMENTS.slice(1) },
    /139\.png: the pixel at x 0, y 1 is of segment 70001/,
  )
  await reject(
    { segments: [...SEGMENTS, { id: 5, category_id: 7, bbox: [0, 0, 9, 9] }] },
    /139\.png: segment 5 \(segments_info\[3\] of annotations\[0\]\) has no pixel/,
  )
  await reject(
    { segments: replaced({ category_id: 8 }) },
    /segments_info\[1\] of annotations\[0\] has category_id 8/,
  )
  await reject(
    { segments: replaced({ bbox: [1, 2, 0, 4] }) },
    /bbox \[1,2,0,4\], which has no area/,
  )
  await reject({ segments: replaced({ bbox: [60, 2, 3, 4] }) }, /lies outside image 139 of 60 x 45/)
  await reject({ segments: replaced({ bbox: [1, 2, 3] }) }, /expected \[x, y, width, height\]/)
  await reject({ segments: replaced({ id: 0 }) }, /has id 0, which is no colour/)
  await reject({ segments: replaced({ id: 70_001 }) }, /has the id 70001 of another segment/)
  await reject({ json: { annotations: [] } }, /data: the PNG files/, 'ERR_DECLIP_IO').catch(
    () => {},
  )
  const data = await write(t)
  writeTree(data, { 'val2017/000000000139.jpg': await jpeg(WIDTH, HEIGHT - 1) })
  await t.rejects(truthOf(data), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /139\.png is 60 x 45 pixels, its picture .*139\.jpg is 60 x 44/,
  })
  writeTree(data, {
    'annotations/panoptic_val2017/000000000139.png': png(
      WIDTH,
      HEIGHT,
      ids.map(() => 0),
    ),
  })
  writeTree(data, { 'val2017/000000000139.jpg': await jpeg(WIDTH, HEIGHT) })
  await t.rejects(truthOf(data), { code: 'ERR_DECLIP_IMAGE', message: /expected an RGB PNG/ })
})

t.test('what is wrong with the whole file', async t => {
  const reject = async (json: object, message: RegExp, code = 'ERR_DECLIP_INVALID_ARG') =>
    t.rejects(open(await write(t, { json })), { code, message })
  const image = { id: 139, file_name: '000000000139.jpg', width: WIDTH, height: HEIGHT }
  const annotation = { image_id: 139, file_name: '000000000139.png', segments_info: SEGMENTS }
  await reject({ images: [image, image] }, /images\[0\] and images\[1\] have the same id 139/)
  await reject({ images: [{ ...image, id: null }] }, /images\[0\] must have an "id", found null/)
  await reject({ images: [{ ...image, width: 0 }] }, /images\[0\] \(id 139\) must have a "width"/)
  await reject({ images: [{ ...image, file_name: '../a.jpg' }] }, /must have a "file_name"/)
  await reject({ images: [] }, /it has no picture/)
  await reject(
    { annotations: [annotation, annotation] },
    /annotations\[1\] is a second annotation of image 139/,
  )
  await reject(
    { annotations: [annotation, { ...annotation, image_id: 140 }] },
    /annotations\[1\] of image 140 belongs to no picture/,
  )
  await reject({ annotations: [{ ...annotation, segments_info: null }] }, /list "segments_info"/)
  await reject(
    { categories: [...CATEGORIES, { id: 3, name: 'again' }] },
    /categories\[2\] and categories\[3\] have the same id 3/,
  )
  await reject({ categories: undefined }, /it has no list "categories"/)
  await reject(
    { categories: [{ id: 'a', name: 'x' }] },
    /categories\[0\] must have an "id" \(a whole number\)/,
  )
  const data = await write(t)
  writeTree(data, { 'annotations/panoptic_val2017.json': '{"images": [\n  {"id": 1,,' })
  await t.rejects(open(data), {
    code: 'ERR_DECLIP_IO',
    message: /panoptic_val2017\.json .*line 2, column/,
  })
  await t.rejects(open(join(data, 'val2017')), {
    code: 'ERR_DECLIP_IO',
    message: /found no annotation file \(annotations\/panoptic_val2017\.json or /,
  })
  const missing = await write(t, {
    json: { images: [image, { ...image, id: 1, file_name: 'lone.jpg' }] },
  })
  const set = await open(missing)
  t.match(set.notes, [
    /^1 picture is missing: lone\.jpg\.$/,
    /^1 picture has annotations .*image 1 \(lone\.jpg\) has no annotation\.$/,
  ])
  await t.rejects(Promise.resolve(set.pictures[1]?.truth()), {
    message: /image 1 \(lone\.jpg\) has no annotation/,
  })
})

t.test('a plain folder of panoptic segments', async t => {
  const data = writeTree(t.testdir(), {
    'images/a.jpg': await jpeg(WIDTH, HEIGHT),
    'labels/a.png': png(WIDTH, HEIGHT, colors(ids), { color: 2 }),
    'annotations.json': {
      images: [{ id: 'a', file_name: 'a.jpg', width: WIDTH, height: HEIGHT }],
      annotations: [{ image_id: 'a', file_name: 'a.png', segments_info: SEGMENTS }],
      categories: CATEGORIES,
    },
  })
  const set = await openDataset({ dataset: 'folder', task: 'regions', data })
  t.equal(set.name, 'folder')
  const truth = (await set.pictures[0]?.truth()) as RegionsTruth
  t.equal(set.pictures[0]?.id, 'a')
  t.equal(truth.regions.length, 3)
})
