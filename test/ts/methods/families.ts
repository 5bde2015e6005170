import t from 'tap'
import type { DenseMode } from '../../../ts/base/names.js'
import { Tensor } from '../../../ts/engine/tensor.js'
import { METHOD_NAMES, METHODS } from '../../../ts/methods/list.js'
import { checkMode, defaultMethod, type ModelFacts, methodsOf } from '../../../ts/methods/preset.js'
import { type MethodOptions, resolveMethod } from '../../../ts/methods/resolve.js'

const HEAD: readonly DenseMode[] = [
  'vanilla',
  'maskclip',
  'qq',
  'kk',
  'vv',
  'csa',
  'proxyclip',
  'declip',
  'maskclip-projection',
  'qq-projection',
]
const SIGLIP: ModelFacts = {
  family: 'siglip',
  imageSize: 384,
  patchSize: 14,
  denseMode: null,
  denseModes: HEAD,
}
const PE: ModelFacts = { ...SIGLIP, family: 'pe', imageSize: 448 }
const TIPS: ModelFacts = { ...PE, family: 'tips', denseModes: ['vanilla', 'maskclip'] }
const code = 'ERR_DECLIP_INVALID_ARG'
const features = new Tensor({ shape: [1, 768, 42, 42], dtype: 'float32', device: 'cpu' } as never)
const resolve = (options: MethodOptions, model: ModelFacts) => resolveMethod({ model, options })

t.test('the default method', t => {
  t.equal(defaultMethod(SIGLIP), 'maskclip')
  t.equal(defaultMethod(PE), 'maskclip')
  t.equal(defaultMethod(TIPS), 'maskclip')
  t.equal(defaultMethod({ ...SIGLIP, imageSize: 56 }), 'maskclip', 'a small one too')
  const trained: ModelFacts = { ...SIGLIP, denseMode: 'declip' }
  t.equal(defaultMethod(trained), 'declip')
  t.equal(resolve({}, trained).pipeline.dense.mode, 'declip')
  t.equal(resolve({}, trained).warning, null)
  t.match(resolve({ method: 'maskclip' }, trained).warning, /'declip'.*'maskclip'/)
  t.equal(
    resolve({ method: 'declip' }, SIGLIP).pipeline.dense.mode,
    'qq',
    "the tail of DeCLIP's own checkpoints is for these only",
  )
  t.end()
})

t.test("TIPSv2's own setting", t => {
  for (const method of ['maskclip', 'clipself', 'vanilla'] as const) {
    const { pipeline, templates } = resolve({ method }, TIPS)
    t.match(pipeline, { shortSide: 448, window: 448, stride: 336, padTo: 14, augment: false })
    t.equal(templates, 'tcl')
  }
  t.equal(resolve({}, TIPS).pipeline.dense.mode, 'maskclip')
  t.match(METHODS.maskclip.families?.tips?.source, /zeroshot_segmentation/)
  t.match(resolve({ dataset: 'cityscapes' }, TIPS).pipeline, { window: 448, stride: 336 })
  t.end()
})

t.test('sizes are whole patches, and grow with the model', t => {
  const sizes = (model: ModelFacts, options: MethodOptions = {}) => {
    const { shortSide, window, stride, padTo } = resolve(options, model).pipeline
    return [shortSide, window, stride, padTo]
  }
  const at = (imageSize: number, patchSize: number) => ({ ...SIGLIP, imageSize, patchSize })
  t.strictSame(sizes(SIGLIP), [504, 378, 126, 14], 'pixels that the model drops are left out')
  t.strictSame(sizes(at(224, 16)), [448, 336, 112, 16])
  t.strictSame(sizes(at(256, 32)), [448, 352, 128, 32])
  t.strictSame(sizes(at(512, 16)), [688, 512, 176, 16])
  t.strictSame(sizes(PE), [602, 448, 154, 14])
  t.strictSame(sizes(at(64, 14)), [168, 56, 19, 14], 'three windows of a small model')
  for (const model of [SIGLIP, PE, TIPS, at(256, 32), at(512, 16)]) {
    for (const method of methodsOf(model)) {
      for (const dataset of [undefined, ...Object.keys(METHODS[method].datasets)]) {
        const { pipeline } = resolve({ method, dataset, proxy: { features } }, model)
        const { window, stride, shortSide, dense } = pipeline
        t.strictSame(
          [window % model.patchSize, stride % model.patchSize, shortSide % model.patchSize],
          [0, 0, 0],
        )
        t.ok(
          stride <= window && window >= model.imageSize - model.patchSize,
          `${method} ${dataset}`,
        )
        t.equal(dense.positions, 'size')
      }
    }
  }
  t.end()
})

t.test('what is not defined for a model is refused with what is', t => {
  const run = (model: ModelFacts, refused: string) => {
    const runs: readonly string[] = methodsOf(model)
    t.strictSame(METHOD_NAMES.filter(name => !runs.includes(name)).join(' '), refused)
    for (const method of METHOD_NAMES) {
      const call = () => resolve({ method, proxy: { features } }, model)
      if (runs.includes(method)) t.doesNotThrow(call, method)
      else {
        const message =
          method === 'talk2dino'
            ? /^Method 'talk2dino' compares words with the patches of a DINOv2/
            : method === 'cat-seg'
              ? /^Method 'cat-seg' needs a checkpoint with CAT-Seg's trained head/
              : /^Method '\w+'.* is not defined for this model/
        t.throws(call, { code, message })
      }
    }
  }
  run(SIGLIP, 'itaclip sclip clearclip naclip scclip corrclip talk2dino cat-seg')
  run(PE, 'itaclip sclip clearclip naclip scclip corrclip talk2dino cat-seg')
  run(TIPS, 'declip itaclip sclip clearclip naclip scclip proxyclip corrclip talk2dino cat-seg')
  t.throws(() => resolve({ method: 'sclip' }, SIGLIP), {
    message:
      "Method 'sclip' is not defined for this model (siglip): its patch features come from an attention pooling head behind the last block. Methods that run on it: 'declip', 'clipself', 'maskclip', 'proxyclip', 'vanilla'.",
  })
  t.throws(() => resolve({ method: 'declip' }, TIPS), {
    message: /^Method 'declip' \(dense mode 'csa'\) is not defined for this model \(tips\)/,
  })
  t.throws(() => resolve({ mode: 'naclip' }, SIGLIP), {
    message:
      /^Dense mode 'naclip' is not defined .* Dense modes that it has: 'vanilla', 'maskclip', /,
  })
  const clip: ModelFacts = { ...SIGLIP, family: 'clip', denseModes: ['vanilla', 'csa'] }
  t.throws(() => checkMode(clip, 'declip'), { message: /it has no attention pooling head/ })
  t.doesNotThrow(() => checkMode({ ...clip, denseModes: [] }, 'declip'), 'a foundation model')
  t.end()
})
