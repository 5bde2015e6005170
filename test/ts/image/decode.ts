import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { crc32 } from 'node:zlib'
import sharp from 'sharp'
import t from 'tap'
import { loadAddon } from '../../../ts/engine/load-addon.js'
import { type DecodedImage, loadSharp, type RawImage } from '../../../ts/image/decode.js'
import { copyOut, loadImage, openImage } from '../../../ts/image/source.js'

const FOLDER = fileURLToPath(new URL('../../fixtures/images/', import.meta.url))
const SIZES = JSON.parse(readFileSync(`${FOLDER}manifest.json`, 'utf8')) as Record<
  string,
  { width: number; height: number }
>
const file = (name: string) => readFileSync(`${FOLDER}${name}`)
const rgb = file('rgb.png.rgb')

function largestDifference(image: DecodedImage, expected: Uint8Array): number {
  return image.data.reduce((most, v, i) => Math.max(most, Math.abs(v - (expected[i] ?? 0))), 0)
}

/**
 * Largest difference from OpenCV. OpenCV rounds 16-bit TIFF where it truncates 16-bit PNG, its
 * wheel and ours hold different AV1 decoders, and it ignores what CMYK inks look like.
 */
const TOLERANCE: Record<string, number> = { 'rgb-16.tif': 1, 'rgb.avif': 1, 'cmyk.jpg': 70 }

t.test('decodes as OpenCV does', async t => {
  t.equal(Object.keys(SIZES).length, 28)
  for (const [name, size] of Object.entries(SIZES)) {
    const image = await loadImage(`${FOLDER}${name}`)
    t.match(image, size, name)
    t.equal(image.data.length, size.width * size.height * 3, name)
    const difference = largestDifference(image, file(`${name}.rgb`))
    t.ok(difference <= (TOLERANCE[name] ?? 0), `${name} differs by ${difference}`)
  }
})

t.test('every way to hand over an encoded picture', async t => {
  const bytes = file('rgb.png')
  const inside = new Uint8Array(bytes.length + 9)
  inside.set(bytes, 4)
  const shared = new SharedArrayBuffer(bytes.length)
  new Uint8Array(shared).set(bytes)
  const path = `${FOLDER}rgb.png`
  const inputs = {
    path,
    'file URL': pathToFileURL(path),
    'file URL as text': pathToFileURL(path).href,
    Buffer: bytes,
    'view with an offset': inside.subarray(4, 4 + bytes.length),
    ArrayBuffer: new Uint8Array(bytes).buffer,
    SharedArrayBuffer: shared,
    'view of shared memory': new Uint8Array(shared),
    Blob: new Blob([bytes]),
    File: new File([bytes], 'rgb.png'),
    sharp: sharp(path),
    'sharp from raw pixels': sharp(rgb, { raw: { width: 37, height: 22, channels: 3 } }),
    canvas: { toBuffer: () => bytes },
    'asynchronous canvas': { toBuffer: async () => bytes },
  }
  for (const [name, input] of Object.entries(inputs)) {
    const image = await loadImage(input)
    t.match(image, { width: 37, height: 22 }, name)
    t.ok(rgb.equals(image.data), name)
  }
})

t.test('a sharp pipeline gives its pixels, upright and without an encoder in between', async t => {
  const pipeline = sharp(`${FOLDER}exif-6.jpg`)
  t.ok(file('exif-6.jpg.rgb').equals((await loadImage(pipeline)).data))
  t.match(await loadImage(pipeline.resize(10, 5)), { width: 10, height: 5 })
  await t.rejects(loadImage(sharp(`${FOLDER}none.jpg`)), {
    code: 'ERR_DECLIP_IMAGE',
    message: /the picture of an instance of Sharp/,
  })
})

t.test('raw pixels are copied, grey repeated and alpha dropped', async t => {
  const grey = Uint8Array.of(1, 2)
  t.same((await loadImage({ data: grey, width: 2, height: 1 })).data, [1, 1, 1, 2, 2, 2])
  const rgba = Uint8ClampedArray.of(1, 2, 3, 0, 5, 6, 7, 255)
  const imageData = { data: rgba, width: 1, height: 2, colorSpace: 'srgb' }
  t.same((await loadImage(imageData)).data, [1, 2, 3, 5, 6, 7])
  const data = Uint8Array.of(9, 9, 9, 9).subarray(1)
  const loading = loadImage({ data, width: 1, height: 1, channels: 3 })
  data.fill(0)
  t.same(await loading, { data: Uint8Array.of(9, 9, 9), width: 1, height: 1 })
})

t.test('raw pixels for the native part are copied there at once, with their channels', async t => {
  const addon = loadAddon()
  const shared = new Uint8ClampedArray(new SharedArrayBuffer(2))
  shared.set([1, 2])
  const inputs: [RawImage, number[]][] = [
    [{ data: Uint8Array.of(7, 1, 2, 3, 4).subarray(1), width: 1, height: 1 }, [1, 2, 3]],
    [{ data: shared, width: 2, height: 1 }, [1, 1, 1, 2, 2, 2]],
    [{ data: Uint8ClampedArray.of(1, 2, 3), width: 1, height: 1 }, [1, 2, 3]],
  ]
  for (const [input, rgb] of inputs) {
    const held = openImage(input)
    input.data.fill(0)
    const image = await held.decode()
    t.match(image, { width: input.width, height: input.height })
    t.same([...(await copyOut(image)).data], rgb)
    const { height, width, pixels } = image
    const resized = await addon.resize({ ...pixels, shortSide: 1 })
    t.same(resized.shape, [height, width, 3])
    t.same([...new Uint8Array(await resized.data())], rgb)
    held.dispose()
    await t.rejects(copyOut(image), { code: 'ERR_DECLIP_DISPOSED' })
  }
  const signal = AbortSignal.abort()
  t.throws(() => openImage({ data: new Uint8Array(3), width: 1, height: 1 }, { signal }), {
    code: 'ERR_DECLIP_ABORTED',
  })
})

t.test('raw pixels that do not fit are refused', async t => {
  const detached = new Uint8Array(3)
  structuredClone(detached, { transfer: [detached.buffer] })
  const data = new Uint8Array(12)
  const cases: [unknown, RegExp][] = [
    [{ data, width: 2, height: 2, channels: 4 }, /2 x 2 x 4 bytes .* received 12/],
    [{ data, width: 3, height: 2 }, /1, 3 or 4 channels/],
    [{ data, width: 2, height: 3, channels: 2 }, /1, 3 or 4 channels/],
    [{ data, width: 0, height: 3 }, /image.width must be a positive whole number.* received 0/],
    [{ data, width: 2, height: Number.NaN }, /image.height .* received NaN/],
    [{ data: detached, width: 1, height: 1, channels: 3 }, /transferred to another thread/],
    [{ data: new Float32Array(12), width: 2, height: 2 }, /for floats pass a Tensor.*Float32Array/],
    [{ data: [1, 2, 3], width: 1, height: 1 }, /received an array of 3/],
  ]
  for (const [input, message] of cases) {
    await t.rejects(loadImage(input as never), { code: 'ERR_DECLIP_INVALID_ARG', message })
  }
})

t.test('what is no picture is refused', async t => {
  for (const input of [7, null, undefined, {}, [], new Float32Array(3), () => 1]) {
    await t.rejects(loadImage(input as never), {
      code: 'ERR_DECLIP_INVALID_ARG',
      message: /^image must be a path, a file URL, .* received/,
    })
  }
  await t.rejects(loadImage({ toBuffer: () => 'text' } as never), {
    code: 'ERR_DECLIP_INVALID_ARG',
  })
})

t.test('nothing is downloaded', async t => {
  const text = 'HTTPS://example.com/cat.jpg'
  for (const input of [text, new URL(text), 'data:image/png;base64,AAAA']) {
    await t.rejects(loadImage(input), {
      code: 'ERR_DECLIP_INVALID_ARG',
      message: /nothing is downloaded here. Fetch it first/,
    })
  }
  await t.rejects(loadImage('file://host:port/x'), { code: 'ERR_DECLIP_INVALID_ARG' })
})

t.test('files that cannot be read', async t => {
  await t.rejects(loadImage(`${FOLDER}none.png`), {
    code: 'ERR_DECLIP_IO',
    message: /Cannot read .*none\.png: there is no such file/,
  })
  await t.rejects(loadImage(FOLDER), { code: 'ERR_DECLIP_IO', message: /it is a folder/ })
})

t.test('damaged pictures are errors that name the file', async t => {
  const names = ['exif-1.jpg', 'progressive-420.jpg', 'rgb.png', 'palette.gif', 'rgb.tif']
  for (const name of [...names, 'lossless.webp', 'rgb.avif']) {
    const whole = file(name)
    const folder = t.testdir({})
    const path = `${folder}/${name}`
    for (const share of [0.3, 0.6, 0.9]) {
      writeFileSync(path, whole.subarray(0, Math.floor(whole.length * share)))
      await t.rejects(loadImage(path), { code: 'ERR_DECLIP_IMAGE' }, `${share} of ${name}`)
      const error = await loadImage(path).catch((e: Error) => e.message)
      t.ok(String(error).startsWith(`Cannot decode ${path}: `), String(error))
      t.notMatch(error, /\n|bad seek/)
    }
  }
  const cut = loadImage(new File([file('exif-1.jpg').subarray(0, 800)], 'cut.jpg'))
  await t.rejects(cut, { message: /^Cannot decode cut\.jpg: .*premature end of JPEG image\.$/ })
  await t.rejects(loadImage(Buffer.from('no picture at all')), {
    message:
      /^Cannot decode the encoded picture: it is text \('no picture at all'\); .* are read\.$/,
  })
})

t.test('empty and detached buffers', async t => {
  const detached = new ArrayBuffer(8)
  structuredClone(detached, { transfer: [detached] })
  for (const input of [Buffer.alloc(0), detached, new Blob([])]) {
    await t.rejects(loadImage(input), { code: 'ERR_DECLIP_IMAGE', message: /it is empty/ })
  }
})

t.test('a drawing', async t => {
  const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"/>'
  await t.rejects(loadImage(Buffer.from(svg)), {
    code: 'ERR_DECLIP_IMAGE',
    message: /an SVG drawing, which has no pixels; render it to a PNG first/,
  })
})

/** A PNG that says it is as large. */
function pngOf(width: number, height: number): Buffer {
  const png = file('rgb.png')
  png.writeUInt32BE(width, 16) // in the header chunk
  png.writeUInt32BE(height, 20)
  png.writeUInt32BE(crc32(png.subarray(12, 29)), 29)
  return png
}

t.test('a picture of too many pixels is refused by its header', async t => {
  for (const side of [8_000, 16_000, 30_000]) {
    await t.rejects(openImage(pngOf(side, side)).decode(), {
      code: 'ERR_DECLIP_IMAGE',
      message:
        /it has (\d+) x \1 = [\d,]+ pixels, and the limit is 62,000,000; .* maxPixels, .* configure\(\)/,
    })
  }
  // What a full-frame camera of 61 megapixels makes is not: this one only has no such pixels in it.
  await t.rejects(loadImage(pngOf(9504, 6336)), { message: /^((?!the limit).)*$/ })
})

t.test('an aborted call rejects with the reason', async t => {
  const cause = new Error('enough')
  const before = AbortSignal.abort(cause)
  for (const input of ['x.png', file('rgb.png'), { data: rgb, width: 37, height: 22 }]) {
    await t.rejects(loadImage(input, { signal: before }), { code: 'ERR_DECLIP_ABORTED', cause })
  }
  for (const input of [`${FOLDER}rgb.png`, { toBuffer: () => new Promise<never>(() => {}) }]) {
    const controller = new AbortController()
    const loading = loadImage(input, { signal: controller.signal })
    controller.abort(cause)
    await t.rejects(loading, { code: 'ERR_DECLIP_ABORTED', name: 'AbortError', cause })
  }
  const { signal } = new AbortController()
  t.match(await loadImage(file('rgb.png'), { signal }), { width: 37 })
})

t.test('without sharp the error says what to do', async t => {
  const load = () => Promise.reject(new Error('Could not load the "sharp" module\nlong text'))
  await t.rejects(loadSharp(load), {
    code: 'ERR_DECLIP_IMAGE',
    message:
      /\(Could not load the "sharp" module\).*npm install.*\{ data, width, height, channels \}/,
  })
})
