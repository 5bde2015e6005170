import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import sharp from 'sharp'
import t from 'tap'
import { loadAddon } from '../../../ts/engine/load-addon.js'
import { copyOut } from '../../../ts/image/decode.js'
import { openImage } from '../../../ts/image/source.js'
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
      const decoded = await image.decoded
      t.equal(decoded.pixels.pixels instanceof Uint8Array, !native || name !== 'raw', name)
      const first = await copyOut(decoded)
      const again = await image.again()
      t.same(again, first, name)
      t.notSame([...first.data], Array(first.data.length).fill(1))
      t.not(again.data.buffer, first.data.buffer, `${name}: own memory`)
      again.data.fill(0)
      t.same(await image.again(), first, `${name}: may be written to`)
    }
  })

t.test('a file that was changed is not taken for the picture', async t => {
  const file = join(t.testdir(), 'a.png')
  writeFileSync(file, png)
  for (const name of [file, pathToFileURL(file), pathToFileURL(file).href]) {
    const image = openImage(name)
    t.same(await image.again(), await copyOut(await image.decoded))
    writeFileSync(file, png)
    await t.rejects(image.again(), {
      code: 'ERR_DECLIP_IMAGE',
      message: /was changed after it was segmented.*overlay: \{ image \}/,
    })
  }
})

t.test('what cannot be decoded', async t => {
  for (const input of [new Uint8Array(), new Uint8Array(9), 5 as never, 'no-such.png']) {
    const image = openImage(input)
    await t.rejects(image.decoded, { name: 'DeclipError' })
  }
  const signal = AbortSignal.abort()
  await t.rejects(openImage(png, { signal }).decoded, { code: 'ERR_DECLIP_ABORTED' })
})
