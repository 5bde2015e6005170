import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { deflateSync } from 'node:zlib'
import { decode } from 'fast-png'
import sharp from 'sharp'
import t from 'tap'
import {
  decodeIndexPicture,
  readIndexPicture,
  readRgbPicture,
} from '../../../ts/image/index-png.js'
import { type PngOptions, palette, png, pngChunk } from '../../support/png.js'
import { writeTree } from '../../support/tree.js'

const gamma = pngChunk('gAMA', Buffer.of(0, 0, 0x27, 0x10))
const chroma = pngChunk('sRGB', Buffer.of(0))

/** Samples that use every value. */
function samplesOf(width: number, height: number, depth: number): number[] {
  return Array.from({ length: width * height }, (_, i) => (i * 40503 + (i >> 3)) % 2 ** depth)
}

async function profile(): Promise<Buffer> {
  const { icc } = await sharp({ create: { width: 1, height: 1, channels: 3, background: 'red' } })
    .withIccProfile('p3')
    .png()
    .toBuffer()
    .then(bytes => sharp(bytes).metadata())
  return pngChunk(
    'iCCP',
    Buffer.concat([Buffer.from('p3\0\0', 'latin1'), deflateSync(icc as Buffer)]),
  )
}

t.test('samples come out as they are, of every depth', async t => {
  const icc = await profile()
  const width = 37
  const height = 11
  const cases: (PngOptions & { name: string })[] = [
    ...[1, 2, 4, 8].map(depth => ({ name: `palette of ${depth}`, depth, color: 3 })),
    ...[1, 2, 4, 8, 16].map(depth => ({ name: `grey of ${depth}`, depth, color: 0 })),
    { name: 'filtered', filter: y => y % 5 },
    { name: 'interlaced', interlace: 1 },
    { name: 'interlaced, 2 bits', depth: 2, interlace: 1 },
    { name: 'transparent', before: [palette(), pngChunk('tRNS', Buffer.alloc(256, 7))] },
    { name: 'gamma', before: [gamma, palette()] },
    { name: 'grey gamma', color: 0, before: [chroma, gamma] },
    { name: 'grey of 16 with gamma', color: 0, depth: 16, before: [gamma] },
    { name: 'profile', before: [icc, palette()] },
    { name: 'short palette', before: [palette(2)] },
    { name: 'background', before: [palette(), pngChunk('bKGD', Buffer.of(3))] },
  ]
  for (const { name, ...options } of cases) {
    const { depth = 8 } = options
    const samples = samplesOf(width, height, depth)
    const found = await decodeIndexPicture(png(width, height, samples, options), name)
    t.match(found, { width, height }, name)
    t.same([...found.data], samples, name)
    t.equal(found.data.BYTES_PER_ELEMENT, depth === 16 ? 2 : 1, name)
  }
})

t.test('as another decoder has them', async t => {
  // Palettes written by a library, not by the support file of this test.
  const colors = Buffer.from(
    samplesOf(64, 48, 3).flatMap(v => [v * 30, 255 - v * 9, (v * 77) % 256]),
  )
  const bytes = await sharp(colors, { raw: { width: 64, height: 48, channels: 3 } })
    .png({ palette: true, dither: 0 })
    .toBuffer()
  const { data, depth } = decode(bytes)
  const perByte = 8 / depth
  const stride = Math.ceil(64 / perByte)
  const found = await decodeIndexPicture(bytes, 'palette')
  const expected = Array.from({ length: 64 * 48 }, (_, i) => {
    const x = i % 64
    const byte = data[Math.floor(i / 64) * stride + Math.floor(x / perByte)] as number
    return (byte >> (8 - depth - (x % perByte) * depth)) & (2 ** depth - 1)
  })
  t.ok(new Set(expected).size > 4, 'several indices')
  t.same([...found.data], expected)
})

t.test('grey TIFF of 8 and 16 bits', async t => {
  const folder = t.testdir()
  const wide = Uint16Array.from(samplesOf(9, 7, 16))
  const tiff = await sharp(wide, { raw: { width: 9, height: 7, channels: 1 } })
    .toColourspace('grey16')
    .tiff({ compression: 'lzw' })
    .toBuffer()
  const narrow = await sharp(Buffer.from(samplesOf(9, 7, 8)), {
    raw: { width: 9, height: 7, channels: 1 },
  })
    .toColourspace('b-w')
    .tiff({ compression: 'lzw' })
    .toBuffer()
  writeTree(folder, { '16.tif': tiff, '8.tif': narrow })
  t.same([...(await readIndexPicture(join(folder, '16.tif'))).data], [...wide])
  t.same([...(await readIndexPicture(join(folder, '8.tif'))).data], samplesOf(9, 7, 8))
})

t.test('RGB is read as it is', async t => {
  const samples = samplesOf(10, 4 * 3, 8)
  const icc = await profile()
  const folder = writeTree(t.testdir(), {
    'a.png': png(10, 4, samples, { color: 2, before: [icc, gamma] }),
    'index.png': png(10, 4, samples),
  })
  const { data, ...size } = await readRgbPicture(join(folder, 'a.png'))
  t.same(size, { width: 10, height: 4 })
  t.same([...data], samples)
  await t.rejects(readRgbPicture(join(folder, 'index.png')), {
    code: 'ERR_DECLIP_IMAGE',
    message: /index\.png: it is a palette PNG of 8 bits; expected an RGB PNG/,
  })
})

t.test('what is no picture of labels', async t => {
  const whole = png(20, 20, samplesOf(20, 20, 8))
  const damaged = Buffer.from(whole)
  const inside = damaged.indexOf('IDAT') + 40
  damaged[inside] = (damaged[inside] as number) ^ 0xff
  const header = Buffer.from(whole)
  header[19] = 21
  const jpg = await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
    .jpeg()
    .toBuffer()
  const cases: [string, Uint8Array, RegExp][] = [
    ['empty', new Uint8Array(), /x\.png: it is empty/],
    ['cut', whole.subarray(0, -20), /x\.png: it ends after \d+ bytes/],
    ['cut in its header', whole.subarray(0, 20), /it ends after 20 bytes/],
    ['data damaged', damaged, /Cannot read labels of x\.png/],
    ['header damaged', header, /header is damaged/],
    ['RGB', png(2, 2, samplesOf(2, 6, 8), { color: 2 }), /it is an RGB PNG; expected one number/],
    ['RGBA', png(2, 2, samplesOf(2, 8, 8), { color: 6 }), /an RGB and alpha PNG/],
    ['grey and alpha', png(2, 2, samplesOf(2, 4, 8), { color: 4 }), /a grey and alpha PNG/],
    ['JPEG', jpg, /it is a JPEG picture. Labels are read from PNG/],
    ['pointer', Buffer.from('version https://git-lfs.github.com/spec/v1'), /git lfs pull/],
  ]
  for (const [name, bytes, message] of cases) {
    await t.rejects(decodeIndexPicture(bytes, 'x.png'), { code: 'ERR_DECLIP_IMAGE', message }, name)
  }
  await t.rejects(readIndexPicture(join(t.testdir(), 'none.png')), { code: 'ERR_DECLIP_IO' })
  const stopped = AbortSignal.abort()
  await t.rejects(decodeIndexPicture(whole, 'x', { signal: stopped }), {
    code: 'ERR_DECLIP_ABORTED',
  })
})

t.test('the event loop is hardly held', async t => {
  const bytes = png(
    640,
    480,
    Array.from({ length: 640 * 480 }, (_, i) => (i >> 9) % 150),
  )
  await decodeIndexPicture(bytes, 'warm')
  const before = performance.eventLoopUtilization()
  for (let i = 0; i < 20; i++) await decodeIndexPicture(bytes, 'x')
  const { active } = performance.eventLoopUtilization(before)
  t.comment(`${(active / 20).toFixed(2)} ms of the event loop a picture`)
  t.ok(active / 20 < 5, 'a fraction of what decoding takes')
})
