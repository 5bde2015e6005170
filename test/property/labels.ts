/** Properties of label maps. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import fc from 'fast-check'
import sharp from 'sharp'
import t from 'tap'
import {
  loadModel,
  type RawImage,
  type SegmentOptions,
  segment,
  type Tensor,
} from '../../ts/index.js'
import { agreement, floats, labelsOf, picture } from '../support/calls.js'

const WORDS = ['texture', 'sky', 'dog', 'house', 'tree', 'boat', 'guitar', 'cup']
const model = await loadModel()
t.teardown(() => model.dispose())

const seed = fc.integer({ min: 1, max: 1e6 })
const side = fc.integer({ min: 8, max: 130 })
const image = fc.tuple(side, side, seed).map(([w, h, s]) => picture(w, h, s))
const words = fc.uniqueArray(fc.constantFrom(...WORDS), { minLength: 1, maxLength: 6 })
const options = fc.record<SegmentOptions>({
  window: fc.constantFrom(0, 32, 48),
  stride: fc.constantFrom(16, 29),
  augment: fc.boolean(),
  pamr: fc.constantFrom(false as const, { iterations: 2, dilations: [1, 3] }),
  closing: fc.boolean(),
})

const run = (picture: RawImage, classes: readonly string[], settings: SegmentOptions) =>
  segment(picture, classes, { model, ...settings })

/** Cosines that rounding cannot tell apart, so that either class may win. */
const TIE = 1e-5

/** Tells the first pixel where other labels differ from one call's although it is no tie; -1 for none. */
async function reference(picture: RawImage, classes: readonly string[], settings: SegmentOptions) {
  const seg = await run(picture, classes, { ...settings, logits: true })
  const logits = await floats(seg.logits as Tensor)
  const labels = await labelsOf(seg)
  const logit = (label: number, i: number) => logits[label * labels.length + i] as number
  const differs = (others: readonly number[]) =>
    labels.findIndex((label, i) => {
      const other = others[i] as number
      return other !== label && !(Math.abs(logit(label, i) - logit(other, i)) < TIE)
    })
  return { differs }
}

function check(holds: boolean, problem: string): void {
  if (!holds) throw new Error(problem)
}

t.test('labels cover pictures of any size, areas sum to 1', async t => {
  await fc.assert(
    fc.asyncProperty(image, words, options, async (picture, classes, settings) => {
      using seg = await run(picture, classes, settings)
      check(seg.width === picture.width && seg.height === picture.height, 'another size')
      const labels = (await seg.labels.data()) as Uint8Array
      check(labels.length === picture.width * picture.height, 'not every pixel')
      check(
        labels.every(label => label < classes.length),
        'a label that is no class',
      )
      const sum = seg.areas.reduce((a, b) => a + b, 0)
      check(Math.abs(sum - 1) < 1e-9, `areas sum to ${sum}`)
    }),
    { numRuns: 30 },
  )
  t.pass('holds')
})

t.test('extreme shapes', async t => {
  for (const [width, height] of [
    [1200, 8],
    [8, 1200],
    [9, 8],
    [8, 8],
    [331, 17],
  ] as const) {
    for (const settings of [{ window: 0 }, { window: 32, stride: 31 }, { shortSide: 16 }]) {
      using seg = await run(picture(width, height), ['sky', 'dog'], settings)
      t.same(seg.labels.shape, [height, width], `${width} x ${height}, ${JSON.stringify(settings)}`)
    }
  }
})

t.test('the factor on the logits does not move the best class', async t => {
  const scale = fc.constantFrom(0.5, 1, 10, 40, 100)
  await fc.assert(
    fc.asyncProperty(image, words, options, scale, async (picture, classes, settings, factor) => {
      const bare = { ...settings, closing: false }
      const { differs } = await reference(picture, classes, { ...bare, logitScale: 20 })
      const labels = await labelsOf(await run(picture, classes, { ...bare, logitScale: factor }))
      check(differs(labels) < 0, `pixel ${differs(labels)} differs and is no tie`)
    }),
    { numRuns: 20 },
  )
  t.pass('holds')
})

t.test('a view gives what segment gives', async t => {
  await fc.assert(
    fc.asyncProperty(image, words, options, async (picture, classes, settings) => {
      const whole = await labelsOf(await run(picture, classes, settings))
      using view = await model.encode(picture, settings)
      const { pamr, closing } = settings
      const again = await labelsOf(await view.segment(classes, { pamr, closing }))
      check(agreement(whole, again) === 1, 'other labels')
    }),
    { numRuns: 20 },
  )
  t.pass('holds')
})

t.test('classes in another order', async t => {
  const order = fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5, maxLength: 5 })
  await fc.assert(
    fc.asyncProperty(image, options, order, async (picture, settings, order) => {
      // Closing prefers higher labels, so it is left out.
      const bare = { ...settings, closing: false, background: false }
      const classes = WORDS.slice(0, 5)
      const shuffled = order.map(i => classes[i] as string)
      const { differs } = await reference(picture, classes, bare)
      const labels = await labelsOf(await run(picture, shuffled, bare))
      const pixel = differs(labels.map(label => order[label] as number))
      check(pixel < 0, `pixel ${pixel} differs and is no tie`)
    }),
    { numRuns: 20 },
  )
  t.pass('holds')
})

t.test('of two equal classes the first wins', async t => {
  await fc.assert(
    fc.asyncProperty(image, words, options, async (picture, classes, settings) => {
      const bare = { ...settings, closing: false, logits: true }
      const seg = await run(picture, [...classes, ...classes], bare)
      const logits = await floats(seg.logits as Tensor)
      const labels = await labelsOf(seg)
      for (const [i, label] of labels.entries()) {
        if (label < classes.length) continue
        // Equal rows of a matrix product may round differently; only then is the copy ahead.
        const copy = logits[label * labels.length + i] as number
        const first = logits[(label - classes.length) * labels.length + i] as number
        check(copy > first && copy - first < 1e-6, `pixel ${i}: ${copy} won over ${first}`)
      }
    }),
    { numRuns: 15 },
  )
  t.pass('holds')
})

t.test('the same picture in any form', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'declip-property-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const path = join(folder, 'picture.png')
  await fc.assert(
    fc.asyncProperty(image, words, async (picture, classes) => {
      const { data, width, height } = picture
      const raw = { width, height, channels: 3 as const }
      const png = await sharp(data, { raw }).png().toBuffer()
      await writeFile(path, png)
      const rgba = new Uint8Array(width * height * 4)
      for (let i = 0; i < width * height; i++) {
        rgba.set([...data.subarray(3 * i, 3 * i + 3), i % 256], 4 * i)
      }
      const expected = await labelsOf(await run(picture, classes, {}))
      const forms = {
        channels: { ...picture, channels: 3 as const },
        alpha: { data: rgba, width, height },
        clamped: { data: new Uint8ClampedArray(rgba), width, height },
        buffer: png,
        arrayBuffer: png.buffer.slice(png.byteOffset, png.byteOffset + png.length),
        blob: new Blob([png]),
        sharp: sharp(png),
        path,
        url: pathToFileURL(path),
      }
      for (const [name, form] of Object.entries(forms)) {
        const labels = await labelsOf(await segment(form as Buffer, classes, { model }))
        check(agreement(labels, expected) === 1, `other labels from ${name}`)
      }
    }),
    { numRuns: 8 },
  )
  t.pass('holds')
})
