import { join } from 'node:path'
import t from 'tap'
import {
  type RegionFile,
  readBoxFile,
  readMaskFile,
  readMaskProvider,
} from '../../../ts/cli/region-files.js'
import type { MaskFunction } from '../../../ts/index.js'

const invalid = { name: 'DeclipError', code: 'ERR_DECLIP_INVALID_ARG' }
const picture = (place: string, name = `photos/${place}`) => ({ name, place, input: name })
const a = picture('a.jpg')
const square = [1, 2, 11, 22]

t.test('boxes in every form', async t => {
  const of = async (json: unknown, which = a) => {
    const dir = t.testdir({ 'boxes.json': JSON.stringify(json) })
    return (await readBoxFile(join(dir, 'boxes.json'))).of(which)
  }
  t.same(await of([square, [0, 0, 5, 5.5]]), [square, [0, 0, 5, 5.5]], 'for every picture')
  t.same(await of([]), [])
  t.same(await (await readBoxFile('[[1, 2, 11, 22]]')).of(a), [square], 'given itself')
  for (const key of ['photos/a.jpg', 'a.jpg', 'a']) {
    t.same(await of({ [key]: [square], 'b.jpg': [] }), [square], `by ${key}`)
  }
  t.same(await of({ 'x/a.jpg': [square] }, picture('x/a.jpg')), [square], 'by its place')
  const coco = {
    images: [
      { id: 7, file_name: 'a.jpg' },
      { id: 9, file_name: 'b.jpg' },
    ],
    annotations: [
      { image_id: 9, bbox: [0, 0, 1, 1] },
      { image_id: 7, bbox: [1, 2, 10, 20], category_id: 3 },
    ],
    categories: [],
  }
  t.same(await of(coco), [square], 'COCO annotations')
  t.same(await of({ ...coco, annotations: [] }), [], 'a picture without any')
  const results = [{ image_id: 139, bbox: [1, 2, 10, 20], score: 0.5 }]
  t.same(await of(results, picture('000000000139.jpg')), [square], 'COCO results')
  t.same(await of([{ image_id: 'a', bbox: [1, 2, 10, 20] }]), [square], 'a text as id')
})

t.test('masks in every form', async t => {
  const rle = { size: [4, 5], counts: 'abc' }
  const polygons = [[0, 0, 5, 0, 5, 5]]
  const dir = t.testdir({
    'masks.json': JSON.stringify({ 'a.jpg': [rle, polygons, { segmentation: rle, id: 3 }] }),
    labels: { 'a.png': '' },
    'label.png': '',
  })
  t.same(await (await readMaskFile(join(dir, 'masks.json'))).of(a), [rle, polygons, rle])
  t.equal(await (await readMaskFile(join(dir, 'label.png'))).of(a), join(dir, 'label.png'))
  t.equal(await (await readMaskFile(join(dir, 'labels'))).of(a), join(dir, 'labels'))
  t.same(await (await readMaskFile('[[[0, 0, 5, 0, 5, 5]]]')).of(a), [polygons])
  await t.rejects(readMaskFile(join(dir, 'none.png')), { code: 'ERR_DECLIP_IO' })
  t.equal(await readMaskProvider(join(dir, 'labels')), join(dir, 'labels'))
  const provider = (await readMaskProvider(join(dir, 'masks.json'))) as MaskFunction
  const asked = { width: 5, height: 4, pixels: () => Promise.reject(new Error('not asked')) }
  t.same(await provider({ ...asked, path: 'photos/a.jpg' }), [rle, polygons, rle])
  await t.rejects(async () => provider({ ...asked, path: 'b.jpg' }), { code: 'ERR_DECLIP_IMAGE' })
})

t.test('what cannot be used is named by file and place', async t => {
  const read = (json: string, masks = false): Promise<RegionFile<unknown>> => {
    const path = join(t.testdir({ 'r.json': json }), 'r.json')
    return masks ? readMaskFile(path) : readBoxFile(path)
  }
  for (const [json, message] of [
    ['[[1,2,3', /r\.json is not JSON/],
    ['5', /r\.json must be a list, an object of lists by file name, or COCO annotations, found 5/],
    ['[[1,2,3]]', /r\.json: entry 0 must be \[x1, y1, x2, y2\].*found \[1,2,3\]/],
    ['[[0,0,1,1],[1,2,3,"4"]]', /r\.json: entry 1 must be/],
    ['[[0,0,1,1],[1,2,3,NaN]]', /r\.json: entry 1 must be/],
    ['{"a.jpg": 5}', /r\.json: 'a\.jpg' must be a list of regions, found 5/],
    ['{"a.jpg": [[0,0,1,1], {}]}', /r\.json: 'a\.jpg', entry 1 must be/],
    ['{"images": [{"id": 1}], "annotations": []}', /r\.json: image 0 must be an object with id/],
    [
      '{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"image_id": 2, "bbox": [0,0,1,1]}]}',
      /r\.json: annotation 0 must be of a picture among images, found 2/,
    ],
    [
      '{"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [{"image_id": 1}]}',
      /r\.json: annotation 0 must be \[x1/,
    ],
  ] as const) {
    await t.rejects(read(json), { message }, json)
  }
  await t.rejects(read('[5]', true), {
    ...invalid,
    message: /r\.json: entry 0 must be COCO's run lengths/,
  })
  await t.rejects(read('[{"segmentation": null}]', true), { ...invalid, message: /entry 0/ })
  await t.rejects(readBoxFile('[[1]]'), { ...invalid, message: /^the list: entry 0/ })
  await t.rejects((await read('{"b.jpg": []}')).of(a), {
    code: 'ERR_DECLIP_IMAGE',
    message: /r\.json has no regions of photos\/a\.jpg: it knows 1 pictures, such as 'b\.jpg'/,
  })
})
