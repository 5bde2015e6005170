import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import sharp from 'sharp'
import t from 'tap'
import { foreignFormat, PICTURE_ENDING, pictureFormat } from '../../../ts/image/format.js'
import { loadImage } from '../../../ts/image/source.js'

const FOLDER = fileURLToPath(new URL('../../fixtures/images/', import.meta.url))

const bytes = (text: string) => Buffer.from(text.padEnd(600, '\0'), 'latin1')

t.test('what is decoded, by its first bytes', async t => {
  const names = JSON.parse(readFileSync(`${FOLDER}manifest.json`, 'utf8')) as Record<string, object>
  const formats = { jpg: 'jpeg', png: 'png', webp: 'webp', avif: 'avif', tif: 'tiff', gif: 'gif' }
  for (const name of Object.keys(names)) {
    const ending = name.split('.').pop() as keyof typeof formats
    t.equal(pictureFormat(readFileSync(FOLDER + name)), formats[ending], name)
    t.match(name, PICTURE_ENDING)
  }
  t.equal(pictureFormat(bytes('\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf')), 'avif')
  t.equal(pictureFormat(bytes('\0\0\0\x18ftypmif1\0\0\0\0mif1heic')), undefined)
  t.equal(pictureFormat(new Uint8Array()), undefined)
})

t.test('what is not, by name and with a way out', async t => {
  const bmp = `BM${'\x36\x51\0\0'}${'\0\0\0\0'}\x36\0\0\0\x28\0\0\0`
  const tga = `\0\0\x02${'\0'.repeat(9)}\x60\0\x48\0\x18\0`
  const cases: [file: string, name: RegExp][] = [
    [bmp, /^it is a BMP picture; convert it to PNG or JPEG first$/],
    ['\0\0\0\x18ftypheic\0\0\0\0mif1heic', /an HEIC picture/],
    ['\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41', /a film \(MP4/],
    ['\0\0\0\x14ftypqt  \0\0\0\0qt  ', /a film/],
    ['\0\0\0\x18ftypcrx \0\0\0\0crx isom', /a camera raw file; develop/],
    ['P6\n96 72\n255\n', /PBM, PGM or PPM/],
    ['P7\nWIDTH 4', /PAM/],
    ['Pf\n4 4\n-1.0\n', /PFM/],
    ['\0\0\0\x0cjP  \r\n\x87\n', /JPEG 2000/],
    ['\xff\x4f\xff\x51\0\x2f', /JPEG 2000/],
    ['\0\0\0\x0cJXL \r\n\x87\n', /JPEG XL/],
    ['\xff\x0a\xd1', /JPEG XL/],
    ['II\xbc\x01', /JPEG XR/],
    ['\0\0\x01\0\x05\0\x10\x0c', /ICO/],
    ['\0\0\x02\0\x01\0\x10\x10', /CUR/],
    [tga, /a TGA picture/],
    [`${'x'.repeat(700)}TRUEVISION-XFILE.\0`, /a TGA picture/],
    ['%PDF-1.7\n', /a PDF document; render/],
    ['<!DOCTYPE html><html>', /a web page; check/],
    ['\n\n  <html lang="en"><svg></svg>', /a web page/],
    ['<?xml version="1.0"?><svg xmlns="x">', /an SVG drawing, which has no pixels; render/],
    ['<svg width="4">', /an SVG drawing/],
    ['<?xml version="1.0"?><note>', /an XML document/],
    ['version https://git-lfs.github.com/spec/v1\n', /Git LFS pointer.*git lfs pull/],
    ['\0\x05\x16\x07\0\x02\0\0Mac OS X', /macOS keeps.*without "\._"/],
    ['\x1f\x8b\x08\0', /gzip archive; unpack/],
    ['PK\x03\x04', /zip archive; unpack/],
    ['8BPS\0\x01', /Photoshop/],
    ['v/1\x01\x02', /OpenEXR/],
    ['#?RADIANCE\n', /Radiance HDR/],
    ['\x93NUMPY\x01\0', /NumPy array; pass its values/],
    ['RIFF\0\0\0\0AVI LIST', /an AVI film/],
    ['{"error":"not found"}', /JSON text/],
    ['/9j/4AAQSkZJRg', /text in base64; decode it/],
    ['', /zeros only; copy the file again/],
    ['\x07\x08\x09', /no format that is known here \(its first bytes: 07080900/],
  ]
  for (const [file, name] of cases) {
    t.equal(pictureFormat(bytes(file)), undefined, file.slice(0, 20))
    t.match(foreignFormat(bytes(file)), name)
  }
  t.match(foreignFormat(Buffer.from('Entry not found')), /it is text \('Entry not found'\)/)
})

t.test('a refusal says what is read, and no drawing is rendered', async t => {
  const code = 'ERR_DECLIP_IMAGE'
  const said = 'JPEG, PNG, WebP, AVIF, TIFF and GIF are read.'
  await t.rejects(loadImage(new File(['<svg width="4" height="4"/>'], 'a.png')), {
    code,
    message: `Cannot decode a.png: it is an SVG drawing, which has no pixels; render it to a PNG first. ${said}`,
  })
  const picture = await sharp(Buffer.from('<svg width="4" height="4"/>')).png().toBuffer()
  t.match(await loadImage(picture), { width: 4 })
})

t.test('any bytes are a picture or a coded error', async t => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 80 }), async random => {
      if (pictureFormat(random)) return
      t.match(foreignFormat(random), /^it (is|holds) /)
    }),
    { numRuns: 300 },
  )
})
