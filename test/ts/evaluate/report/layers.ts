import sharp from 'sharp'
import t from 'tap'
import { drawLayers } from '../../../../ts/evaluate/report/layers.js'
import { overlayColor } from '../../../../ts/result/palette.js'

const grey = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: '#808080' } })
    .png()
    .toBuffer()

/** Colour in the middle of a part of a picture, as JPEG has it. */
async function colorAt(bytes: Uint8Array, x: number, y: number) {
  const { data, info } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true })
  const i = 3 * (Math.floor(y * info.height) * info.width + Math.floor(x * info.width))
  return [...data.subarray(i, i + 3)]
}

const near = (a: readonly number[], b: readonly number[], by = 14) =>
  a.every((value, i) => Math.abs(value - (b[i] as number)) < by)

t.test('labels are drawn over a picture that is made small', async t => {
  const [width, height] = [1200, 400]
  // Left half class 1, right half not counted; found: class 2 everywhere but for a background stripe.
  const truth = Uint8Array.from({ length: width * height }, (_, i) => (i % width < 600 ? 1 : 255))
  const prediction = Uint8Array.from({ length: width * height }, (_, i) =>
    i % width < 600 ? 0 : 2,
  )
  const image = await grey(width, height)
  const drawn = await drawLayers(
    {
      image,
      truth: { data: truth, width, height },
      prediction: { data: prediction, width, height },
    },
    ['background', 'cat', 'dog'],
    0,
  )
  t.match(drawn.truth, { width: 560, height: 187, mime: 'image/jpeg' })
  t.match(await sharp(drawn.picture.bytes).metadata(), { width: 560, height: 187, format: 'jpeg' })
  const mixed = (color: readonly number[]) => color.map(c => 128 + (c - 128) * 0.62)
  const [cat, dog] = [overlayColor(0), overlayColor(1)]
  t.ok(near(await colorAt(drawn.truth.bytes, 0.25, 0.5), mixed(cat)), 'class 1')
  t.ok(near(await colorAt(drawn.truth.bytes, 0.75, 0.5), mixed([150, 150, 150])), 'not counted')
  t.ok(near(await colorAt(drawn.prediction.bytes, 0.25, 0.5), [128, 128, 128]), 'background')
  t.ok(near(await colorAt(drawn.prediction.bytes, 0.75, 0.5), mixed(dog)), 'class 2')
  t.same(
    drawn.seen.map(seen => [seen.label, seen.true]),
    [
      [0, false],
      [1, true],
      [2, false],
      [3, true],
    ],
  )
  const many = Array.from({ length: 90 }, (_, i) => `class ${i}`)
  const apart = await drawLayers(
    {
      image,
      truth: { data: truth.fill(70), width, height },
      prediction: { data: prediction.fill(85), width, height },
    },
    many,
    0,
  )
  t.same(
    apart.seen.map(({ label, color }) => [label, color]),
    [
      [70, cat],
      [85, dog],
    ],
    'of many classes those of a picture get the colours that are told apart best',
  )
})

t.test('boxes are drawn with names that cannot break the drawing', async t => {
  const drawn = await drawLayers(
    {
      image: await grey(300, 200),
      truth: [{ box: [30, 40, 200, 160], label: 0 }],
      prediction: [
        { box: [-10, -10, 400, 300], label: 1, score: 0.51 },
        { box: [5, 5, 5, 5], label: 7, score: 0.1 },
      ],
    },
    ['</svg>&"', '猫'],
    -1,
  )
  t.ok(near(await colorAt(drawn.truth.bytes, 30.5 / 300, 0.5), overlayColor(0), 50), 'its side')
  t.ok(near(await colorAt(drawn.truth.bytes, 0.5, 0.9), [128, 128, 128]))
  t.same(
    drawn.seen.map(({ label }) => label),
    [0, 1, 7],
  )
})
