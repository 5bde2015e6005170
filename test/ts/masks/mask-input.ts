import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { Tensor } from '../../../ts/engine/tensor.js'
import { Segmentation } from '../../../ts/index.js'
import { type MaskInput, readMasks, toMasks } from '../../../ts/masks/mask-input.js'
import type { Polygon } from '../../../ts/masks/polygons.js'
import { toPolygonLists } from '../../../ts/masks/polygons.js'
import { encodeRle } from '../../support/label-shapes.js'
import { withLabels } from '../../support/native-labels.js'

const WIDTH = 5
const HEIGHT = 4
const size = { width: WIDTH, height: HEIGHT }
/** A ring around a hole, and two single pixels that touch at a corner. */
const LABELS = Uint8Array.of(1, 1, 1, 0, 0, 1, 0, 1, 2, 0, 1, 1, 1, 0, 2, 0, 0, 0, 0, 0)
const PLANES = [0, 1, 2].map(value => Uint8Array.from(LABELS, label => Number(label === value)))

async function read(masks: MaskInput): Promise<{ shape: readonly number[]; bytes: Uint8Array }> {
  const native = await toMasks(masks, size, {})
  try {
    return { shape: native.shape, bytes: new Uint8Array(await native.data()) }
  } finally {
    native.dispose()
  }
}

const both = Uint8Array.from([...(PLANES[1] as Uint8Array), ...(PLANES[2] as Uint8Array)])

t.test('run lengths and polygons of all kinds are the same masks', async t => {
  const [, ...counts] = encodeRle({ data: LABELS, ...size }, 3)
  const polygons = await withLabels({ data: LABELS, ...size }, 3, async (addon, labels) =>
    toPolygonLists(await addon.labelPolygons({ ...labels, tolerance: 0 })),
  )
  const [, [ring] = [], pixels = []] = polygons as [Polygon[], Polygon[], Polygon[]]
  t.equal(ring?.holes.length, 1)
  const flat = pixels.map(({ outer }) => outer.flat())
  const rle = counts.map(list => ({ size: [HEIGHT, WIDTH] as const, counts: list }))
  for (const masks of [
    rle,
    [[ring as Polygon], pixels],
    [ring as Polygon, flat],
    [rle[0], flat] as MaskInput,
  ]) {
    t.same(await read(masks), { shape: [2, HEIGHT, WIDTH], bytes: both })
  }
  t.same((await read([])).shape, [0, HEIGHT, WIDTH])
})

t.test('a tensor is taken as it is', async t => {
  using tensor = Tensor.from(both, [2, HEIGHT, WIDTH])
  t.same((await read(tensor)).bytes, both)
  t.same((await read(tensor)).bytes, both, 'and stays its owner’s')
  using other = Tensor.from(both, [2, WIDTH, HEIGHT])
  await t.rejects(read(other), { code: 'ERR_DECLIP_INVALID_ARG', message: /\[K, 4, 5\]/ })
  using floats = Tensor.from(new Float32Array(20), [1, HEIGHT, WIDTH])
  await t.rejects(read(floats), { code: 'ERR_DECLIP_INVALID_ARG', message: /float32/ })
})

t.test('every value of a label picture but the largest is a mask', async t => {
  const data = LABELS.map(label => [255, 7, 3][label] as number)
  const { masks, values } = await readMasks({ data, ...size }, size, {})
  t.same(values, [3, 7])
  const bytes = new Uint8Array(await masks.data())
  masks.dispose()
  t.same(bytes.subarray(0, WIDTH * HEIGHT), PLANES[2])
  t.same(bytes.subarray(WIDTH * HEIGHT), PLANES[1])
  const deep = Uint16Array.from(LABELS, label => [65535, 255, 300][label] as number)
  const found = await readMasks({ data: deep, ...size }, size, {})
  t.same(found.values, [255, 300])
  found.masks.dispose()
  await t.rejects(readMasks({ data, width: 4, height: 5 }, size, {}), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /5 x 4, received 4 x 5/,
  })
  await t.rejects(readMasks({ data, width: 4, height: 4 }, size, {}), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /one of 20 for 4 x 4/,
  })
})

t.test('label pictures in files are read by their numbers', async t => {
  const file = join(t.testdir(), 'labels.png')
  using seg = await Segmentation.fromTransferable({
    labels: LABELS,
    ...size,
    classes: ['a', 'b', 'c'],
    areas: [],
    background: 0,
    colors: [],
    timings: { encodeMs: 0, pixelsMs: 0 },
  })
  await seg.savePNG(file)
  const bytes = await readFile(file)
  for (const input of [file, pathToFileURL(file), bytes]) {
    const { masks, values } = await readMasks(input, size, {})
    t.same(values, [0, 1, 2])
    t.same(new Uint8Array(await masks.data()).subarray(WIDTH * HEIGHT), both)
    masks.dispose()
  }
  await t.rejects(read(join(t.testdirName, 'none.png')), { code: 'ERR_DECLIP_IO' })
  await t.rejects(read(bytes.subarray(0, 60)), { code: 'ERR_DECLIP_IMAGE' })
})

t.test('a wrong mask is named by its place', async t => {
  const good = { size: [HEIGHT, WIDTH], counts: [20] }
  const code = { code: 'ERR_DECLIP_INVALID_ARG' }
  const cases: [unknown, RegExp][] = [
    [[good, { ...good, counts: [19] }], /^masks\[1\]: .*sum up to 20, received 19/],
    [[good, { ...good, counts: '4' }], /^masks\[1\]: .*do not sum up/],
    [
      [good, { size: [5, 4], counts: [20] }],
      /^masks\[1\]: size must be .*\[4,5\], received \[5,4\]/,
    ],
    [[good, [[0, 0, 1, 1, 2]]], /^masks\[1\]\[0\] must be pairs/],
    [[good, [{ outer: [[0, 0]], holes: [] }]], /^masks\[1\]\[0\]\.outer must be three points/],
    [
      [good, { outer: [[0, 0], [1, 0], [1]], holes: [] }],
      /^masks\[1\]\.outer\[2\] must be a point/,
    ],
    [[good, 3], /^masks\[1\] must be run lengths/],
    [3, /^masks must be a uint8 Tensor/],
    [undefined, /^masks must be a uint8 Tensor/],
  ]
  for (const [masks, message] of cases) {
    await t.rejects(read(masks as MaskInput), { ...code, message })
  }
})
