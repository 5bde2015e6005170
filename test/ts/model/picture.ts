import sharp from 'sharp'
import t from 'tap'
import { openImage } from '../../../ts/image/source.js'
import { loadModel, segment } from '../../../ts/index.js'
import { MANY_WINDOWS_WARNING } from '../../../ts/model/picture.js'
import { labelsOf, picture } from '../../support/calls.js'

const model = await loadModel('words-tiny')
t.teardown(() => model.dispose())
const words = ['background', 'texture', 'sky']

/** A photograph of 12 megapixels. */
const jpeg = await (async () => {
  const { data, width, height } = picture(400, 300)
  return sharp(data, { raw: { width, height, channels: 3 } })
    .resize(4000, 3000, { kernel: 'cubic' })
    .jpeg()
    .toBuffer()
})()

t.test('a photograph is shrunk, its labels have its own size', async t => {
  using view = await model.encode(jpeg)
  t.equal(view.windows, 70)
  using seg = await segment(jpeg, words, { model })
  t.same([seg.width, seg.height, seg.labels.shape], [4000, 3000, [3000, 4000]])
})

t.test('decoded pixels are given back before the labels are made', async t => {
  for (const input of [jpeg, new Blob([new Uint8Array(jpeg)])]) {
    const image = openImage(input)
    const { pixels } = (await image.decode()).pixels
    if (!(pixels instanceof Uint8Array)) return t.fail('the decoder gives bytes')
    t.equal(pixels.length, 3 * 4000 * 3000)
    image.close()
    t.equal(pixels.buffer.byteLength, 0, 'the memory is gone')
    t.equal((await image.again()).data.length, 3 * 4000 * 3000, 'and can be had again')
  }
})

t.test('pixels that are needed again are kept', async t => {
  const raw = picture(700, 600)
  const image = openImage(raw)
  await image.decode()
  image.close()
  t.same((await image.again()).data, raw.data)
  const seg = await segment(raw, words, { model })
  t.ok((await seg.toPNG({ overlay: true })).length > 0)
})

t.test('one channel and four give the labels of three', async t => {
  const grey = picture(1000, 620)
  for (let i = 0; i < grey.data.length; i += 3) grey.data.fill(grey.data[i] as number, i, i + 3)
  const expected = await labelsOf(await segment(grey, words, { model }))
  const pixels = grey.data.length / 3
  for (const channels of [1, 4] as const) {
    const data = new Uint8Array(channels * pixels)
    for (let i = 0; i < data.length; i++)
      data[i] = grey.data[3 * Math.floor(i / channels)] as number
    const labels = await labelsOf(await segment({ ...grey, data, channels }, words, { model }))
    t.same(labels, expected, `${channels} channels`)
  }
})

t.test('very many windows are worth one warning', async t => {
  const warned: (Error & { code?: string })[] = []
  const listen = (warning: Error) => warned.push(warning)
  process.on('warning', listen)
  t.teardown(() => process.off('warning', listen))
  const tiny = { model, window: 16, stride: 8, mode: 'vanilla' } as const
  for (const [width, height] of [
    [176, 120],
    [180, 140],
  ] as const) {
    const seg = await segment(picture(width, height), words, tiny)
    seg.dispose()
  }
  await new Promise(setImmediate)
  const many = warned.filter(({ code }) => code === MANY_WINDOWS_WARNING)
  t.equal(many.length, 1)
  t.match(many[0], {
    name: 'DeclipWarning',
    message: /176 x 120 pixels with shortSide 288 has 294 windows of 16 .*smaller shortSide/,
  })
})
