import sharp from 'sharp'
import t from 'tap'
import { loadImage } from '../../../ts/image/source.js'
import { type TiffTags, tiff } from '../../support/tiff.js'

const short = (...values: number[]) => ({ type: 3 as const, values })
const size = { width: 5, height: 4, channels: 3 }

/** Colours of every kind, [4, 5, 3]. */
const rgb = Uint8Array.from({ length: 60 }, (_, i) => (i * 37) % 256)

const bytesOf = (values: { buffer: ArrayBufferLike }) => new Uint8Array(values.buffer)

async function decoded(file: Uint8Array): Promise<number[]> {
  return Array.from((await loadImage(file)).data)
}

t.test('floats from 0 to 1 are colours without a gamma', async t => {
  const floats = Float32Array.from(rgb, value => value / 255)
  t.same(await decoded(tiff(size, bytesOf(floats), { 339: short(3, 3, 3) })), rgb)
  const grey = floats.subarray(0, 20)
  const file = tiff({ ...size, channels: 1 }, bytesOf(grey.slice()), { 339: short(3) })
  t.same(
    await decoded(file),
    Array.from(rgb.subarray(0, 20)).flatMap(value => [value, value, value]),
  )
})

t.test('other floats are refused with their range', async t => {
  const refused = (values: Float32Array | Float64Array, message: RegExp) =>
    t.rejects(loadImage(tiff(size, bytesOf(values), { 339: short(3, 3, 3) })), {
      code: 'ERR_DECLIP_IMAGE',
      message,
    })
  await refused(Float32Array.from(rgb), /floats from 0 to 243, and colours are 0 to 1; convert it/)
  await refused(
    Float32Array.from(rgb, value => value / 255 - 0.5),
    /floats from -0\.5 to/,
  )
  const holes = Float32Array.from(rgb, value => value / 255)
  holes[7] = Number.NaN
  await refused(holes, /not all numbers/)
  await refused(Float64Array.from(rgb), /64-bit floats/)
})

t.test('whole numbers of other kinds are refused by name', async t => {
  const refused = (
    samples: Uint8Array | Int8Array | Uint32Array | Int16Array | BigUint64Array,
    tags: TiffTags,
    message: RegExp,
  ) =>
    t.rejects(loadImage(tiff(size, bytesOf(samples), tags)), { code: 'ERR_DECLIP_IMAGE', message })
  const [signed, complex] = [short(2, 2, 2), short(6, 6, 6)]
  await refused(Uint32Array.from(rgb), {}, /32-bit whole numbers; convert it to 8 or 16 bits/)
  await refused(Int8Array.from(rgb), { 339: signed }, /8-bit signed whole numbers/)
  await refused(Int16Array.from(rgb), { 339: signed }, /16-bit signed whole numbers/)
  await refused(new BigUint64Array(60), { 339: complex }, /64-bit complex floats/)
  await refused(rgb, { 258: short(12, 12, 12) }, /12-bit whole numbers/)
  await refused(rgb, { 262: short(8) }, /CIELAB colours; convert it to RGB/)
  await refused(rgb, { 262: short(34892) }, /the raw values of a camera sensor/)
  await refused(rgb, { 259: short(50000) }, /compressed with Zstandard; save it with LZW/)
  await refused(rgb, { 50706: short(1, 4) }, /a camera raw file; develop it/)
})

t.test('16 bits are cut to the upper 8', async t => {
  const deep = Uint16Array.from(rgb, value => value * 257)
  t.same(await decoded(tiff(size, bytesOf(deep))), rgb)
})

t.test('Y, Cb and Cr become red, green and blue', async t => {
  const samples = Uint8Array.of(76, 85, 255, 150, 44, 21, 29, 255, 107, 255, 128, 128)
  const fractions = (...pairs: number[]) => ({ type: 5 as const, values: pairs })
  const full = fractions(0, 1, 255, 1, 128, 1, 255, 1, 128, 1, 255, 1)
  const red = [254, 0, 0]
  const colors = [red, [0, 255, 1], [0, 0, 254], [255, 255, 255]].flat()
  const one = { width: 4, height: 1, channels: 3 }
  const ycbcr = { 262: short(6), 530: short(1, 1) }
  t.same(await decoded(tiff(one, samples, { ...ycbcr, 532: full })), colors)
  t.same(await decoded(tiff(one, samples, ycbcr)), colors, 'the full range is the default')
  const studio = fractions(16, 1, 235, 1, 128, 1, 240, 1, 128, 1, 240, 1)
  const white = tiff({ ...one, width: 1 }, Uint8Array.of(235, 128, 128), { ...ycbcr, 532: studio })
  t.same(await decoded(white), [255, 255, 255])
  await t.rejects(loadImage(tiff(one, bytesOf(Uint16Array.from(samples)), ycbcr)), {
    message: /16-bit YCbCr colours/,
  })
})

t.test('what the encoder of the decoder writes is read as it was', async t => {
  const raw = { raw: { width: 5, height: 4, channels: 3 as const } }
  for (const options of [{ compression: 'lzw' }, { compression: 'deflate', bigtiff: true }]) {
    const file = await sharp(rgb, raw)
      .tiff(options as never)
      .toBuffer()
    t.same(await decoded(file), rgb)
  }
  const jpeg = await sharp(rgb, raw).tiff({ compression: 'jpeg', quality: 100 }).toBuffer()
  const worst = (await decoded(jpeg)).map((value, i) => Math.abs(value - (rgb[i] as number)))
  t.ok(Math.max(...worst) < 160, 'JPEG of noise, and no other colours')
})

t.test('a directory that is cut or lies outside the file', async t => {
  const whole = tiff(size, rgb, { 339: short(1, 1, 1) })
  for (let length = 4; length < whole.length; length += 3) {
    await t.rejects(loadImage(whole.subarray(0, length)), { code: 'ERR_DECLIP_IMAGE' })
  }
  const outside = Buffer.from(whole)
  outside.writeUInt32LE(0xfffffff0, 4)
  await t.rejects(loadImage(outside), { code: 'ERR_DECLIP_IMAGE' })
})
