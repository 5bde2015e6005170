import t from 'tap'
import type { NativeTensor } from '../../../ts/engine/addon-types.js'
import { loadAddon } from '../../../ts/engine/load-addon.js'
import type { DecodedImage } from '../../../ts/image/decode.js'
import { loadModel, Tensor } from '../../../ts/index.js'
import type { Teacher } from '../../../ts/train/data/batches.js'
import { teacherOf } from '../../../ts/train/teacher.js'
import { difference, fixture, picture } from '../../support/calls.js'

const addon = loadAddon()

/** What a teacher makes of pictures. */
async function featuresOf(
  teacher: Teacher,
  images: readonly DecodedImage[],
): Promise<NativeTensor> {
  const pictures = images.map(({ data, width, height }) => ({
    pixels: data,
    width,
    height,
    seed: 0,
  }))
  const { teacherImages } = await addon.makeBatch({
    pictures,
    ...teacher.input,
    size: 16,
    teacher: teacher.input,
  })
  return teacher.features(teacherImages as NativeTensor)
}

t.test('the teacher sees grid x patch pixels, padded, with ImageNet statistics', async t => {
  const model = await loadModel(fixture('vfm', 'dinov2-reg.safetensors'), {
    config: { headWidth: 32 },
  })
  const [grid, patch] = [4, 14]
  const side = grid * patch
  // Pictures of half the square: nothing is resized, so the input can be written down.
  const images = [picture(side, side / 2, 1), picture(side / 2, side, 2)]
  const features = await featuresOf(teacherOf(model, grid), images)
  t.same(features.shape, [2, 64, grid, grid])
  const got = new Float32Array(await features.data())

  const [mean, std] = [
    [0.485, 0.456, 0.406],
    [0.229, 0.224, 0.225],
  ]
  const input = new Float32Array(2 * 3 * side * side)
  for (const [n, { data, width, height }] of images.entries()) {
    for (let c = 0; c < 3; c++) {
      for (let y = 0; y < side; y++) {
        for (let x = 0; x < side; x++) {
          const byte = x < width && y < height ? (data[3 * (y * width + x) + c] as number) : 0
          const at = ((n * 3 + c) * side + y) * side + x
          input[at] = (byte / 255 - (mean?.[c] as number)) / (std?.[c] as number)
        }
      }
    }
  }
  const expected = await model.encodeDense(Tensor.from(input, [2, 3, side, side]))
  // The same float32 model on inputs that differ in their last bits.
  const off = difference(got, (await expected.data()) as Float32Array)
  t.ok(off < 1e-4, `off by ${off}`)
  model.dispose()
})

t.test('a DINOv3 teaches with the statistics that its configuration says', async t => {
  const model = await loadModel(fixture('families', 'dinov3-hf'), {
    config: { preprocess: { mean: [0.43, 0.411, 0.296], std: [0.213, 0.156, 0.143] } },
  })
  const { patchSize, width } = model.info
  const teacher = teacherOf(model, 3)
  t.match(teacher.input, { size: 3 * patchSize, mean: [0.43, 0.411, 0.296] })
  const features = await featuresOf(teacher, [picture(3 * patchSize, 2 * patchSize, 1)])
  t.same(features.shape, [1, width, 3, 3])
  model.dispose()
})

t.test('a CLIP can teach, with its own statistics and a dense mode', async t => {
  const model = await loadModel()
  const { imageSize, patchSize } = model.info
  const { mean, std } = model.native.info
  const image = picture(imageSize, imageSize, 3)
  const grid = imageSize / patchSize
  const features = await featuresOf(teacherOf(model, grid, 'maskclip'), [image])
  const plane = imageSize * imageSize
  const input = Float32Array.from({ length: 3 * plane }, (_, i) => {
    const c = Math.floor(i / plane)
    const byte = image.data[3 * (i % plane) + c] as number
    return (byte / 255 - (mean[c] as number)) / (std[c] as number)
  })
  const x = Tensor.from(input, [1, 3, imageSize, imageSize])
  const expected = await model.encodeDense(x, { mode: 'maskclip', normalize: false })
  const off = difference(
    new Float32Array(await features.data()),
    (await expected.data()) as Float32Array,
  )
  t.ok(off < 1e-4, `off by ${off}`)
  model.dispose()

  const dino = await loadModel(fixture('vfm', 'dinov2-reg.safetensors'), {
    config: { headWidth: 32 },
  })
  t.throws(() => teacherOf(dino, 4, 'maskclip'), { code: 'ERR_DECLIP_INVALID_ARG' })
  dino.dispose()
})

t.test('a batch is resized as torch does it: half-pixel centres, no antialiasing', async t => {
  const data = Uint8Array.from({ length: 3 * 16 }, (_, i) => (i * i * 37) % 256)
  const pixels = addon.tensor(data, [4, 4, 3], 'uint8')
  const { images } = await addon.makeBatch({
    pictures: [{ pixels, seed: 0 }],
    size: 4,
    mean: [0, 0, 0],
    std: [1, 1, 1],
    resizedTo: 6,
  })
  const got = new Float32Array(await images.data())
  const expected: number[] = []
  const source = (i: number) => Math.max(0, ((i + 0.5) * 4) / 6 - 0.5)
  for (let c = 0; c < 3; c++) {
    for (let y = 0; y < 6; y++) {
      for (let x = 0; x < 6; x++) {
        const [fy, fx] = [source(y), source(x)]
        const [top, left] = [Math.floor(fy), Math.floor(fx)]
        const at = (row: number, column: number) =>
          (data[3 * (4 * Math.min(row, 3) + Math.min(column, 3)) + c] as number) / 255
        const [dy, dx] = [fy - top, fx - left]
        expected.push(
          (1 - dy) * ((1 - dx) * at(top, left) + dx * at(top, left + 1)) +
            dy * ((1 - dx) * at(top + 1, left) + dx * at(top + 1, left + 1)),
        )
      }
    }
  }
  t.ok(difference(got, expected) < 1e-6)
})
