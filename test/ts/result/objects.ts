import fc from 'fast-check'
import t, { type Test } from 'tap'
import { loadAddon } from '../../../ts/engine/load-addon.js'
import { Tensor } from '../../../ts/engine/tensor.js'
import { loadModel, Segmentation, segment, segmentMany } from '../../../ts/index.js'
import { toMasks } from '../../../ts/masks/mask-input.js'
import type { Polygon } from '../../../ts/masks/polygons.js'
import { type ObjectOptions, type SegmentedObject, toObjects } from '../../../ts/result/objects.js'
import { picture } from '../../support/calls.js'

const addon = loadAddon()

interface Plane {
  readonly width: number
  readonly height: number
  readonly labels: Uint8Array | Uint16Array
  /** As the addon keeps it; 0 is not known. */
  readonly certainty?: Uint8Array | undefined
}

const CLASSES = ['nothing', 'cat', 'dog', 'cup']

function make(
  { width, height, labels, certainty }: Plane,
  { classes = CLASSES, background = 0 } = {},
): Segmentation {
  return new Segmentation({
    labels: Tensor.from(labels, [height, width]),
    certainty: certainty && Tensor.from(certainty, [height, width]),
    classes,
    counts: classes.map(() => 0),
    background,
    timings: { encodeMs: 1, pixelsMs: 1 },
    addon,
  })
}

interface Flooded {
  index: number
  first: number
  pixels: Set<number>
}

/** Objects by filling one after the other. */
function flood(
  { width, height, labels }: Plane,
  connectivity: 4 | 8,
  background: number,
): Flooded[] {
  const seen = new Set<number>()
  const found: Flooded[] = []
  for (let start = 0; start < labels.length; start++) {
    const index = labels[start] as number
    if (seen.has(start) || index === background) continue
    const object: Flooded = { index, first: start, pixels: new Set() }
    const open = [start]
    seen.add(start)
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      object.pixels.add(at)
      const [x, y] = [at % width, Math.floor(at / width)]
      for (let dy = -1; dy <= 1; dy++) {
        for (let dx = -1; dx <= 1; dx++) {
          if (connectivity === 4 && dx !== 0 && dy !== 0) continue
          const [u, v] = [x + dx, y + dy]
          const next = v * width + u
          if (u < 0 || v < 0 || u >= width || v >= height || seen.has(next)) continue
          if (labels[next] !== index) continue
          seen.add(next)
          open.push(next)
        }
      }
    }
    found.push(object)
  }
  return found
}

function scoreOf(pixels: Set<number>, certainty: Uint8Array | undefined): number {
  const known = [...pixels].map(at => certainty?.[at] ?? 0).filter(value => value > 0)
  return known.length === 0 ? 0 : known.reduce((sum, q) => sum + (q / 255) ** 2, 0) / known.length
}

function boxOf(pixels: Set<number>, width: number): number[] {
  const xs = [...pixels].map(at => at % width)
  const ys = [...pixels].map(at => Math.floor(at / width))
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs) + 1, Math.max(...ys) + 1]
}

/** Pixels inside by counting the vertical lines to the left of each middle. */
function fill(polygons: readonly Polygon[], { width, height }: Plane): Set<number> {
  const inside = new Uint8Array(width * height)
  for (const { outer, holes } of polygons) {
    for (const ring of [outer, ...holes]) {
      for (const [i, [x, y]] of ring.entries()) {
        const [u, v] = ring[(i + 1) % ring.length] as [number, number]
        if (x !== u) continue
        for (let row = Math.min(y, v); row < Math.max(y, v); row++) {
          for (let at = x; at < width; at++) {
            inside[row * width + at] = 1 - (inside[row * width + at] as number)
          }
        }
      }
    }
  }
  return new Set([...inside.keys()].filter(at => inside[at] === 1))
}

function signedArea(ring: Polygon['outer']): number {
  return ring.reduce((sum, [x, y], i) => {
    const [u, v] = ring[(i + 1) % ring.length] as [number, number]
    return sum + (x * v - u * y) / 2
  }, 0)
}

async function decode(object: SegmentedObject, plane: Plane): Promise<Set<number>> {
  const native = await toMasks([object.rle], plane, {})
  const bytes = new Uint8Array(await native.data())
  native.dispose()
  return new Set([...bytes.keys()].filter(at => bytes[at] === 1))
}

async function check(
  t: Test,
  plane: Plane,
  options: ObjectOptions & { background?: number } = {},
): Promise<void> {
  const { connectivity = 8, minArea = 0, background = 0, ...rest } = options
  using seg = make(plane, { background })
  const objects = await seg.objects({ connectivity, minArea, ...rest })
  const expected = flood(plane, connectivity, background)
    .filter(({ pixels }) => pixels.size >= minArea)
    .map(found => ({ ...found, score: scoreOf(found.pixels, plane.certainty) }))
    .sort((a, b) => b.score - a.score || a.first - b.first)
  t.equal(objects.length, expected.length)
  for (const [i, object] of objects.entries()) {
    const { index, pixels, score } = expected[i] as (typeof expected)[number]
    t.equal(object.index, index)
    t.equal(object.class, CLASSES[index])
    t.ok(Math.abs(object.score - score) < 1e-9, `score ${object.score} is ${score}`)
    t.same(object.box, boxOf(pixels, plane.width))
    t.equal(object.area, pixels.size)
    t.same(await decode(object, plane), pixels)
    t.same(fill([object.polygon], plane), pixels, 'the outline holds the pixels')
    t.same(fill(object.polygons, plane), pixels, 'and so do the parts')
    if (connectivity === 4) t.equal(object.polygons.length, 1)
    t.ok(signedArea(object.polygon.outer) > 0, 'clockwise')
    t.ok(object.polygon.holes.every(hole => signedArea(hole) < 0))
    for (const { outer, holes } of object.polygons) {
      for (const ring of [outer, ...holes]) {
        t.equal(new Set(ring.map(String)).size, ring.length, 'no corner comes twice')
      }
    }
  }
}

/** Labels drawn as text: '.' is nothing. */
function drawn(text: string): Plane {
  const rows = text.trim().split(/\s+/)
  const labels = Uint8Array.from(rows.join(''), c => (c === '.' ? 0 : Number(c)))
  return { width: (rows[0] as string).length, height: rows.length, labels }
}

const SHAPES: Readonly<Record<string, string>> = {
  spiral: '11111111 1....... 1.111111 1.1....1 1.1.11.1 1.1....1 1.111111 1.......',
  diamond: '.1. 1.1 .1.',
  rings: '1111111 1.....1 1.222.1 1.2.2.1 1.222.1 1.....1 1111111',
  'holes that touch': '11111 1.1.1 11.11 1.1.1 11111',
  'corners of two classes': '12 21',
  'a bay closed at a corner': '1111 1..1 1.1. 11..',
  'chain of corners': '1...1 .1.1. ..1.. .1.1. 1...1',
  nothing: '... ...',
  everything: '333 333',
  'one pixel': '2',
  'a row': '1.12.22',
  'a column': '1 1 . 2 2',
}

for (const [name, text] of Object.entries(SHAPES)) {
  t.test(`as a flood fill finds them: ${name}`, async t => {
    for (const connectivity of [4, 8] as const) {
      for (const background of [0, -1]) await check(t, drawn(text), { connectivity, background })
    }
  })
}

t.test('as a flood fill finds them: noise', async t => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        width: fc.integer({ min: 1, max: 12 }),
        height: fc.integer({ min: 1, max: 12 }),
        classes: fc.integer({ min: 1, max: 3 }),
        connectivity: fc.constantFrom(4 as const, 8 as const),
        minArea: fc.integer({ min: 0, max: 4 }),
        compressed: fc.boolean(),
        isWide: fc.boolean(),
        seed: fc.uint8Array({ minLength: 288, maxLength: 288 }),
      }),
      async ({ width, height, classes, connectivity, minArea, compressed, isWide, seed }) => {
        const length = width * height
        const numbers = seed.subarray(0, length).map(value => value % (classes + 1))
        const labels = isWide ? Uint16Array.from(numbers) : numbers
        const certainty = seed.slice(144, 144 + length)
        await check(t, { width, height, labels, certainty }, { connectivity, minArea, compressed })
      },
    ),
    { numRuns: 60 },
  )
})

t.test('best first, and no more than the limit', async t => {
  const plane = { ...drawn('1.2.3'), certainty: Uint8Array.of(100, 0, 255, 0, 180) }
  using seg = make(plane)
  const all = await seg.objects()
  t.same(
    all.map(({ index }) => index),
    [2, 3, 1],
  )
  t.equal(all[0]?.score, 1)
  t.same(
    (await seg.objects({ limit: 2 })).map(({ index }) => index),
    [2, 3],
  )
  const [object] = await seg.objects({ compressed: true })
  t.type(object?.rle.counts, 'string')
  const json = JSON.parse(JSON.stringify(object))
  t.same(Object.keys(json), ['class', 'index', 'score', 'box', 'area', 'rle', 'polygon'])
  t.same(structuredClone(object), json, 'and as a message')
  t.equal(object?.polygon, object?.polygon, 'made once')
})

t.test('the score is the mean probability of the pixels', async t => {
  const image = picture(150, 110)
  const model = await loadModel('words-tiny')
  t.teardown(() => model.dispose())
  using seg = await segment(image, CLASSES, { model, probabilities: true })
  const probabilities = (await seg.probabilities?.data()) as Float32Array
  const labels = (await seg.labels.data()) as Uint8Array
  const plane = { width: 150, height: 110, labels }
  const objects = await seg.objects()
  t.ok(objects.length > 0)
  for (const object of objects) {
    const pixels = [...(await decode(object, plane))]
    const at = object.index * labels.length
    const mean =
      pixels.reduce((sum, i) => sum + (probabilities[at + i] as number), 0) / pixels.length
    t.ok(Math.abs(mean - object.score) < 0.002, `${object.score} is ${mean}`)
  }
  const same = (found: readonly SegmentedObject[]) =>
    t.same(JSON.stringify(found), JSON.stringify(objects))
  using view = await model.encode(image)
  using asked = await view.segment(CLASSES)
  same(await asked.objects())
  for await (using one of segmentMany([image], CLASSES, { model })) same(await one.objects())
  const { message } = await seg.toTransferable()
  using again = await Segmentation.fromTransferable(message)
  same(await again.objects())
  const { certainty: _, ...older } = message
  using unknown = await Segmentation.fromTransferable(older)
  t.ok((await unknown.objects()).every(({ score }) => score === 0))
  await t.rejects(Segmentation.fromTransferable({ ...message, certainty: new Uint8Array(3) }), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /data\.certainty must be a Uint8Array of 16500/,
  })
})

t.test('wrong options, signals and disposal', async t => {
  using seg = make(drawn('1.2'))
  const bad = { code: 'ERR_DECLIP_INVALID_ARG' }
  for (const options of [
    { minArea: -1 },
    { minArea: 1.5 },
    { minArea: Number.NaN },
    { connectivity: 6 },
    { limit: 0 },
    { compressed: 1 },
    null,
  ]) {
    await t.rejects(seg.objects(options as never), bad)
  }
  await t.rejects(seg.objects({ signal: AbortSignal.abort() }), { code: 'ERR_DECLIP_ABORTED' })
  const gone = make(drawn('1.2'))
  const pending = gone.objects()
  gone.dispose()
  t.equal((await pending).length, 2, 'a call in flight goes on')
  await t.rejects(gone.objects(), { code: 'ERR_DECLIP_DISPOSED' })
})

/** Every other pixel. */
function chessBoard(width: number, height: number): Plane {
  const labels = new Uint8Array(width * height)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) labels[y * width + x] = (x + y) % 2
  }
  return { width, height, labels }
}

t.test('very many objects are made in turns of the event loop', async t => {
  const { labels, width, height } = chessBoard(600, 300)
  using map = Tensor.from(labels, [height, width])
  const native = await addon.objects({
    labels: map.native,
    classes: 2,
    background: 0,
    minArea: 0,
    connectivity: 4,
    compressed: false,
  })
  let turns = 0
  let next = setImmediate(function turn() {
    turns++
    next = setImmediate(turn)
  })
  const objects = await toObjects(native, CLASSES, [height, width], false)
  clearImmediate(next)
  t.equal(objects.length, 90_000)
  t.same(objects[0]?.box, [1, 0, 2, 1])
  t.ok(turns > 1, `${turns} turns`)
})

t.test('more than a million objects are refused, not their best ones', async t => {
  using seg = make(chessBoard(1450, 1400), { background: -1 })
  await t.rejects(seg.objects({ connectivity: 4 }), {
    code: 'ERR_DECLIP_INVALID_ARG',
    message: /2030000 objects, more than 1000000: pass a larger minArea, or limit/,
  })
  t.equal((await seg.objects({ connectivity: 4, limit: 3 })).length, 3)
})
