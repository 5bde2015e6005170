import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import sharp from 'sharp'
import t from 'tap'
import { loadAddon } from '../../../ts/engine/load-addon.js'
import { copyOut, loadImage, openImage } from '../../../ts/image/source.js'
import { fixture, picture } from '../../support/calls.js'

const png = readFileSync(fixture('images', 'rgb.png'))

// Raw pixels are copied into native memory where the addon is loaded, as it is after the first call.
for (const native of [false, true])
  t.test(`the picture again, as it was, ${native ? 'natively' : 'in JavaScript'}`, async t => {
    if (native) loadAddon()
    const raw = picture(9, 7)
    const bytes = new Uint8Array(png)
    const shared = new Uint8Array(new SharedArrayBuffer(png.length))
    shared.set(png)
    const inputs = {
      raw,
      bytes,
      buffer: new Uint8Array(png).buffer,
      shared: shared.buffer,
      blob: new Blob([png]),
      sharp: sharp(Buffer.from(raw.data.slice()), { raw: { width: 9, height: 7, channels: 3 } }),
    }
    for (const [name, input] of Object.entries(inputs)) {
      const image = openImage(input)
      // Whoever reuses a buffer changes no picture that was handed over before.
      if (name === 'raw') raw.data.fill(1)
      if (name === 'bytes') bytes.fill(1)
      if (name === 'buffer') new Uint8Array(inputs.buffer).fill(1)
      if (name === 'shared') shared.fill(1)
      const decoded = await image.decode()
      t.equal(decoded.pixels.pixels instanceof Uint8Array, !native || name !== 'raw', name)
      image.close()
      const first = await copyOut(decoded)
      const again = await image.again()
      t.same(again, first, name)
      t.notSame([...first.data], Array(first.data.length).fill(1))
      t.not(again.data.buffer, first.data.buffer, `${name}: own memory`)
      again.data.fill(0)
      t.same(await image.again(), first, `${name}: may be written to`)
    }
  })

t.test('bytes and pixels that are handed over are not copied', async t => {
  const whole = new Uint8Array(png)
  const inside = new Uint8Array([...png, 0]).subarray(0, png.length)
  const { buffer } = new Uint8Array(png)
  const shared = new SharedArrayBuffer(png.length)
  new Uint8Array(shared).set(png)
  const raw = picture(9, 7)
  const pixels = raw.data.slice()
  for (const [input, taken] of [
    [whole, true],
    [buffer, true],
    [raw, true],
    [inside, false],
    [shared, false],
    [new Uint8Array(shared), false],
  ] as const) {
    const image = openImage(input, { transfer: true })
    const given = 'data' in input ? input.data : input
    t.equal(given.byteLength === 0, taken)
    const { data } = await copyOut(await image.decode())
    image.close()
    if (input === raw) t.same(data, pixels)
    t.same((await image.again()).data, data)
  }
  t.throws(() => openImage(png, { transfer: 1 as never }), { code: 'ERR_DECLIP_INVALID_ARG' })
  t.throws(() => openImage(png, { maxPixels: 0 }), {
    message: 'maxPixels must be a whole number, 1 to 536870912, received 0.',
  })
})

t.test('what is too large', async t => {
  const error = { code: 'ERR_DECLIP_IMAGE', message: /9 x 7 = 63 pixels, and the limit is 62;/ }
  t.throws(() => openImage(picture(9, 7), { maxPixels: 62 }), error)
  t.ok(openImage(picture(9, 7), { maxPixels: 63 }))
  const encoded = await sharp(picture(9, 7).data, { raw: { width: 9, height: 7, channels: 3 } })
    .png()
    .toBuffer()
  const file = join(t.testdir(), 'a.png')
  writeFileSync(file, encoded)
  for (const input of [encoded, file, new Blob([encoded]), sharp(encoded)]) {
    const image = openImage(input, { maxPixels: 62 })
    await t.rejects(
      image.decode().finally(() => image.close()),
      error,
    )
    await t.rejects(loadImage(input, { maxPixels: 62 }), error)
    t.match(await loadImage(input, { maxPixels: 63 }), { width: 9, height: 7 })
  }
})

t.test('a file that was changed is not taken for the picture', async t => {
  const file = join(t.testdir(), 'a.png')
  writeFileSync(file, png)
  for (const name of [file, pathToFileURL(file), pathToFileURL(file).href]) {
    const image = openImage(name)
    t.same(await image.again(), await copyOut(await image.decode()))
    image.close()
    writeFileSync(file, png)
    await t.rejects(image.again(), {
      code: 'ERR_DECLIP_IMAGE',
      message: /was changed after it was segmented.*overlay: \{ image \}/,
    })
  }
})

t.test('what cannot be decoded', async t => {
  for (const input of [new Uint8Array(), new Uint8Array(9), 5 as never, 'no-such.png']) {
    const opening = async () => {
      const image = openImage(input)
      await image.decode().finally(() => image.close())
    }
    await t.rejects(opening(), { name: 'DeclipError' })
  }
  const signal = AbortSignal.abort()
  t.throws(() => openImage(png, { signal }), { code: 'ERR_DECLIP_ABORTED' })
})
