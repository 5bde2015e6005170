/** Properties of features: batches, padding of texts, similarity. */
import fc from 'fast-check'
import t from 'tap'
import { loadModel, segment, Tensor, tokenize } from '../../ts/index.js'
import { difference, floats, normalised, picture } from '../support/calls.js'

const model = await loadModel()
t.teardown(() => model.dispose())
const seed = fc.integer({ min: 1, max: 1e6 })
const side = fc.integer({ min: 1, max: 9 }).map(patches => 8 * patches)
/** Float32 arithmetic in another order. */
const ROUNDING = 2e-5

t.test('a batch of two equals two singles', async t => {
  // Two need features from outside; ProxyCLIP takes its threshold over the batch, as published.
  const modes = model.info.denseModes.filter(mode => mode !== 'proxyclip' && mode !== 'corrclip')
  // nothing was published for towers of so few blocks
  const scclip = { middleBlock: 4, earlyBlock: 2, fusedBlocks: [2, 5], classWeight: 0.3 } as const
  await fc.assert(
    fc.asyncProperty(
      seed,
      side,
      side,
      fc.constantFrom(...modes),
      async (s, height, width, mode) => {
        const values = normalised(2, height, width, s)
        const shape = [1, 3, height, width]
        using both = Tensor.from(values, [2, 3, height, width])
        using first = Tensor.from(values.subarray(0, values.length / 2), shape)
        using second = Tensor.from(values.subarray(values.length / 2), shape)
        for (const encode of [
          (x: Tensor) => model.encodeImage(x),
          (x: Tensor) => model.encodeDense(x, { mode, scclip }),
        ]) {
          const [a, b, c] = await Promise.all(
            [both, first, second].map(async x => floats(await encode(x))),
          )
          const singles = Float32Array.from([...(b as Float32Array), ...(c as Float32Array)])
          const off = difference(a as Float32Array, singles)
          if (!(off <= ROUNDING)) throw new Error(`${mode}: off by ${off}`)
        }
      },
    ),
    { numRuns: 24 },
  )
  t.pass('holds')
})

t.test('a text means the same in any padding and in any batch', async t => {
  const word = fc.constantFrom('cat', 'a red car', 'sky', 'DOG!', 'naïve', '3 boats')
  await fc.assert(
    fc.asyncProperty(fc.array(word, { minLength: 1, maxLength: 4 }), async texts => {
      const all = await floats(await model.encodeText(texts))
      for (const contextLength of [12, 40, 77]) {
        using tokens = tokenize(texts, { contextLength })
        const off = difference(await floats(await model.encodeText(tokens)), all)
        if (!(off <= ROUNDING)) throw new Error(`context ${contextLength}: off by ${off}`)
      }
      const single = await floats(await model.encodeText(texts[0] as string))
      const off = difference(single, all.subarray(0, single.length))
      if (!(off <= ROUNDING)) throw new Error(`alone: off by ${off}`)
    }),
    { numRuns: 20 },
  )
  t.pass('holds')
})

t.test('a similarity plane is the logits of a class of that one word', async t => {
  await fc.assert(
    fc.asyncProperty(seed, side, side, fc.integer({ min: 0, max: 2 }), async (s, h, w, i) => {
      const text = ['dog', 'sky', 'texture'][i] as string
      const image = picture(w + 9, h + 5, s)
      const windows = [
        { window: 0 },
        { window: 40, stride: 20 },
        { window: 40, stride: 20, augment: true },
      ][i]
      using view = await model.encode(image, windows)
      using plane = await view.similarity(text)
      using seg = await segment(image, [text], {
        model,
        ...windows,
        templates: 'none',
        logits: true,
      })
      const off = difference(await floats(plane), await floats(seg.logits as Tensor))
      if (!(off <= 1e-6)) throw new Error(`off by ${off}`)
    }),
    { numRuns: 20 },
  )
  t.pass('holds')
})
