/** ProxyCLIP end to end: what proxy.model gives is what its features give, made by hand. */
import { join } from 'node:path'
import t from 'tap'
import { packageRoot } from '../../../ts/base/package-files.js'
import {
  type DenseMode,
  loadModel,
  type Model,
  type ProxyOptions,
  type RawImage,
  releaseModels,
  segment,
  segmentMany,
  Tensor,
} from '../../../ts/index.js'
import { proxyModel, toNativeProxy } from '../../../ts/methods/proxy.js'
import { difference, fixture, floats, labelsOf, normalised, picture } from '../../support/calls.js'

const code = 'ERR_DECLIP_INVALID_ARG'
const CLASSES = ['sky', 'dog', 'tree, forest']
const DINO = fixture('vfm', 'dino.safetensors')
const [HEIGHT, WIDTH, SIDE, STRIDE] = [96, 144, 96, 48]
const CLIP = {
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
}
const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }

const model = await loadModel()
const dino = await loadModel(DINO, { config: { headWidth: 32 } })
const dinov2 = await loadModel(fixture('vfm', 'dinov2-reg-hf'))
const dinov3 = await loadModel(fixture('families', 'dinov3-hf'))
const sam = await loadModel(fixture('vfm', 'sam.safetensors'))
const pixels = normalised(1, HEIGHT, WIDTH)
const image = Tensor.from(pixels, [1, 3, HEIGHT, WIDTH])
t.teardown(async () => {
  for (const one of [model, dino, dinov2, dinov3, sam, image]) one.dispose()
  await releaseModels()
})

/** CLIP's pixels of the window that begins at column `left`, as ImageNet's; zeros around it up to `side`. */
function windowPixels(left: number, side: number): Float32Array {
  const out = new Float32Array(3 * side * side)
  const before = Math.floor((side - SIDE) / 2)
  for (let c = 0; c < 3; c++) {
    const [mean, std] = [CLIP.mean[c] as number, CLIP.std[c] as number]
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const [row, column] = [y - before, x - before]
        const inside = row >= 0 && row < SIDE && column >= 0 && column < SIDE
        const value = inside ? (pixels[(c * HEIGHT + row) * WIDTH + left + column] as number) : 0
        out[(c * side + y) * side + x] =
          (value * std + mean - (IMAGENET.mean[c] as number)) / (IMAGENET.std[c] as number)
      }
    }
  }
  return out
}

/** Bilinear with half-pixel centres, borders clamped, no antialiasing. */
function resized(planes: Float32Array, from: number, to: number): Float32Array {
  const out = new Float32Array(3 * to * to)
  const place = (i: number) => {
    const at = Math.max(0, ((i + 0.5) * from) / to - 0.5)
    const low = Math.min(Math.floor(at), from - 1)
    return { low, high: Math.min(low + 1, from - 1), share: at - low }
  }
  for (let c = 0; c < 3; c++) {
    const value = (y: number, x: number) => planes[(c * from + y) * from + x] as number
    for (let i = 0; i < to; i++) {
      for (let j = 0; j < to; j++) {
        const [y, x] = [place(i), place(j)]
        const top = value(y.low, x.low) * (1 - x.share) + value(y.low, x.high) * x.share
        const bottom = value(y.high, x.low) * (1 - x.share) + value(y.high, x.high) * x.share
        out[(c * to + i) * to + j] = top * (1 - y.share) + bottom * y.share
      }
    }
  }
  return out
}

/** Features of both windows, made one call at a time: [2, C, h, w]. */
async function byHand(vfm: Model, side: number): Promise<Tensor> {
  const maps: Float32Array[] = []
  let shape: number[] = []
  for (const left of [0, STRIDE]) {
    let input = windowPixels(left, side)
    let width = side
    if (vfm === sam) {
      width = sam.info.imageSize
      input = resized(input, side, width)
    }
    const map = await vfm.encodeDense(Tensor.from(input, [1, 3, width, width]))
    shape = [...map.shape]
    maps.push(await floats(map))
  }
  const all = Float32Array.from(maps.flatMap(map => [...map]))
  return Tensor.from(all, [2, ...shape.slice(1)])
}

const pipeline = { method: 'proxyclip', window: SIDE, stride: STRIDE, logits: true } as const

async function logits(proxy: ProxyOptions, padTo?: number): Promise<Float32Array> {
  const seg = await segment(image, CLASSES, { ...pipeline, model, proxy, padTo })
  return floats(seg.logits as Tensor)
}

t.test('a model gives what its features give', async t => {
  for (const [name, vfm, side] of [
    ['dino', dino, 96],
    ['dinov2', dinov2, 112], // 56 is a multiple of both patches
    ['dinov3', dinov3, 96],
    ['sam', sam, 96],
  ] as const) {
    const features = await byHand(vfm, side)
    const wanted = await logits({ features }, side === 112 ? 56 : undefined)
    const got = await logits({ model: vfm })
    t.equal(got.length, CLASSES.length * HEIGHT * WIDTH)
    t.ok(difference(got, wanted) < 1e-4, `${name}: ${difference(got, wanted)}`)
    const sharper = await logits({ model: vfm, gamma: 30 })
    t.ok(difference(got, sharper) > 1e-4, `${name}: gamma is used`)
  }
})

t.test('encodeDense, regions, views and many pictures', async t => {
  const proxy = { model: dino }
  const square = Tensor.from(normalised(1, 96, 96), [1, 3, 96, 96])
  const dense = await model.encodeDense(square, { mode: 'proxyclip', proxy })
  t.same(dense.shape, [1, model.info.embedDim, 12, 12], "the features' grid")
  const box = await model.encodeBoxes(square, [[0, 0, 96, 96]], { mode: 'proxyclip', proxy })
  t.same(box.shape, [1, model.info.embedDim])

  const photo = picture(120, 100)
  const options = { ...pipeline, model, proxy }
  const labels = await labelsOf(await segment(photo, CLASSES, options))
  using view = await model.encode(photo, { ...pipeline, proxy })
  t.ok(view.windows > 1)
  t.same(await labelsOf(await view.segment(CLASSES)), labels, 'a view')
  for await (const seg of segmentMany([photo, photo], CLASSES, options)) {
    t.same(await labelsOf(seg), labels, 'many')
  }
})

t.test('a source is loaded once, on the device of the model', async t => {
  const source = fixture('vfm', 'dinov2-hf')
  const photo = picture(100, 100)
  const loads: string[] = []
  const onProgress = ({ step }: { step: string }) => loads.push(step)
  const options = { ...pipeline, model, proxy: { model: source } }
  const first = await segment(photo, CLASSES, { ...options, onProgress })
  t.ok(loads.includes('load'))
  loads.length = 0
  const second = await segment(photo, CLASSES, { ...options, onProgress })
  t.notOk(loads.includes('load'))
  t.same(await labelsOf(second), await labelsOf(first))
  using view = await model.encode(photo, { ...pipeline, proxy: { model: source } })
  t.equal(view.windows, 4)
  const dense = await model.encodeDense(photo, { mode: 'proxyclip', proxy: { model: sam } })
  t.same(dense.shape.slice(2), [8, 8], "SAM's own square")
  await t.rejects(segment(photo, CLASSES, { ...options, proxy: { model: 'no-such.pth' } }), {
    code: 'ERR_DECLIP_IO',
  })
})

t.test('pixels are copied before a model is loaded', async t => {
  const given = picture(96, 96, 3)
  const mode = 'proxyclip' as const
  const calls = {
    encodeDense: (image: RawImage, proxy: ProxyOptions) =>
      model.encodeDense(image, { mode, proxy }).then(floats),
    encodeBoxes: (image: RawImage, proxy: ProxyOptions) =>
      model.encodeBoxes(image, [[0, 0, 50, 90]], { mode, proxy }).then(floats),
    encodeMasks: (image: RawImage, proxy: ProxyOptions) => {
      const masks = Tensor.from(new Uint8Array(96 * 96).fill(1), [1, 96, 96])
      return model.encodeMasks(image, masks, { mode, proxy }).then(floats)
    },
    encode: async (image: RawImage, proxy: ProxyOptions) => {
      using view = await model.encode(image, { method: mode, proxy })
      return labelsOf(await view.segment(CLASSES))
    },
  }
  for (const [name, call] of Object.entries(calls)) {
    const source = fixture('vfm', 'sam.safetensors')
    const expected = await call(given, { model: source })
    await releaseModels() // so that the call has to wait for it
    const data = given.data.slice()
    const running = call({ ...given, data }, { model: source })
    data.fill(0)
    t.same(await running, expected, name)
  }
})

t.test('misuse', async t => {
  const features = Tensor.from(new Float32Array(8), [1, 2, 2, 2])
  const cases: [unknown, RegExp][] = [
    [{}, /^proxy must be { model } or { features }/],
    [{ model }, /^proxy\.model must be a vision foundation model .* 'clip'/],
    [{ model: 5 }, /^proxy\.model must be a vision foundation model/],
    [{ model: null }, /proxy/],
    [{ model: dino, features }, /exclude each other/],
    [{ features: [1] }, /^proxy\.features must be a Tensor/],
  ]
  for (const [proxy, message] of cases) {
    await t.rejects(segment(image, CLASSES, { ...pipeline, model, proxy: proxy as ProxyOptions }), {
      code,
      message,
    })
    const dense = model.encodeDense(image, { mode: 'proxyclip', proxy: proxy as ProxyOptions })
    await t.rejects(dense, { code, message: /proxy/ })
  }
  await t.rejects(
    segment(image, CLASSES, { ...pipeline, model, proxy: { model: dinov2 }, padTo: 8 }),
    {
      code,
      message: /DINOv2 takes images whose sides are multiples of its patch, 14 pixels, .* padTo/,
    },
  )
  await t.rejects(
    segment(image, CLASSES, { ...pipeline, model, proxy: { model: dino }, augment: true }),
    { code, message: /augment/ },
  )
  const gone = await loadModel(DINO, { config: { headWidth: 32 } })
  gone.dispose()
  await t.rejects(segment(image, CLASSES, { ...pipeline, model, proxy: { model: gone } }), {
    code: 'ERR_DECLIP_DISPOSED',
  })
  const signal = AbortSignal.abort()
  await t.rejects(model.encode(image, { ...pipeline, proxy: { model: dino }, signal }), {
    code: 'ERR_DECLIP_ABORTED',
  })
})

t.test('a model that sees the whole picture', async t => {
  const photo = join(packageRoot, 'models/scenes/park.png')
  const options = {
    model,
    method: 'corrclip',
    shortSide: 96, // smaller than the picture, which stays as it is for the other model
    window: 96,
    stride: 48,
    corrclip: { spatialWeight: 0, merge: false },
    logits: true,
  } as const
  const scores = async (proxy: ProxyOptions) => {
    const seg = await segment(photo, CLASSES, { ...options, proxy })
    return floats(seg.logits as Tensor)
  }
  const whole = await scores({ model: dinov2, sees: 'picture' })
  const windows = await scores({ model: dinov2 })
  t.ok(difference(whole, windows) > 1e-4, 'other features than of windows')
  using view = await model.encode(photo, { ...options, proxy: { model: dinov2, sees: 'picture' } })
  const again = await view.segment(CLASSES, { logits: true })
  t.same(await floats(again.logits as Tensor), whole)
  await t.rejects(
    model.encodeDense(photo, { mode: 'corrclip', proxy: { model: dinov2, sees: 'picture' } }),
    { code, message: /is of a pipeline/ },
  )
})

t.test('the parts', async t => {
  t.equal(proxyModel(undefined), undefined)
  t.equal(proxyModel({ beta: 1 }), undefined)
  t.equal(proxyModel({ model: dino }), dino)
  t.same(toNativeProxy({ model: dino }, 'proxyclip'), {
    proxyModel: dino.native,
    proxyPart: 'patches',
  })
  const part = (...[proxy, mode = 'corrclip']: [object, DenseMode?]) =>
    toNativeProxy({ model: dino, ...proxy }, mode).proxyPart
  t.equal(part({}), 'query-key', "CorrCLIP's own choice")
  t.equal(part({ part: 'patches' }), 'patches')
  t.equal(part({ part: 'query-key' }, 'proxyclip'), 'query-key')
  t.equal(part({ sees: 'picture' }), 'patches', 'of its second version')
  t.throws(() => part({ sees: 'picture', part: 'query-key' }), {
    message: /leave `part` or `sees`/,
  })
  t.throws(() => toNativeProxy({ features: image, sees: 'picture' }, 'corrclip'), {
    message: /proxy\.sees/,
  })
})
