/** What method 'cat-seg' becomes for a head, which options go with it, and which sizes fit. */
import t from 'tap'
import { DENSE_MODES } from '../../../ts/base/names.js'
import type { NativeCatSegInfo } from '../../../ts/engine/addon-types.js'
import type { DatasetName } from '../../../ts/methods/benchmarks.js'
import { METHOD_NAMES, METHODS } from '../../../ts/methods/list.js'
import { defaultMethod, type ModelFacts, methodsOf } from '../../../ts/methods/preset.js'
import { type MethodOptions, resolveMethod } from '../../../ts/methods/resolve.js'

const HEAD: NativeCatSegInfo = {
  channels: 128,
  layers: 2,
  prompts: 1,
  blocks: [3, 7],
  mode: 'cat-seg',
  unitPatches: false,
  side: 384,
  canvas: 640,
  cut: 384,
  stride: 256,
  window: 12,
  heads: 4,
  wordLimit: 256,
  prompt: 'A photo of a {} in the scene',
  names: [],
}
const PLAIN: ModelFacts = {
  imageSize: 224,
  patchSize: 16,
  family: 'clip',
  denseMode: null,
  denseModes: DENSE_MODES.filter(mode => !/^declip$|projection$/.test(mode)),
  layers: 12,
}
const MODEL: ModelFacts = { ...PLAIN, catSeg: HEAD }
const SMALL: ModelFacts = {
  ...MODEL,
  imageSize: 96,
  patchSize: 8,
  layers: 6,
  catSeg: { ...HEAD, side: 96, canvas: 160, cut: 96, stride: 64, window: 6, blocks: [1, 3] },
}
const code = 'ERR_DECLIP_INVALID_ARG'
const resolve = (options: MethodOptions = {}, model = MODEL) => resolveMethod({ model, options })

t.test('the method of a head, as published', t => {
  t.equal(defaultMethod(MODEL), 'cat-seg')
  t.equal(defaultMethod({ ...MODEL, denseMode: 'csa' }), 'cat-seg', 'whatever the tower learned')
  t.ok(methodsOf(MODEL).includes('cat-seg'))
  t.notOk(methodsOf(PLAIN).includes('cat-seg'))
  t.strictSame(
    METHOD_NAMES.filter(name => !methodsOf(MODEL).includes(name)),
    ['talk2dino'],
    'every other one runs on its tower',
  )
  const method = resolve()
  t.match(method, { method: 'cat-seg', dataset: null, classWords: 'first', warning: null })
  t.strictSame(method.templates, ['A photo of a {} in the scene'])
  t.match(method.pipeline, { shortSide: 640, longSide: 2560, dense: { mode: 'cat-seg' } })
  t.strictSame(method.pipeline.catSeg, {
    sliding: true,
    side: 384,
    canvas: 640,
    cut: 384,
    stride: 256,
    blocks: [3, 7],
    mode: 'cat-seg',
    pooling: 1,
    wordLimit: 256,
  })
  for (const background of [-1, 0]) {
    t.match(method.postprocess(background), {
      independent: true,
      pamrIterations: 0,
      probThreshold: 0,
      areaThreshold: 0,
      closing: false,
      background,
    })
  }
  t.notOk(method.usesRegions)
  const { source, preset } = METHODS['cat-seg']
  t.match(source, /cvlab-kaist\/CAT-Seg/)
  t.match(preset, { shortSide: 640, longSide: 2560, window: 384, stride: 256 })
  t.end()
})

t.test('a head of other sizes has its own', t => {
  const { pipeline } = resolve({}, SMALL)
  t.match(pipeline, { shortSide: 160, longSide: 640 })
  t.match(pipeline.catSeg, { side: 96, canvas: 160, cut: 96, stride: 64, blocks: [1, 3] })
  const eva: NativeCatSegInfo = { ...HEAD, mode: 'csa', unitPatches: true, prompt: 'a {}' }
  const declip = resolve({}, { ...MODEL, family: 'eva', denseMode: 'csa', catSeg: eva })
  t.equal(declip.pipeline.dense.mode, 'csa')
  t.equal(declip.pipeline.catSeg?.mode, 'csa')
  t.strictSame(declip.templates, ['a {}'])
  t.end()
})

t.test('what the caller gives stands', t => {
  const { pipeline, templates, classWords, fromCaller } = resolve({
    method: 'cat-seg',
    templates: 'subset',
    classWords: 'all',
    catSeg: { canvas: 960, stride: 192, mode: 'qq', pooling: 2, wordLimit: 0, sliding: false },
  })
  t.match(pipeline, { shortSide: 960, longSide: 3840, dense: { mode: 'qq' } }, 'of the canvas')
  t.match(pipeline.catSeg, { canvas: 960, cut: 384, stride: 192, pooling: 2, wordLimit: 0 })
  t.match([templates, classWords], ['subset', 'all'])
  t.strictSame(fromCaller, ['catSeg', 'classWords', 'method', 'templates'])
  t.match(resolve({ shortSide: 320, longSide: 900 }).pipeline, { shortSide: 320, longSide: 900 })
  t.equal(resolve({ shortSide: null }).pipeline.shortSide, 0, "the picture's own size")
  t.match(
    resolve({
      probThreshold: 0.3,
      closing: true,
      pamr: { iterations: 2, dilations: [1] },
    }).postprocess(-1),
    { probThreshold: 0.3, closing: true, pamrIterations: 2, independent: true },
  )
  const voted = resolve({ masks: 'masks', refine: 'vote' })
  t.equal(voted.postprocess(-1).vote, true)
  t.ok(voted.usesRegions)
  t.equal(resolve({ method: 'naclip' }).postprocess(-1).independent, undefined)
  t.equal(resolve({ method: 'naclip' }).classWords, 'all')
  t.equal(resolve({ method: 'naclip', classWords: 'first' }).classWords, 'first')
  t.end()
})

t.test('models without a head, and heads that words cannot feed, are refused with a way out', t => {
  t.throws(() => resolve({ method: 'cat-seg' }, PLAIN), {
    code,
    message:
      /^Method 'cat-seg' needs a checkpoint with CAT-Seg's trained head .* this model has none: .* Methods that run on it: 'declip', .*'vanilla'\.$/,
  })
  const ensemble: ModelFacts = { ...MODEL, catSeg: { ...HEAD, prompts: 80 } }
  t.throws(() => resolve({}, ensemble), {
    code,
    message: /^This CAT-Seg head takes 80 prompts .* Methods that run on it: 'declip'/,
  })
  t.notOk(methodsOf(ensemble).includes('cat-seg'))
  t.doesNotThrow(() => resolve({ method: 'vanilla' }, ensemble))
  t.throws(() => resolve({ method: 'naclip', catSeg: { pooling: 2 } }), {
    code,
    message: /^catSeg must be left out unless method is 'cat-seg'/,
  })
  t.end()
})

t.test('options of other methods are refused by name, with what to do', t => {
  const others: [MethodOptions, RegExp][] = [
    [{ mode: 'csa' }, /^mode .* is catSeg\.mode\.$/],
    [{ denseMode: 'csa' }, /^denseMode .* is catSeg\.mode\.$/],
    [{ window: 224 }, /^window .* catSeg\.cut, and catSeg\.sliding: false/],
    [{ stride: 56 }, /^stride .* catSeg\.stride\.$/],
    [{ padTo: 16 }, /^padTo .* leave it out\.$/],
    [{ positions: 'size' }, /^positions /],
    [{ residual: true }, /^residual /],
    [{ feedForward: true }, /^feedForward /],
    [{ layers: [1] }, /^layers /],
    [{ selfAttention: true }, /^selfAttention /],
    [{ gaussianStd: 3 }, /^gaussianStd /],
    [{ neighboursOnly: true }, /^neighboursOnly /],
    [{ proxy: { beta: 1 } }, /^proxy /],
    [{ scclip: { gain: 1 } }, /^scclip /],
    [{ corrclip: { gain: 1 } }, /^corrclip /],
    [{ augment: false }, /^augment /],
    [{ augmentWeight: 0.5 }, /^augmentWeight /],
    [{ aggregate: true }, /^aggregate /],
    [{ bank: {} as never }, /^bank /],
    [{ bankNeighbours: 3 }, /^bankNeighbours /],
    [{ bankShare: 0.5 }, /^bankShare /],
    [{ logitScale: 40 }, /^logitScale .* probabilities of each word on its own/],
  ]
  for (const [options, message] of others) {
    t.throws(() => resolve(options), { code, message }, Object.keys(options).join())
  }
  t.throws(() => resolve({ text: {} }), { code, message: /^text must be left out/ })
  t.throws(() => resolve({ backgroundCleaning: true }), { code, message: /^backgroundCleaning/ })
  t.throws(() => resolve({ regions: {} as never }), { code, message: /^regions are those/ })
  t.end()
})

t.test('sizes that do not fit', t => {
  const refused = (catSeg: MethodOptions['catSeg'], message: RegExp, model = MODEL) =>
    t.throws(() => resolve({ catSeg }, model), { code, message })
  refused('all' as never, /^catSeg must be \{ sliding, side, canvas, \.\.\. \}, received 'all'/)
  refused({ side: 380 }, /^catSeg\.side must be a multiple of 16, the patch of this tower/)
  refused({ side: 320 }, /^catSeg\.side must be a multiple of 192 \(.* windows of 12 patches/)
  refused({ side: 0 }, /^catSeg\.side must be a whole number, 1 to 65535/)
  refused({ cut: 700 }, /^catSeg\.cut must be 1 to 640 \(catSeg\.canvas/)
  refused({ canvas: 300 }, /^catSeg\.cut must be 1 to 300/)
  refused({ stride: 400 }, /^catSeg\.stride must be 1 to 384 \(catSeg\.cut\)/)
  refused({ stride: 0 }, /^catSeg\.stride must be a whole number, 1 to 65535/)
  refused({ blocks: [3, 12] }, /^catSeg\.blocks must be two blocks of 0 to 11/)
  refused({ blocks: [7, 3] }, /^catSeg\.blocks must be \[first, last\]/)
  refused({ blocks: [3] as never }, /^catSeg\.blocks must be/)
  refused({ pooling: 4 as never }, /^catSeg\.pooling must be 1 or 2/)
  refused({ wordLimit: -1 }, /^catSeg\.wordLimit must be a whole number, 0 to 65536/)
  refused({ mode: 'naclip' as never }, /^catSeg\.mode must be one of cat-seg, csa/)
  refused({ sliding: 1 as never }, /^catSeg\.sliding must be true or false/)
  // A grid of 11: at most the window, but odd.
  t.doesNotThrow(() => resolve({ catSeg: { side: 176 } }))
  refused({ side: 176, pooling: 2 }, /^catSeg\.pooling must be 1, as a grid of 11 patches/)
  t.doesNotThrow(() => resolve({ catSeg: { side: 576, cut: 640, stride: 640 } }))
  t.throws(() => resolve({ classWords: 'best' as never }), { code, message: /^classWords must be/ })
  t.end()
})

t.test("published figures, the authors' and DeCLIP's", t => {
  const { datasets, words } = METHODS['cat-seg']
  const of = (name: DatasetName) =>
    (datasets[name]?.published ?? []).map(({ mIoU, mark }) => `${mIoU} ${mark}`)
  for (const figure of ['31.8 R', '37.9 R', '36.3 P', '36.57 R', '40.7 P']) {
    t.ok(of('ade20k').includes(figure), figure)
  }
  for (const name of Object.keys(datasets) as DatasetName[]) {
    t.ok(words[name], `words of ${name}`)
    t.match(resolve({ dataset: name }).dataset, name)
    t.strictSame(resolve({ dataset: name }).pipeline, resolve().pipeline, 'no values of its own')
  }
  t.throws(() => resolve({ dataset: 'cityscapes' }), {
    code,
    message: /dataset of method 'cat-seg'/,
  })
  t.end()
})
