/** Pictures and lists of objects that overlap, as a detector finds them. */
import sharp from 'sharp'
import t from 'tap'
import { loadAddon } from '../../../ts/engine/load-addon.js'
import { Detections } from '../../../ts/result/detections.js'
import type { Found } from '../../../ts/result/found.js'
import { random } from '../../support/calls.js'
import { pixelsOf } from '../../support/rle.js'

loadAddon()
const [width, height] = [320, 240]
const source = async () => ({ data: new Uint8Array(3 * width * height).fill(90), width, height })

function detections(found: readonly Found[], classes = ['cat', 'dog', 'cup']): Detections {
  return new Detections({
    found,
    classes,
    width,
    height,
    timings: { encodeMs: 0, pixelsMs: 0 },
    masks: false,
    source,
  })
}

/** Overlapping boxes anywhere, the best first. */
function crowd(count: number): Found[] {
  const next = random(7)
  return Array.from({ length: count }, (_, i): Found => {
    const [x, y] = [next() * width, next() * height]
    return {
      box: [x, y, Math.min(width, x + 5 + 120 * next()), Math.min(height, y + 5 + 100 * next())],
      score: 1 - i / count,
      label: i % 3,
    }
  })
}

async function overlayPixels(found: readonly Found[], legend = true): Promise<Uint8Array> {
  using list = detections(found)
  const { data, info } = await sharp(await list.toPNG({ overlay: { legend } }))
    .raw()
    .toBuffer({ resolveWithObject: true })
  t.same([info.width, info.height], [width, height])
  return data
}

t.test('a small box is seen on a large one, whichever is better', async t => {
  const [large, small] = [
    { box: [10, 10, 300, 230], score: 0.4, label: 0 },
    { box: [100, 100, 104, 104], score: 0.9, label: 0 },
  ] as const
  t.strictSame(
    await overlayPixels([small, large], false),
    await overlayPixels([{ ...large, score: 0.95 }, small], false),
  )
})

t.test('names of a crowd that find no free place are left out', async t => {
  const shown = (data: Uint8Array, other: Uint8Array) =>
    data.filter((value, i) => value !== other[i]).length / data.length
  const [few, many] = [crowd(5), crowd(200)]
  const named = shown(await overlayPixels(many), await overlayPixels(many, false))
  t.ok(named > 0 && named < 0.75, `${named} of the picture is under names`)
  t.ok(shown(await overlayPixels(few), await overlayPixels(few, false)) > 0)
})

t.test('without masks an index picture has boxes, the best on top', async t => {
  using list = detections([
    { box: [2, 3, 5, 7], score: 0.9, label: 1 },
    { box: [-4, 2.4, 4, 400], score: 0.5, label: 0 },
    { box: [9, 9, 9, 12], score: 0.1, label: 0 },
  ])
  const { data, info } = await sharp(await list.toPNG(), {})
    .raw()
    .toBuffer({ resolveWithObject: true })
  t.same([info.width, info.height], [width, height])
  const at = (x: number, y: number) =>
    data.subarray(info.channels * (y * width + x), info.channels * (y * width + x + 1)).join()
  const [none, first, second] = [at(200, 100), at(3, 4), at(1, 100)]
  t.equal(new Set([none, first, second]).size, 3)
  t.strictSame([at(2, 3), at(4, 6), at(4, 7), at(5, 3)], [first, first, none, none])
  t.strictSame([at(0, 2), at(3, 239), at(3, 1), at(0, 1)], [second, second, none, none])
})

t.test('a mask counts before its box, and small masks lie on large ones', async t => {
  const whole = { size: [height, width], counts: [0, width * height] } as const
  const spot = {
    size: [height, width],
    counts: [50 * height + 60, 4, width * height - 50 * height - 64],
  } as const
  t.equal(pixelsOf(spot).filter(Boolean).length, 4)
  const small: Found = { box: [50, 60, 51, 64], score: 0.3, label: 1, mask: spot }
  const large: Found = { box: [0, 0, width, height], score: 0.9, label: 0, mask: whole }
  const [both, alone] = [
    await overlayPixels([large, small], false),
    await overlayPixels([large], false),
  ]
  const channels = both.length / (width * height)
  const place = channels * (62 * width + 50)
  t.notSame(both.subarray(place, place + 3), alone.subarray(place, place + 3))
})
