import fc from 'fast-check'
import t from 'tap'
import { DENSE_MODES, type DenseMode } from '../../../ts/base/names.js'
import { loadAddon } from '../../../ts/engine/load-addon.js'
import { Tensor } from '../../../ts/engine/tensor.js'
import type { DatasetName } from '../../../ts/methods/benchmarks.js'
import { METHODS } from '../../../ts/methods/list.js'
import { defaultMethod, type ModelFacts, methodsOf } from '../../../ts/methods/preset.js'
import { type MethodOptions, resolveMethod } from '../../../ts/methods/resolve.js'

const HEAD_ONLY: readonly DenseMode[] = ['declip', 'maskclip-projection', 'qq-projection']
const VIT_B: ModelFacts = {
  imageSize: 224,
  patchSize: 16,
  family: 'clip',
  denseMode: null,
  denseModes: DENSE_MODES.filter(mode => !HEAD_ONLY.includes(mode)),
}
/** All but Talk2DINO, whose models have no words of their own. */
const RUN = methodsOf(VIT_B)
const EVA: ModelFacts = { ...VIT_B, family: 'eva' }
const SMALL: ModelFacts = { ...VIT_B, imageSize: 96, patchSize: 8 }
const code = 'ERR_DECLIP_INVALID_ARG'

const resolve = (options: MethodOptions, model = VIT_B, background = 0) => {
  const method = resolveMethod({ model, options })
  return { ...method, post: method.postprocess(background) }
}

const features = new Tensor({ shape: [1, 768, 42, 42], dtype: 'float32', device: 'cpu' } as never)

t.test("ITACLIP's table", async t => {
  // short side, definition weight, augment weight, logit scale, probability and area threshold
  const table = {
    'coco-stuff': [448, 0.2, 0.75, 40, 0, 0, 27.0],
    'coco-object': [336, 0.1, 0.75, 50, 0.1, 0, 37.7],
    voc21: [336, 0.05, 0.7, 60, 0.1, 0.1, 67.9],
    context60: [336, 0.15, 0.75, 55, 0.1, 0, 37.5],
    cityscapes: [560, 0.05, 0.7, 40, 0, 0, 40.2],
  }
  t.strictSame(Object.keys(METHODS.itaclip.datasets).sort(), Object.keys(table).sort())
  for (const [dataset, row] of Object.entries(table)) {
    const { pipeline, post, definitionWeight } = resolve({ method: 'itaclip', dataset })
    const mIoU = METHODS.itaclip.datasets[dataset as DatasetName]?.published[0]?.mIoU
    t.strictSame(
      [
        pipeline.shortSide,
        definitionWeight,
        pipeline.augmentWeight,
        post.logitScale,
        post.probThreshold,
        post.areaThreshold,
        mIoU,
      ],
      row,
      dataset,
    )
    t.strictSame([pipeline.window, pipeline.stride, pipeline.padTo], [224, 28, 1])
    t.equal(pipeline.longSide, 2048)
    t.strictSame([post.pamrIterations, post.pamrDilations], [10, [8, 16]])
    t.strictSame([pipeline.augment, post.closing], [true, true])
    t.match(pipeline.dense, {
      mode: 'itaclip',
      layers: undefined, // the engine's, which fit the tower
      selfAttention: true,
      positions: 'scale-factor',
    })
  }
})

t.test('the other tables, at the places where they differ', async t => {
  const sclip = resolve({ method: 'sclip', dataset: 'voc21' })
  t.match(sclip.pipeline, { shortSide: 336, window: 224, stride: 112, augment: false })
  t.match(sclip.post, { logitScale: 65, probThreshold: 0.1, areaThreshold: 0.1, pamrIterations: 0 })
  t.equal(resolve({ method: 'sclip', dataset: 'cityscapes' }).pipeline.shortSide, 560)
  t.equal(resolve({ method: 'sclip', dataset: 'coco-stuff' }).pipeline.shortSide, 448)

  const naclip = resolve({ method: 'naclip', dataset: 'voc21' })
  t.match(naclip.pipeline, { window: 0, dense: { mode: 'naclip', gaussianStd: 5 } })
  t.match(naclip.post, { logitScale: 40, pamrIterations: 10, closing: false })
  t.equal(resolve({ method: 'naclip', dataset: 'context59' }).pipeline.window, 224)

  const proxy = resolve({ method: 'proxyclip', dataset: 'cityscapes', proxy: { features } })
  t.match(proxy.pipeline, { shortSide: 448, window: 224, stride: 112, padTo: 56 })
  t.match(proxy.pipeline.dense, { mode: 'proxyclip', proxyBeta: 1.2, proxyGamma: 3 })

  const clear = resolve({ method: 'clearclip', dataset: 'voc21' })
  t.match(clear.pipeline, { shortSide: 448, window: 448, stride: 224, padTo: 16 })
  t.match(clear.post, { logitScale: 50, probThreshold: 0.5 })
  t.equal(resolve({ method: 'clearclip', dataset: 'cityscapes' }).pipeline.window, 224)
})

t.test("DeCLIP's zero-shot protocol", async t => {
  // short side, logit scale, probability threshold
  const table = {
    voc21: [448, 80, 0.4],
    context60: [448, 40, 0.15],
    'coco-object': [448, 40, 0.2],
    voc20: [448, 40, 0],
    cityscapes: [560, 40, 0],
    context59: [448, 40, 0],
    ade20k: [448, 40, 0],
    'coco-stuff': [448, 40, 0],
  }
  t.strictSame(Object.keys(METHODS.declip.datasets).sort(), Object.keys(table).sort())
  for (const [dataset, row] of Object.entries(table)) {
    const { pipeline, post, templates } = resolve({ method: 'declip', dataset }, EVA)
    t.strictSame([pipeline.shortSide, post.logitScale, post.probThreshold], row, dataset)
    t.match(pipeline, { window: 336, stride: 112, padTo: 16, augment: false })
    t.equal(pipeline.longSide, dataset === 'coco-object' ? 2048 : 4096)
    t.match(pipeline.dense, { mode: 'csa', positions: 'size' })
    t.match(post, { pamrIterations: 0, areaThreshold: 0, closing: false })
    t.equal(templates, 'imagenet')
  }
  t.match(resolve({ method: 'declip' }, EVA).post, { logitScale: 40, probThreshold: 0 })
})

t.test('positions follow the code base of the method', async t => {
  for (const method of RUN) {
    const size = ['declip', 'clipself', 'maskclip', 'vanilla'].includes(method)
    const { pipeline } = resolve({ method, proxy: { features } })
    t.equal(pipeline.dense.positions, size ? 'size' : 'scale-factor', method)
  }
})

t.test('the default method', async t => {
  const trained = (denseMode: ModelFacts['denseMode']) => defaultMethod({ ...VIT_B, denseMode })
  t.equal(defaultMethod(VIT_B), 'naclip')
  t.equal(defaultMethod(EVA), 'declip')
  t.equal(defaultMethod(SMALL), 'vanilla')
  t.equal(trained('maskclip'), 'clipself')
  t.equal(trained('csa'), 'declip')
  t.equal(trained('vanilla'), 'vanilla')
  t.equal(trained('sclip'), 'sclip')
  t.equal(resolve({}, { ...EVA, denseMode: 'csa' }).pipeline.dense.mode, 'csa')
})

t.test('models for small pictures', async t => {
  for (const method of RUN) {
    const { pipeline } = resolve({ method, proxy: { features } }, SMALL)
    t.match(pipeline, { window: 96, shortSide: 288, enlarge: false, padTo: 8 }, method)
  }
  const stride = (method: 'itaclip' | 'sclip' | 'vanilla', dataset?: string) =>
    resolve({ method, dataset }, SMALL).pipeline.stride
  t.equal(stride('itaclip'), 12) // 96 * 28 / 224
  t.equal(stride('sclip'), 48) // 96 * 112 / 224
  t.equal(stride('vanilla'), 32) // 96 * 112 / 336
  t.equal(resolve({ method: 'naclip', dataset: 'voc21' }, SMALL).pipeline.window, 96)
  t.equal(resolve({ method: 'itaclip' }, { ...SMALL, imageSize: 2 }).pipeline.stride, 1)
  const own = resolve({ method: 'sclip', shortSide: 300 }, SMALL).pipeline
  t.match(own, { shortSide: 300, longSide: 2048, enlarge: true })
  t.match(resolve({ shortSide: null }, SMALL).pipeline, { shortSide: 0, enlarge: true })
  t.equal(resolve({ longSide: 500 }, SMALL).pipeline.longSide, 500)
})

t.test("a preset's thresholds need a background, the caller's do not", async t => {
  const preset = resolve({ method: 'itaclip', dataset: 'voc21' }, VIT_B, -1).post
  t.match(preset, { probThreshold: 0, areaThreshold: 0, background: -1 })
  const own = { probThreshold: 0.3, areaThreshold: 0.2 }
  t.match(resolve({ method: 'itaclip', ...own }, VIT_B, -1).post, own)
  t.match(resolve({ method: 'itaclip', dataset: 'voc21' }, VIT_B, 3).post, {
    probThreshold: 0.1,
    areaThreshold: 0.1,
    background: 3,
  })
})

t.test("the caller's values stand for every method, and are told apart", async t => {
  const own: MethodOptions = {
    denseMode: 'itaclip',
    positions: 'size',
    residual: false,
    feedForward: true,
    layers: [2],
    selfAttention: false,
    gaussianStd: 2,
    neighboursOnly: true,
    shortSide: null,
    longSide: 3000,
    window: 64,
    stride: 32,
    padTo: 4,
    augment: true,
    augmentWeight: 0.1,
    definitionWeight: 0.9,
    logitScale: 12,
    pamr: { iterations: 3, dilations: [1] },
    probThreshold: 0.6,
    areaThreshold: 0.7,
    closing: true,
    logits: true,
    probabilities: true,
    templates: ['my {}'],
  }
  for (const method of RUN) {
    for (const model of [VIT_B, SMALL, EVA]) {
      const got = resolve({ ...own, method, proxy: { features, beta: 2, gamma: 1 } }, model)
      t.strictSame(got.pipeline, {
        dense: {
          mode: 'itaclip',
          positions: 'size',
          residual: false,
          feedForward: true,
          neighboursOnly: true,
          layers: [2],
          selfAttention: false,
          gaussianStd: 2,
          proxyFeatures: features.native,
          proxyBeta: 2,
          proxyGamma: 1,
        },
        shortSide: 0,
        longSide: 3000,
        enlarge: true,
        window: 64,
        stride: 32,
        padTo: 4,
        augment: true,
        augmentWeight: 0.1,
      })
      t.strictSame(got.post, {
        logitScale: 12,
        pamrIterations: 3,
        pamrDilations: [1],
        probThreshold: 0.6,
        areaThreshold: 0.7,
        closing: true,
        background: 0,
        logits: true,
        probabilities: true,
      })
      t.strictSame(got.templates, ['my {}'])
      t.equal(got.definitionWeight, 0.9)
      t.strictSame(got.fromCaller, [...Object.keys(own), 'method', 'proxy'].sort())
    }
  }
  t.strictSame(resolve({ method: undefined, window: undefined }).fromCaller, [])
  t.equal(resolve({ method: 'itaclip', pamr: false }).post.pamrIterations, 0)
})

t.test("settings of a mode's last block do not reach another mode", async t => {
  const { dense } = resolve({ method: 'itaclip', denseMode: 'qq' }).pipeline
  t.strictSame([dense.mode, dense.layers, dense.selfAttention], ['qq', undefined, undefined])
  t.equal(resolve({ method: 'naclip', mode: 'csa' }).pipeline.dense.gaussianStd, undefined)
})

t.test("a mode has its own paper's settings in every method", async t => {
  const dense = (mode: DenseMode) =>
    resolve({ method: 'declip', mode, proxy: { features } }).pipeline.dense
  t.match(dense('itaclip'), { layers: undefined, selfAttention: true, gaussianStd: undefined })
  t.match(dense('naclip'), { gaussianStd: 5, neighboursOnly: false, layers: undefined })
  t.match(dense('proxyclip'), { proxyBeta: 1.2, proxyGamma: 3 })
})

t.test('mode and denseMode are one option', async t => {
  for (const options of [{ mode: 'vv' }, { denseMode: 'vv' }, { mode: 'vv', denseMode: 'vv' }]) {
    t.equal(resolve({ method: 'declip', ...options } as MethodOptions).pipeline.dense.mode, 'vv')
  }
  t.throws(() => resolve({ mode: 'vv', denseMode: 'qq' }), {
    code,
    message: /mode and denseMode are two names of one option, received 'vv' and 'qq'/,
  })
})

t.test('a smaller window of the caller takes the stride of the preset along', async t => {
  t.match(resolve({ method: 'clearclip', window: 128 }).pipeline, { window: 128, stride: 128 })
  t.match(resolve({ method: 'itaclip', window: 448 }).pipeline, { window: 448, stride: 28 })
  t.throws(() => resolve({ method: 'sclip', stride: 225 }), {
    code,
    message: /stride must be 1 to 224.*received 225/,
  })
  t.match(resolve({ method: 'sclip', window: 0, stride: 500 }).pipeline, { window: 0 })
})

t.test('a checkpoint fine-tuned for another mode', async t => {
  const trained: ModelFacts = { ...EVA, denseMode: 'qq' }
  t.equal(resolve({}, trained).warning, null)
  t.equal(resolve({ method: 'declip' }, trained).warning, null)
  t.match(resolve({ method: 'clipself' }, trained).warning, /'qq'.*'maskclip'/)
  t.match(resolve({ denseMode: 'csa' }, trained).warning, /'qq'.*'csa'/)
  t.equal(resolve({ method: 'sclip' }, VIT_B).warning, null)
  const values: ModelFacts = { ...VIT_B, denseMode: 'maskclip' }
  t.equal(resolve({ method: 'vanilla' }, values).warning, null, 'keeps the residual too')
  t.match(resolve({ method: 'naclip' }, values).warning, /'maskclip'.*'naclip'/)
})

t.test('every preset of every set passes its own checks, windows cover the picture', async t => {
  for (const method of RUN) {
    for (const dataset of [undefined, ...Object.keys(METHODS[method].datasets)]) {
      for (const model of [VIT_B, EVA, SMALL]) {
        const { pipeline } = resolve({ method, dataset, proxy: { features } }, model)
        t.ok(pipeline.window === 0 || pipeline.stride <= pipeline.window)
        t.ok(pipeline.stride >= 1 && Number.isInteger(pipeline.stride))
        t.ok(DENSE_MODES.includes(pipeline.dense.mode))
      }
    }
  }
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 223 }), fc.constantFrom(...RUN), (size, method) => {
      const model = { ...SMALL, imageSize: size }
      const { window, stride } = resolve({ method, proxy: { features } }, model).pipeline
      return window === size && stride >= 1 && stride <= window
    }),
  )
})

t.test(
  'a picture of any size has a bounded number of windows, whatever method and model',
  async t => {
    const addon = loadAddon()
    const sizes = [
      [4000, 3000],
      [3000, 4000],
      [12_000, 9000],
      [9000, 9000],
      [20_000, 2000],
    ] as const
    for (const method of RUN) {
      for (const dataset of [undefined, ...Object.keys(METHODS[method].datasets)]) {
        for (const imageSize of [16, 64, 96, 192, 223, 224, 336]) {
          const model = { ...VIT_B, imageSize, patchSize: 8 }
          const { pipeline } = resolve({ method, dataset, proxy: { features } }, model)
          const { dense: _, ...windows } = pipeline
          for (const [width, height] of sizes) {
            const count = addon.countWindows({ ...windows, width, height })
            const most = method === 'itaclip' ? 2200 : width > 5 * height ? 620 : 120
            const what = `${method} ${dataset} ${imageSize}: ${count} of ${width} x ${height}`
            if (count < 1 || count > most) t.fail(what)
          }
        }
      }
    }
    const count = (options: MethodOptions, model: ModelFacts, width: number, height: number) => {
      const { dense: _, ...windows } = resolve(options, model).pipeline
      return addon.countWindows({ ...windows, width, height })
    }
    t.equal(count({}, SMALL, 4000, 3000), 70, 'the bundled model and 12 megapixels')
    t.equal(count({}, SMALL, 384, 288), 70)
    t.equal(count({}, SMALL, 96, 90), 1, 'smaller pictures keep their size')
    t.equal(count({ shortSide: null }, SMALL, 4000, 3000), 11_316)
    t.equal(count({}, VIT_B, 4000, 3000), 6)
  },
)

t.test('what is refused', async t => {
  const bad = (options: object, message: RegExp) =>
    t.throws(() => resolve({ method: 'itaclip', ...options } as MethodOptions), { code, message })
  bad({ method: 'CLIP' }, /"CLIP".*declip, clipself/)
  bad({ method: null }, /null/)
  bad({ dataset: 'voc' }, /'itaclip' "voc".*voc21/)
  bad({ dataset: 'constructor' }, /constructor/)
  bad({ denseMode: 'clip' }, /denseMode must be one of vanilla/)
  bad({ mode: 'clip' }, /mode must be one of/)
  bad({ positions: 'bicubic' }, /positions/)
  bad({ window: -1 }, /window must be a whole number, 0 to 65535, received -1/)
  bad({ window: 1.5 }, /window/)
  bad({ window: '224' }, /window .*'224'/)
  bad({ stride: 0 }, /stride/)
  bad({ shortSide: 0 }, /shortSide must be null or/)
  bad({ shortSide: Number.NaN }, /shortSide/)
  bad({ padTo: 0 }, /padTo/)
  bad({ augment: 1 }, /augment must be true or false/)
  bad({ augmentWeight: 1.1 }, /augmentWeight must be a number from 0 to 1/)
  bad({ definitionWeight: Number.NaN }, /definitionWeight/)
  bad({ logitScale: Number.POSITIVE_INFINITY }, /logitScale/)
  bad({ probThreshold: -0.1 }, /probThreshold/)
  bad({ areaThreshold: 2 }, /areaThreshold/)
  bad({ closing: 'yes' }, /closing/)
  bad({ layers: [] }, /layers/)
  bad({ layers: [0] }, /layers/)
  bad({ gaussianStd: 0 }, /gaussianStd/)
  bad({ pamr: true }, /pamr must be false or/)
  bad({ pamr: { iterations: 0, dilations: [8] } }, /pamr\.iterations/)
  bad({ pamr: { iterations: 10 } }, /pamr\.dilations/)
  bad({ pamr: { iterations: 10, dilations: [0] } }, /pamr\.dilations/)
  bad({ proxy: 3 }, /proxy/)
  bad({ proxy: { features, gamma: -1 } }, /proxy\.gamma/)
  bad({ proxy: { features: {} as never } }, /proxy\.features/)
  bad({ proxy: { model: {} as never } }, /proxy\.model/)
  bad(
    { method: 'proxyclip' },
    /^proxy must be { model } or { features } for dense mode 'proxyclip'/,
  )
  bad({ proxy: { features, gamma: 0 } }, /proxy\.gamma must be a finite number above 0/)
})

t.test('windows are whole patches of both models', async t => {
  const proxy = (family: string, patchSize: number) =>
    ({ model: { info: { family, patchSize }, native: {} } }) as never
  const padTo = (model: ModelFacts, family: string, patchSize: number) =>
    resolve({ method: 'proxyclip', proxy: proxy(family, patchSize) }, model).pipeline.padTo
  t.equal(padTo(VIT_B, 'dino', 8), 56, 'as published')
  t.equal(padTo(VIT_B, 'dinov2', 14), 56)
  t.equal(padTo(VIT_B, 'dino', 16), 112)
  t.equal(padTo(VIT_B, 'dinov3', 16), 112)
  t.equal(padTo(SMALL, 'dino', 8), 8)
  t.equal(padTo(SMALL, 'dinov2', 14), 56)
  t.equal(padTo(SMALL, 'sam', 16), 8, "SAM's windows are resized")
  const given = { method: 'proxyclip', padTo: 24, proxy: proxy('dinov2', 14) } as const
  t.equal(resolve(given).pipeline.padTo, 24)
})
