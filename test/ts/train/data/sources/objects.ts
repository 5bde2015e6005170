/** What a detector takes of COCO- and LVIS-style files. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { resolveConfig } from '../../../../../ts/train/config.js'
import { openSource } from '../../../../../ts/train/data/sources/open.js'
import { RECTANGLES, writeRectangles } from '../../../../support/objects.js'

const folder = t.testdir()
mkdirSync(folder, { recursive: true })
await writeRectangles(folder, 6)

const open = (path: string, more: object = {}) =>
  openSource(
    resolveConfig({
      objective: 'fvit',
      out: 'run',
      model: 'a',
      data: { kind: 'coco', path },
      ...more,
    }),
  )

const write = (name: string, json: object): string => {
  const path = join(folder, name)
  writeFileSync(path, JSON.stringify(json))
  return path
}

const square = (id: number, category_id: number, more: object = {}) => ({
  id,
  image_id: 1,
  category_id,
  bbox: [2, 3, 10, 8],
  segmentation: [[2, 3, 12, 3, 12, 11, 2, 11]],
  ...more,
})
const one = (annotations: object[], categories: object[]) => ({
  images: [{ id: 1, file_name: 'images/picture-0.png', width: 60, height: 48 }],
  annotations,
  categories,
})

t.test(
  'categories are in the order of their ids; objects of novel ones are left out and counted',
  async t => {
    const path = join(folder, 'annotations.json')
    const all = await open(path)
    t.strictSame(all.classes, RECTANGLES)
    t.strictSame(all.novel, [])
    t.equal(all.length, 6)
    const base = await open(path, { detector: { novel: ['green square'] } })
    t.strictSame(base.classes, RECTANGLES)
    t.strictSame(base.novel, ['green square'])
    t.notOk(base.labels.has('green square'))
    t.match(
      `${base.leftOut}`,
      /objects of novel classes: 4 \(the first: annotations\[\d\] of .*green square/,
    )
    t.not(all.digest, base.digest)
  },
)

t.test('segmentations are read again when they are needed', async t => {
  const source = await open(join(folder, 'annotations.json'), { detector: { masks: true } })
  const { regions } = await source.read(0)
  const shapes = await source.shapes?.(regions)
  t.match(shapes, [[[2, 3, 20, 3, 20, 17, 2, 17]], { size: [48, 60] }])
})

t.test(
  'crowds, objects without a segmentation and categories that are not asked for are left out',
  async t => {
    const path = write(
      'some.json',
      one(
        [
          square(1, 1),
          square(2, 1, { iscrowd: 1, segmentation: { size: [48, 60], counts: 'x' } }),
          square(3, 2),
          square(4, 1, { segmentation: [] }),
          square(5, 9),
        ],
        [
          { id: 2, name: 'b' },
          { id: 1, name: 'a' },
        ],
      ),
    )
    const source = await open(path, { classes: ['a'], detector: { masks: true } })
    t.strictSame(source.classes, ['a'])
    t.equal((await source.read(0)).regions.length, 1)
    t.match(`${source.leftOut}`, /boxes of crowds: 1/)
    t.match(`${source.leftOut}`, /categories that are not among classes: 1/)
    t.match(`${source.leftOut}`, /without a segmentation: 1/)
    t.match(`${source.leftOut}`, /boxes of no category: 1/)
    // Without a mask head nobody needs it.
    t.equal((await (await open(path)).read(0)).regions.length, 3)
  },
)

t.test('LVIS’s rare classes are novel; names that are none are refused', async t => {
  const path = write(
    'lvis.json',
    one(
      [square(1, 1), square(2, 2)],
      [
        { id: 1, name: 'a', frequency: 'f' },
        { id: 2, name: 'b', frequency: 'r' },
      ],
    ),
  )
  t.strictSame((await open(path, { detector: { variant: 'lvis' } })).novel, ['b'])
  t.strictSame((await open(path)).novel, [])
  await t.rejects(open(path, { detector: { novel: ['c'] } }), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /^detector\.novel: "c" is no class of .*lvis\.json, which has a, b\.$/,
  })
  await t.rejects(open(path, { classes: ['z'] }), { message: /^classes: "z" is no category of/ })
  await t.rejects(open(path, { detector: { novel: ['a', 'b'] } }), { message: /names every class/ })
  await t.rejects(open(write('list.json', { images: [] })), {
    message: /has no list "annotations" and no "categories"/,
  })
})
