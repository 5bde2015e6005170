import t from 'tap'
import { loadModel, type Model, Tensor } from '../../../ts/index.js'
import { fixture, floats, picture } from '../../support/calls.js'
import { pixelsOf } from '../../support/rle.js'
import { samModel } from '../../support/sam-model.js'

const invalid = { name: 'DeclipError', code: 'ERR_DECLIP_INVALID_ARG' }
const { path, config, side } = samModel
const image = picture(130, 100)
const model = await loadModel(path, { config })
t.teardown(() => model.dispose())

t.test('encoded once, asked many times', async t => {
  using view = await model.encodeForMasks(image)
  t.match(view, { width: 130, height: 100 })
  t.ok(view.byteLength > 0)
  using click = await view.masksAt({ points: [[60, 50]] })
  using whole = await model.masksAt(image, { points: [[60, 50]] })
  t.strictSame(JSON.parse(JSON.stringify(click)), JSON.parse(JSON.stringify(whole)))
  t.match(click, { width: 130, height: 100, prompts: 1, masksPerPrompt: 1 })
  t.same(click.lowRes.shape, [1, 1, side, side])
  t.same(click.masks[0]?.size, [100, 130])
  const pixels = pixelsOf(click.masks[0] as never)
  t.equal(click.areas[0], pixels.filter(Boolean).length)
})

t.test('the default: the best mask of one click, the single one of anything else', async t => {
  using view = await model.encodeForMasks(image)
  const points = [[60, 50]] as const
  using best = await view.masksAt({ points })
  using all = await view.masksAt({ points, multimask: true })
  using single = await view.masksAt({ points, multimask: false })
  t.equal(all.masksPerPrompt, (model.info.maskDecoder?.masks as number) - 1)
  t.equal(single.masksPerPrompt, 1)
  const at = all.scores.indexOf(Math.max(...all.scores))
  t.equal(best.scores[0], all.scores[at])
  t.same(best.masks[0], all.masks[at])

  for (const prompts of [
    {
      points: [
        [60, 50],
        [20, 20],
      ] as const,
      labels: [1, 0] as const,
    },
    { boxes: [[10, 10, 90, 80]] as const },
    { points, boxes: [[10, 10, 90, 80]] as const },
    { points, maskInput: best.lowRes },
  ]) {
    using given = await view.masksAt(prompts)
    using one = await view.masksAt({ ...prompts, multimask: false })
    t.strictSame(JSON.stringify(given), JSON.stringify(one), Object.keys(prompts).join())
  }
})

t.test('prompts of a batch are those of calls of their own', async t => {
  using view = await model.encodeForMasks(image)
  const clicks = [[[60, 50]], [[20, 80]], [[100, 10]]] as const
  using batch = await view.masksAt({ points: clicks, multimask: true })
  t.equal(batch.prompts, 3)
  t.equal(batch.masks.length, 3 * batch.masksPerPrompt)
  for (const [i, points] of clicks.entries()) {
    using alone = await view.masksAt({ points, multimask: true })
    const want = await floats(alone.lowRes)
    const got = (await floats(batch.lowRes)).subarray(i * want.length, (i + 1) * want.length)
    const off = want.reduce(
      (worst, value, k) => Math.max(worst, Math.abs(value - (got[k] as number))),
      0,
    )
    t.ok(off < 1e-3, `prompt ${i}: off by ${off}`)
  }
  // a shorter prompt is filled up with no points
  using padded = await view.masksAt({
    points: [
      [[60, 50]],
      [
        [20, 80],
        [30, 70],
      ],
    ],
    multimask: false,
  })
  using told = await view.masksAt({
    points: [
      [
        [60, 50],
        [0, 0],
      ],
      [
        [20, 80],
        [30, 70],
      ],
    ],
    labels: [
      [1, -1],
      [1, 1],
    ],
    multimask: false,
  })
  t.strictSame(padded.masks, told.masks)
})

t.test('no prompt at all is one', async t => {
  using found = await model.masksAt(image)
  t.match(found, { prompts: 1, masksPerPrompt: 1 })
})

t.test('a mask as a picture', async t => {
  const { default: sharp } = await import('sharp')
  using found = await model.masksAt(image, { points: [[60, 50]] })
  const { data, info } = await sharp(Buffer.from(await found.toPNG()))
    .greyscale()
    .raw()
    .toBuffer({ resolveWithObject: true })
  t.match(info, { width: 130, height: 100 })
  t.same(
    [...data].map(value => Number(value > 127)),
    pixelsOf(found.masks[0] as never),
  )
  await t.rejects(found.toPNG(7), { ...invalid, message: /index must be .*0 to 0/ })
})

t.test('what is wrong with prompts', async t => {
  using view = await model.encodeForMasks(image)
  const zeros = (shape: number[]) =>
    Tensor.from(new Float32Array(shape.reduce((a, b) => a * b)), shape)
  const cases: [object, RegExp][] = [
    [{ points: [] }, /^points must be a list of \[x, y\]/],
    [{ points: [[1, 2, 3]] }, /^points\[0\]/],
    [{ points: [[1, Number.NaN]] }, /^points\[0\]/],
    [{ points: [[[1, 2]], []] }, /^points\[1\]/],
    [{ points: [[131, 5]] }, /^points\[0\] must be inside the picture of 130 x 100/],
    [{ points: [[[1, 2]], [[5, -1]]] }, /^points\[1\]\[0\] must be inside/],
    [
      { points: [[1, 2]], labels: [1, 0] },
      /^labels must have one label for every point, 1, received 2/,
    ],
    [{ points: [[1, 2]], labels: [2] }, /^labels must be 1 \(inside\), 0/],
    [{ points: [[1, 2]], labels: 'in' }, /^labels must be a list/],
    [{ points: [[[1, 2]], [[3, 4]]], labels: [[1]] }, /^labels must be of as many prompts/],
    [{ labels: [1] }, /^labels must come with points/],
    [{ boxes: [] }, /^boxes must be a list/],
    [{ boxes: [[1, 2, 3]] }, /^boxes\[0\]/],
    [{ boxes: [[9, 2, 3, 8]] }, /^boxes\[0\] .*x1 < x2/],
    [{ boxes: [[200, 2, 300, 8]] }, /^boxes\[0\] .*part of the picture/],
    [{ boxes: [[1, 2, 3, Number.POSITIVE_INFINITY]] }, /^boxes\[0\]/],
    [
      {
        points: [[1, 2]],
        boxes: [
          [1, 2, 3, 4],
          [1, 2, 3, 4],
        ],
      },
      /as many prompts, received 1, 2, none/,
    ],
    [{ maskInput: new Float32Array(16) }, /^maskInput must be a float32 Tensor/],
    [
      { maskInput: zeros([1, 1, side, side - 1]) },
      /^maskInput must be a float32 Tensor \[prompts, 1/,
    ],
    [{ maskInput: zeros([1, 2, side, side]) }, /^maskInput/],
    [
      { maskInput: Tensor.from(new Float32Array(side * side).fill(Number.NaN), [side, side]) },
      /^maskInput must be finite/,
    ],
    [{ multimask: 1 }, /^multimask must be true or false/],
  ]
  for (const [options, message] of cases) {
    await t.rejects(view.masksAt(options), { ...invalid, message }, String(message))
  }
  await t.rejects(model.masksAt(Tensor.from(new Float32Array(12), [1, 3, 2, 2]) as never), {
    ...invalid,
    message: /^image/,
  })
})

t.test('a picture so long that a side would vanish', async t => {
  await t.rejects(model.masksAt(picture(3000, 2), { points: [[1, 1]] }), {
    ...invalid,
    message: /would have no height or no width/,
  })
})

t.test('models that have no mask decoder', async t => {
  const refused = { name: 'DeclipError', code: 'ERR_DECLIP_WEIGHTS' }
  using encoder = await loadModel(fixture('vfm', 'sam.safetensors'))
  t.equal(encoder.info.maskDecoder, null)
  await t.rejects(encoder.masksAt(image, { points: [[1, 2]] }), {
    ...refused,
    message: /without a whole mask decoder.*sam_vit_b_01ec64\.pth/,
  })
  using clip: Model = await loadModel()
  t.equal(clip.info.maskDecoder, null)
  await t.rejects(clip.encodeForMasks(image), { ...refused, message: /is no SAM/ })
})

t.test('disposed, aborted, overlapping', async t => {
  const view = await model.encodeForMasks(image)
  const waiting = view.masksAt({ points: [[60, 50]] })
  view.dispose()
  view.dispose()
  ;(await waiting).dispose()
  await t.rejects(view.masksAt({ points: [[60, 50]] }), { code: 'ERR_DECLIP_DISPOSED' })
  await t.rejects(model.masksAt(image, { signal: AbortSignal.abort() }), {
    code: 'ERR_DECLIP_ABORTED',
  })
})

t.test('the number of heads must fit', async t => {
  await t.rejects(loadModel(path, { config: { decoderHeads: 5 } }), {
    ...invalid,
    message: /^config\.decoderHeads must be a divisor/,
  })
})
