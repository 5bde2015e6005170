/**
 * ITACLIP's image engineering against an independent slow version for one window: copies made by
 * hand, each through encodeDense(), combined and multiplied with the words in plain loops.
 * Aydin et al., arXiv:2411.12044, section 3.1.
 */
import fc from 'fast-check'
import t from 'tap'
import { loadModel, segment, Tensor } from '../../ts/index.js'
import { difference, floats, normalised } from '../support/calls.js'

const SIDE = 96
const GRID = 12
const CHANNELS = 128
const PLANE = SIDE * SIDE
const model = await loadModel()
t.teardown(() => model.dispose())

type Picture = Float32Array

/** Value of channel c at (y, x) of a new picture. */
function make(value: (c: number, y: number, x: number) => number): Picture {
  return Float32Array.from({ length: 3 * PLANE }, (_, i) =>
    value(Math.floor(i / PLANE), Math.floor((i % PLANE) / SIDE), i % SIDE),
  )
}

const pixel = (image: Picture, c: number, y: number, x: number): number =>
  image[c * PLANE + y * SIDE + x] as number

/** torchvision's Grayscale: luma weights of ITU-R 601-2, repeated. */
const grey = (image: Picture): Picture =>
  make(
    (_, y, x) =>
      0.2989 * pixel(image, 0, y, x) +
      0.587 * pixel(image, 1, y, x) +
      0.114 * pixel(image, 2, y, x),
  )

/** A Gaussian of 11 x 11 taps, sigma 5; borders mirrored without repeating the edge. */
function blur(image: Picture): Picture {
  const reach = 5
  const weights = Array.from({ length: 11 }, (_, i) => Math.exp(-0.5 * ((i - reach) / 5) ** 2))
  const sum = weights.reduce((a, b) => a + b, 0)
  const mirror = (i: number) => (i < 0 ? -i : i >= SIDE ? 2 * SIDE - 2 - i : i)
  return make((c, y, x) => {
    let total = 0
    for (const [i, wy] of weights.entries()) {
      for (const [j, wx] of weights.entries()) {
        total += wy * wx * pixel(image, c, mirror(y + i - reach), mirror(x + j - reach))
      }
    }
    return total / sum ** 2
  })
}

/** Cosines [words, 12, 12] of a picture's patches. */
async function logitsOf(image: Picture, words: Float32Array[]): Promise<number[][]> {
  using x = Tensor.from(image, [1, 3, SIDE, SIDE])
  using map = await model.encodeDense(x, {
    mode: 'itaclip',
    positions: 'scale-factor',
    layers: [4, 5],
  })
  const features = await floats(map)
  return words.map(word =>
    Array.from({ length: GRID * GRID }, (_, patch) => {
      let sum = 0
      for (let d = 0; d < CHANNELS; d++) {
        sum += (features[d * GRID * GRID + patch] as number) * (word[d] as number)
      }
      return sum
    }),
  )
}

const classes = ['dog', 'sky', 'texture']
const vocabulary = await model.vocabulary(classes)
const rows = await floats(vocabulary.features)
const words = classes.map((_, i) => rows.subarray(i * CHANNELS, (i + 1) * CHANNELS))

for (const weight of [1, 0.75, 0]) {
  t.test(`augmentWeight ${weight}`, async t => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 1e6 }), async seed => {
        const image = normalised(1, SIDE, SIDE, seed)
        const upright = await Promise.all(
          [image, grey(image), blur(image)].map(copy => logitsOf(copy, words)),
        )
        const upDown = await logitsOf(
          make((c, y, x) => pixel(image, c, SIDE - 1 - y, x)),
          words,
        )
        const mirrored = await logitsOf(
          make((c, y, x) => pixel(image, c, y, SIDE - 1 - x)),
          words,
        )
        const expected = words.flatMap((_, q) =>
          Array.from({ length: GRID * GRID }, (_, patch) => {
            const [y, x] = [Math.floor(patch / GRID), patch % GRID]
            const at = (map: number[][], y: number, x: number) => map[q]?.[y * GRID + x] as number
            const mean = upright.reduce((sum, map) => sum + at(map, y, x) / 3, 0)
            const flips = at(upDown, GRID - 1 - y, x) + at(mirrored, y, GRID - 1 - x)
            return weight * mean + ((1 - weight) / 2) * flips
          }),
        )

        using x = Tensor.from(image, [1, 3, SIDE, SIDE])
        using seg = await segment(x, vocabulary, {
          model,
          method: 'itaclip',
          layers: [4, 5],
          augment: true,
          augmentWeight: weight,
          window: SIDE,
          stride: SIDE,
          pamr: false,
          logits: true,
        })
        const logits = await floats(seg.logits as Tensor)
        // Bilinear upsampling by 8 without aligned corners, again in plain loops.
        const upsampled = Array.from({ length: classes.length * PLANE }, (_, i) => {
          const [q, y, x] = [Math.floor(i / PLANE), Math.floor((i % PLANE) / SIDE), i % SIDE]
          const source = (v: number) => Math.max(0, (v + 0.5) / 8 - 0.5)
          const [sy, sx] = [source(y), source(x)]
          const [y0, x0] = [Math.floor(sy), Math.floor(sx)]
          const [y1, x1] = [Math.min(GRID - 1, y0 + 1), Math.min(GRID - 1, x0 + 1)]
          const value = (yy: number, xx: number) => expected[(q * GRID + yy) * GRID + xx] as number
          const top = (1 - (sx - x0)) * value(y0, x0) + (sx - x0) * value(y0, x1)
          const bottom = (1 - (sx - x0)) * value(y1, x0) + (sx - x0) * value(y1, x1)
          return (1 - (sy - y0)) * top + (sy - y0) * bottom
        })
        const off = difference(logits, upsampled)
        if (!(off <= 2e-5)) throw new Error(`off by ${off}`)
      }),
      { numRuns: 3 },
    )
    t.pass('agrees')
  })
}
