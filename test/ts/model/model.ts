import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { NativeModel } from '../../../ts/engine/addon-types.js'
import {
  DENSE_MODES,
  inspectCheckpoint,
  loadModel,
  METHOD_NAMES,
  Model,
  segment,
  segmentMany,
  Tensor,
} from '../../../ts/index.js'
import {
  agreement,
  difference,
  fixture,
  floats,
  labelsOf,
  normalised,
  picture,
} from '../../support/calls.js'

const invalid = { name: 'DeclipError', code: 'ERR_DECLIP_INVALID_ARG' }
const image = picture(96, 96)
const model = await loadModel()
const x = Tensor.from(normalised(1, 96, 96), [1, 3, 96, 96])
t.teardown(() => {
  x.dispose()
  model.dispose()
})

/** Of a DINOv2, and of a model with CAT-Seg's head. */
const OTHERS: readonly string[] = ['talk2dino', 'cat-seg']

t.test('info', async t => {
  const { path, notes, deviceReason, engine, ...info } = model.info
  t.match(info, {
    format: 'openai',
    family: 'clip',
    textSpace: true,
    imageSize: 96,
    patchSize: 8,
    width: 192,
    layers: 6,
    heads: 3,
    embedDim: 128,
    contextLength: 77,
    towers: ['vision', 'text'],
    dtype: 'float32',
    device: 'cpu',
    denseMode: 'maskclip',
    denseModes: DENSE_MODES.slice(0, 12),
    methods: METHOD_NAMES.filter(name => !OTHERS.includes(name)),
    defaultMethod: 'clipself',
    license: 'apache-2.0',
    logitScale: info.logitScale,
  })
  t.ok((info.logitScale as number) > 1)
  t.match(path, /words-tiny.model\.safetensors$/)
  t.match(deviceReason, /CPU/)
  t.match(engine, /^fused: .* kernels, /)
  t.match(notes, [/quick_gelu/])
  t.throws(() => {
    ;(model.info as { width: number }).width = 5
  }, TypeError)
  const checkpoint = await inspectCheckpoint('words-tiny')
  const { dtype: _, device: __, ...ofTheFile } = info
  t.same({ ...ofTheFile, path, notes }, checkpoint, 'a model says the same as its checkpoint')
  const { vision, text, ...file } = checkpoint
  t.match(vision, { width: 192, layers: 6, heads: 3, mlp: 768, activation: 'quick_gelu' })
  t.match(vision, { registers: 0, poolingHead: null })
  t.match(text, { width: 128, contextLength: 77, vocab: 49408, causal: true, pool: 'end' })
  t.match(file, { format: 'openai', embedDim: 128, storedDtype: /float/, denseMode: 'maskclip' })
})

t.test('other checkpoints', async t => {
  const eva = await loadModel(fixture('eva-tiny', 'eva-tiny.safetensors'))
  t.match(eva.info, { family: 'eva', imageSize: 224, patchSize: 16, format: 'eva-clip' })
  eva.dispose()
  const vision = await loadModel(fixture('plain-tower', 'visual.safetensors'))
  t.teardown(() => vision.dispose())
  t.match(vision.info, { towers: ['vision'], contextLength: null })
  const missing = { name: 'DeclipError', code: 'ERR_DECLIP_WEIGHTS' }
  await t.rejects(vision.encodeText('cat'), missing)
  await t.rejects(vision.vocabulary(['cat']), missing)
  await t.rejects(segment(picture(224, 224), ['cat'], { model: vision }), missing)
  t.same(vision.tokenize('cat').shape, [1, 77])
  t.equal((await vision.encodeImage(image)).shape[0], 1, 'pictures work')
})

t.test('what loadModel is told', async t => {
  for (const device of ['cuda', 'cuda:0', 'cuda:7'] as const) {
    // A CUDA build has another reason, but the same code for a device that is not there.
    if (device === 'cuda:7') {
      await t.rejects(loadModel('words-tiny', { device }), { code: 'ERR_DECLIP_DEVICE' })
    } else {
      const loaded = await loadModel('words-tiny', { device }).catch(error => error)
      if (loaded instanceof Model) t.match(loaded.info.device, /^cuda/)
      else t.match(loaded, { code: 'ERR_DECLIP_DEVICE', message: /Use device 'auto' or 'cpu'/ })
    }
  }
  for (const device of ['tpu', '', 'cuda:', 'cuda:-1', 'cuda:x', 5, null]) {
    await t.rejects(loadModel('words-tiny', { device: device as never }), {
      ...invalid,
      message: /^device must be 'auto', 'cpu', 'cuda'/,
    })
  }
  for (const dtype of ['int4', '', 5, null]) {
    await t.rejects(loadModel('words-tiny', { dtype: dtype as never }), {
      ...invalid,
      message: /^dtype must be 'auto', 'float32'/,
    })
  }
  for (const source of ['', 'no', 'a/b/c/d', '\0', 5, null, {}, Number.NaN, []]) {
    await t.rejects(loadModel(source as never), { ...invalid, message: /^source must be/ })
  }
  await t.rejects(loadModel('no-such-file.safetensors'), { code: 'ERR_DECLIP_IO' })
  await t.rejects(loadModel(fixture('images')), { code: 'ERR_DECLIP_WEIGHTS' })
  await t.rejects(loadModel(fixture('images', 'rgb.png')), { code: 'ERR_DECLIP_WEIGHTS' })
})

t.test('config', async t => {
  const wrong: [unknown, RegExp][] = [
    [5, /^config must be an object/],
    [null, /^config must be an object/],
    [{ headWidth: 0 }, /^config\.headWidth/],
    [{ headWidth: 7 }, /^config\.headWidth .*divisor/],
    [{ headWidth: 1e15 }, /^config\.headWidth/],
    [{ headWidth: Number.NaN }, /^config\.headWidth/],
    [{ textHeads: -1 }, /^config\.textHeads/],
    [{ textHeads: 1e12 }, /^config\.textHeads/],
    [{ activation: 'tanh' }, /^config\.activation/],
    [{ textActivation: 5 }, /^config\.textActivation/],
    [{ layerNormEps: 0 }, /^config\.layerNormEps/],
    [{ layerNormEps: 'x' }, /^config\.layerNormEps/],
    [{ preprocess: {} }, /^config\.preprocess/],
    [{ preprocess: { mean: [0, 0], std: [1, 1, 1] } }, /^config\.preprocess/],
    [{ preprocess: { mean: [0, 0, 0], std: [1, 0, 1] } }, /^config\.preprocess/],
  ]
  for (const [config, message] of wrong) {
    await t.rejects(loadModel('words-tiny', { config: config as never }), { ...invalid, message })
  }
  const changed = await loadModel('words-tiny', {
    config: {
      headWidth: 32,
      textHeads: 4,
      activation: 'gelu',
      textActivation: 'gelu',
      layerNormEps: 1e-3,
      preprocess: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
    },
  })
  t.equal(changed.info.heads, 6)
  for (const encode of [
    (m: Model) => m.encodeText('cat'),
    (m: Model) => m.encodeImage(x),
    (m: Model) => m.encodeImage(image),
  ]) {
    const [a, b] = [await floats(await encode(model)), await floats(await encode(changed))]
    t.ok(difference(a, b) > 1e-3, 'the overrides change the features')
  }
  changed.dispose()
})

t.test('normalize', async t => {
  const length = (row: Float32Array) => Math.hypot(...row)
  for (const [name, encode] of Object.entries({
    text: (normalize: boolean) => model.encodeText('cat', { normalize }),
    image: (normalize: boolean) => model.encodeImage(x, { normalize }),
    box: (normalize: boolean) => model.encodeBoxes(x, [[8, 8, 60, 60]], { normalize }),
  })) {
    const [unit, raw] = [await floats(await encode(true)), await floats(await encode(false))]
    t.ok(Math.abs(length(unit) - 1) < 1e-5, `${name}: unit length`)
    const scaled = raw.map(v => v / length(raw))
    t.ok(difference(unit, scaled) < 1e-5, `${name}: the same direction`)
  }
})

t.test('every call refuses wrong options', async t => {
  const masks = Tensor.from(new Uint8Array(144).fill(1), [1, 12, 12])
  const boxes = [[0, 0, 50, 50]]
  const calls: Record<string, (options: never) => Promise<unknown>> = {
    encodeText: o => model.encodeText('cat', o),
    encodeImage: o => model.encodeImage(x, o),
    encodeDense: o => model.encodeDense(x, o),
    encodeBoxes: o => model.encodeBoxes(x, boxes, o),
    encodeMasks: o => model.encodeMasks(x, masks, o),
    vocabulary: o => model.vocabulary(['cat'], o),
    encode: o => model.encode(image, o),
    loadModel: o => loadModel('words-tiny', o),
    inspectCheckpoint: o => inspectCheckpoint('words-tiny', o),
  }
  const common: [unknown, RegExp][] = [
    [null, /^options must be an object/],
    [5, /^options must be an object/],
    ['x', /^options must be an object/],
    [{ signal: 5 }, /^signal must be an AbortSignal/],
    [{ signal: { aborted: true } }, /^signal must be an AbortSignal/],
    [{ onProgress: 5 }, /^onProgress must be a function/],
  ]
  for (const [name, call] of Object.entries(calls)) {
    for (const [options, message] of common) {
      await t.rejects(call(options as never), { ...invalid, message }, name)
    }
  }
  const dense: [unknown, RegExp][] = [
    [{ mode: 'x' }, /^mode must be one of vanilla, maskclip/],
    [{ mode: null }, /^mode/],
    [{ positions: 'x' }, /^positions must be 'scale-factor' or 'size'/],
    [{ normalize: 'yes' }, /^normalize/],
    [{ residual: 'x' }, /^residual/],
    [{ feedForward: 1 }, /^feedForward/],
    [{ layers: '7' }, /^layers/],
    [{ layers: [1.5] }, /^layers/],
    [{ layers: [] }, /^layers/],
    [{ mode: 'itaclip', layers: [0] }, /^layers/],
    [{ mode: 'itaclip', layers: [99] }, /^layers/],
    [{ selfAttention: 'x' }, /^selfAttention/],
    [{ gaussianStd: 0 }, /^gaussianStd/],
    [{ gaussianStd: Number.NaN }, /^gaussianStd/],
    [{ neighboursOnly: 'x' }, /^neighboursOnly/],
    [{ mode: 'proxyclip' }, /^proxy must be { model } or { features }/],
    [{ mode: 'proxyclip', proxy: { features: [1] } }, /^proxy\.features/],
    [{ mode: 'proxyclip', proxy: { features: x, beta: Number.NaN } }, /^proxy\.beta/],
    [{ mode: 'proxyclip', proxy: { features: x, gamma: 'x' } }, /^proxy\.gamma/],
    [{ mode: 'proxyclip', proxy: { features: x, gamma: 0 } }, /^proxy\.gamma/],
    [{ mode: 'proxyclip', proxy: { features: masks } }, /proxy\.features/],
  ]
  for (const name of ['encodeDense', 'encodeBoxes', 'encodeMasks'] as const) {
    for (const [options, message] of dense) {
      await t.rejects(calls[name]?.(options as never) as Promise<unknown>, { ...invalid, message })
    }
  }
  const regions: [unknown, RegExp][] = [
    [{ imageIndex: 5 }, /^imageIndex/],
    [{ imageIndex: '0' }, /^imageIndex/],
    [{ imageIndex: [0.5] }, /^imageIndex/],
    [{ imageIndex: [Number.NaN] }, /^imageIndex/],
    [{ imageIndex: [-1] }, /^imageIndex/],
    [{ imageIndex: [1] }, /^imageIndex/],
    [{ imageIndex: [0, 0] }, /^imageIndex/],
    [{ size: 7 }, /^size must be 8/],
    [{ size: 1e9 }, /^size/],
    [{ size: '96' }, /^size/],
    [{ normalizeBeforePooling: 1 }, /^normalizeBeforePooling/],
  ]
  for (const name of ['encodeBoxes', 'encodeMasks'] as const) {
    for (const [options, message] of regions) {
      await t.rejects(calls[name]?.(options as never) as Promise<unknown>, { ...invalid, message })
    }
  }
  await t.rejects(model.encodeImage(x, { positions: 'x' as never }), {
    ...invalid,
    message: /^positions/,
  })
})

t.test('wrong texts, tokens, pictures, boxes and masks', async t => {
  const reject = (call: Promise<unknown>, message: RegExp) =>
    t.rejects(call, { ...invalid, message })
  for (const texts of [undefined, null, 5, {}, [5]]) {
    await reject(model.encodeText(texts as never), /^texts/)
  }
  const ids = (values: number[], shape: number[]) => Tensor.from(Int32Array.from(values), shape)
  await reject(model.encodeText(x), /^tokens must be an int32 or int64 tensor \[T, L\]/)
  await reject(model.encodeText(ids([1], [1])), /^tokens/)
  await reject(model.encodeText(ids([], [1, 0])), /^tokens must have 1\.\.77 columns/)
  await reject(model.encodeText(ids(Array(78).fill(1), [1, 78])), /^tokens/)
  await reject(model.encodeText(ids([-1], [1, 1])), /^token ids must be 0\.\.49407/)
  await reject(model.encodeText(ids([49408], [1, 1])), /^token ids/)
  t.same((await model.encodeText([])).shape, [0, 128])

  for (const wrong of [undefined, null, 5, {}, [], model, '']) {
    await reject(model.encodeImage(wrong as never), /^image must be/)
    await reject(model.encodeDense(wrong as never), /^image must be/)
  }
  for (const [shape, message] of [
    [[3, 96, 96], /float \[B, 3, H, W\]/],
    [[1, 1, 96, 96], /float \[B, 3, H, W\]/],
    [[0, 3, 96, 96], /float \[B, 3, H, W\]/],
    [[1, 3, 7, 96], /at least 8 pixels/],
    [[1, 3, 96, 0], /at least 8 pixels/],
  ] as [number[], RegExp][]) {
    const size = shape.reduce((a, b) => a * b, 1)
    const wrong = Tensor.from(new Float32Array(size), shape)
    await reject(model.encodeImage(wrong), message)
    await reject(model.encodeDense(wrong), message)
    await reject(model.encodeBoxes(wrong, [[0, 0, 5, 5]]), message)
  }
  const bytes = Tensor.from(new Uint8Array(3 * 64), [1, 3, 8, 8])
  await reject(model.encodeImage(bytes), /received Byte/)

  for (const [boxes, message] of [
    [5, /^boxes must be/],
    [null, /^boxes must be/],
    [[null], /^boxes\[0\] must be/],
    [[[1, 2, 3]], /^boxes\[0\] must be/],
    [
      [
        [0, 0, 5, 5],
        [Number.NaN, 0, 1, 1],
      ],
      /^boxes\[1\] must be/,
    ],
    [[[9, 0, 5, 5]], /x2 >= x1/],
    [[['0', 0, 5, 5]], /^boxes\[0\]/],
    [Tensor.from(new Float32Array(5), [5]), /^boxes must be a float tensor \[K, 4\]/],
    [Tensor.from(new Int32Array(4), [1, 4]), /^boxes must be a float tensor/],
    [Tensor.from(new Float32Array([0, 0, 1, Number.NaN]), [1, 4]), /^boxes/],
  ] as [never, RegExp][]) {
    await reject(model.encodeBoxes(x, boxes), message)
  }
  t.same((await model.encodeBoxes(x, [])).shape, [0, 128])
  for (const shape of [
    [12, 12],
    [1, 7, 7],
    [1, 0, 12],
    [1, 1, 12, 12],
  ]) {
    const masks = Tensor.from(new Uint8Array(shape.reduce((a, b) => a * b, 1)), shape)
    await reject(model.encodeMasks(x, masks), /^masks must/)
  }
  await reject(model.encodeMasks(x, [[1]] as never), /^masks must be a Tensor/)
})

t.test('wrong receivers are errors', async t => {
  for (const method of ['encodeImage', 'encodeText', 'encodeDense', 'encode', 'vocabulary']) {
    for (const receiver of [{}, undefined, x, Object.create(Model.prototype)]) {
      const call = Model.prototype[method as 'encodeImage'].call(receiver as never, image)
      await t.rejects(call, Error, method)
    }
  }
  const call = model.encodeImage(Object.create(Tensor.prototype) as never)
  await t.rejects(call, { ...invalid, message: 'A Tensor was expected.' })
})

t.test('half precision', async t => {
  const classes = ['texture', 'sky', 'tree', 'house', 'dog', 'boat', 'guitar', 'cup']
  const images = [1, 2, 3, 4].map(seed => picture(144, 120, seed))
  const scale = { model, logitScale: 18 }
  // Labels: of flat drawings, where many words score alike.
  const least = { bfloat16: 0.98, float16: 0.98, int8: 0.95 }
  for (const dtype of ['bfloat16', 'float16', 'int8'] as const) {
    const half = await loadModel('words-tiny', { dtype }).catch(error => error)
    if (!(half instanceof Model)) {
      // processors without VNNI
      t.match(half, { code: 'ERR_DECLIP_DEVICE', message: /dtype 'int8' cannot be used here/ })
      t.equal(dtype, 'int8')
      continue
    }
    t.equal(half.info.dtype, dtype)
    const cosine = async (encode: (m: Model) => Promise<Tensor>) => {
      const [a, b] = [await floats(await encode(model)), await floats(await encode(half))]
      return a.reduce((sum, v, i) => sum + v * (b[i] as number), 0)
    }
    t.ok((await cosine(m => m.encodeText('cat'))) > 0.995, 'text features')
    t.ok((await cosine(m => m.encodeImage(images[0] as never))) > 0.995, 'image features')
    t.equal((await half.encodeDense(x)).dtype, 'float32', 'results are float32')
    let same = 0
    for (const one of images) {
      const expected = await labelsOf(await segment(one, classes, scale))
      same += agreement(
        await labelsOf(await segment(one, classes, { ...scale, model: half })),
        expected,
      )
    }
    t.ok(
      same / images.length >= least[dtype],
      `${dtype}: ${((100 * same) / images.length).toFixed(2)} %`,
    )
    half.dispose()
  }
})

t.test('a warning where a fine-tuned checkpoint runs in another mode', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'declip-model-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const file = join(folder, 'DeCLIP_EVA-B_DINOv2-B_csa_560.safetensors')
  await copyFile(fixture('eva-tiny', 'eva-tiny.safetensors'), file)
  const warnings: Error[] = []
  const listen = (warning: Error) => warnings.push(warning)
  process.on('warning', listen)
  t.teardown(() => process.off('warning', listen))
  const tuned = await loadModel(file)
  t.teardown(() => tuned.dispose())
  t.equal(tuned.info.denseMode, 'csa')
  const run = async (options: object) => {
    warnings.length = 0
    const view = await tuned.encode(picture(112, 112), { shortSide: null, window: 0, ...options })
    view.dispose()
    await new Promise(setImmediate)
    return warnings.map(({ name, message }) => `${name}: ${message}`)
  }
  t.same(await run({}), [], 'its own mode')
  t.match(await run({ denseMode: 'qq' }), [/^DeclipWarning: .*'csa' and is run with 'qq'/])
  t.same(await run({ denseMode: 'qq' }), [], 'said once')
  t.match(await run({ method: 'vanilla' }), [/is run with 'vanilla'/])
  // encodeDense takes the checkpoint's own mode
  const wide = Tensor.from(normalised(1, 64, 64), [1, 3, 64, 64])
  const [own, csa] = [await tuned.encodeDense(wide), await tuned.encodeDense(wide, { mode: 'csa' })]
  t.equal(difference(await floats(own), await floats(csa)), 0)
})

t.test('words are encoded once per model', async t => {
  const own = await loadModel()
  t.teardown(() => own.dispose())
  const { textModel } = own
  let calls = 0
  const counting = Object.create(textModel.native, {
    info: { value: textModel.native.info },
    encodeWords: {
      value: (...args: Parameters<NativeModel['encodeWords']>) => {
        calls += 1
        return textModel.native.encodeWords(...args)
      },
    },
  })
  Object.defineProperty(own, 'textModel', { value: { ...textModel, native: counting } })
  const first = await own.vocabulary(['cat, feline', 'dog', 'background'])
  const afterFirst = calls
  t.ok(afterFirst > 0)
  const again = await own.vocabulary(['background', 'feline', 'cat'])
  t.equal(calls, afterFirst, 'words in another order')
  const [a, b] = [await floats(first.features), await floats(again.features)]
  t.same(a.subarray(0, 128), b.subarray(256), "'cat'")
  const seg = await segment(image, ['dog', 'cat'], { model: own })
  t.equal(calls, afterFirst, 'segment() uses them too')
  const view = await own.encode(image)
  await view.segment(first)
  await segment(image, first, { model: own })
  t.equal(calls, afterFirst, 'a vocabulary is ready')
  await own.vocabulary(['zebra'])
  t.equal(calls, afterFirst + 1, 'a new word')
  await own.vocabulary(['cat'], { templates: 'none' })
  t.equal(calls, afterFirst + 2, 'other prompts')
  seg.dispose()
  view.dispose()
})

t.test('proxyclip on a flat wall, where no similarity passes its threshold', async t => {
  const wall = { data: new Uint8Array(96 * 96 * 3).fill(200), width: 96, height: 96 }
  const features = Tensor.from(new Float32Array(4 * 12 * 12).fill(1), [1, 4, 12, 12])
  const map = await floats(await model.encodeDense(x, { mode: 'proxyclip', proxy: { features } }))
  t.ok(map.every(Number.isFinite), 'features')
  const seg = await segment(wall, ['sky', 'wall'], {
    model,
    method: 'proxyclip',
    proxy: { features },
    window: 0,
    probabilities: true,
  })
  t.ok((await floats(seg.probabilities as Tensor)).every(Number.isFinite), 'probabilities')
})

t.test('ITACLIP takes the blocks that fit the tower', async t => {
  // 7, 8 and 10 of twelve: of this tower's six, the fourth, again the fourth, and the fifth.
  const own = await floats(await model.encodeDense(x, { mode: 'itaclip' }))
  const told = await floats(await model.encodeDense(x, { mode: 'itaclip', layers: [4, 5] }))
  t.same(own, told)
})

t.test('DECLIP_ENGINE is read when a model is loaded', async t => {
  const { env } = process
  env['DECLIP_ENGINE'] = 'eager'
  t.teardown(() => delete env['DECLIP_ENGINE'])
  using eager = await loadModel()
  t.match(eager.info.engine, /^eager/)
  const [a, b] = await Promise.all([model, eager].map(async m => floats(await m.encodeDense(x))))
  t.ok(difference(a as Float32Array, b as Float32Array) < 2e-5)
})

t.test('boxes and masks of an encoded picture', async t => {
  const wide = picture(150, 90)
  const side = 96
  const boxes = [
    [10, 5, 100, 80],
    [0, 0, 150, 90],
  ]
  // By hand: the picture as the model sees it, from the addon, then everything in its pixels.
  const { addon } = await import('../../../ts/engine/load-addon.js').then(m => ({
    addon: m.loadAddon(),
  }))
  const { mean, std } = model.native.info
  const padded = new Tensor(
    await addon.preprocess({
      pixels: wide.data,
      width: 150,
      height: 90,
      fit: 'pad',
      size: side,
      mean,
      std,
    }),
  )
  t.same(padded.shape, [1, 3, side, side])
  const pixels = await floats(padded)
  const black = mean.map((m, c) => -m / (std[c] as number))
  const rows = Math.round((90 * side) / 150)
  for (const [c, value] of black.entries()) {
    const last = pixels.subarray((c * side + side - 1) * side, (c * side + side) * side)
    t.ok(difference(last, new Float32Array(side).fill(value)) < 1e-5, 'black below')
    const inside = pixels.subarray((c * side + rows - 1) * side, (c * side + rows) * side)
    t.ok(difference(inside, new Float32Array(side).fill(value)) > 0.05, 'picture above')
  }
  const scale = side / 150
  const got = await floats(await model.encodeBoxes(wide, boxes))
  const want = await floats(
    await model.encodeBoxes(
      padded,
      boxes.map(b => b.map(v => v * scale)),
    ),
  )
  t.ok(difference(got, want) < 1e-5, 'boxes scale with the picture')

  // A mask over columns 0..74 of 150: half of the patch columns that the picture fills.
  const mask = new Uint8Array(90 * 150).map((_, i) => (i % 150 < 75 ? 1 : 0))
  const pooled = await floats(await model.encodeMasks(wide, Tensor.from(mask, [1, 90, 150])))
  const map = await floats(await model.encodeDense(padded))
  const filledRows = Math.round((90 / 150) * 12)
  const mean128 = Array.from({ length: 128 }, (_, d) => {
    let sum = 0
    for (let y = 0; y < filledRows; y++) {
      for (let column = 0; column < 6; column++) sum += map[(d * 12 + y) * 12 + column] as number
    }
    return sum
  })
  const norm = Math.hypot(...mean128)
  t.ok(
    difference(
      pooled,
      mean128.map(v => v / norm),
    ) < 2e-2,
    'the mean of the patches under the mask',
  )
  // [K, h, w] on the patch grid is exact.
  const grid = new Uint8Array(144).map((_, i) => (i % 12 < 6 && i < 12 * filledRows ? 1 : 0))
  const exact = await floats(await model.encodeMasks(padded, Tensor.from(grid, [1, 12, 12])))
  t.ok(
    difference(
      exact,
      mean128.map(v => v / norm),
    ) < 1e-5,
  )
})

t.test('vision foundation models', async t => {
  using dino = await loadModel(fixture('vfm', 'dino.safetensors'), { config: { headWidth: 32 } })
  using sam = await loadModel(fixture('vfm', 'sam.safetensors'), { dtype: 'bfloat16' })
  const photo = picture(80, 60)
  t.match(dino.info, { family: 'dino', format: 'original', towers: ['vision'], embedDim: 96 })
  t.strictSame([dino.info.denseModes, dino.info.methods, dino.info.defaultMethod], [[], [], null])
  t.match(sam.info, { family: 'sam', dtype: 'bfloat16', embedDim: 32, heads: 2 })
  const file = await inspectCheckpoint(fixture('vfm', 'dinov2-swiglu.safetensors'), {
    config: { headWidth: 32 },
  })
  t.match(file, { family: 'dinov2', text: null, vision: { activation: 'swiglu', mlp: 176 } })
  t.ok(difference(file.mean, [0.485, 0.456, 0.406]) < 1e-12, "ImageNet's statistics")

  const patches = await dino.encodeDense(photo)
  t.same(patches.shape, [1, 96, 8, 8], 'a picture is squashed to the native square')
  const lengths = await floats(patches)
  t.ok(
    lengths.some(v => Math.abs(v) > 1),
    'not normalised',
  )
  t.same((await sam.encodeDense(photo)).shape, [1, 32, 8, 8])
  t.same((await dino.encodeImage(photo)).shape, [1, 96])
  t.same((await dino.encodeBoxes(photo, [[0, 0, 40, 40]])).shape, [1, 96])

  const weights = { name: 'DeclipError', code: 'ERR_DECLIP_WEIGHTS' }
  const noText = {
    ...weights,
    message: /is a vision foundation model \(dino\).* proxy: \{ model \}/,
  }
  await t.rejects(dino.encodeText('a cat'), noText)
  await t.rejects(dino.vocabulary(['cat', 'dog']), noText)
  await t.rejects(dino.encode(photo), noText)
  await t.rejects(segment(photo, ['cat', 'dog'], { model: dino }), noText)
  await t.rejects(segmentMany([photo], ['cat'], { model: dino }).next(), noText)
  await t.rejects(sam.encodeImage(photo), { ...weights, message: /no class token/ })

  for (const options of [{ mode: 'csa' }, { positions: 'size' }, { layers: [1] }] as const) {
    const message = new RegExp(`^${Object.keys(options)[0]} does not go with`)
    await t.rejects(dino.encodeDense(photo, options), { ...invalid, message })
  }
  await t.rejects(dino.encodeImage(photo, { positions: 'size' }), invalid)
  await t.rejects(loadModel(fixture('vfm', 'sam.safetensors'), { config: { headWidth: 64 } }), {
    ...invalid,
    message: /headWidth must be 32/,
  })
  await t.rejects(loadModel(fixture('vfm', 'dino.safetensors')), {
    ...weights,
    message: /give config\.headWidth/,
  })
  using dinov2 = await loadModel(fixture('vfm', 'dinov2-hf'))
  const odd = Tensor.from(new Float32Array(3 * 30 * 28), [1, 3, 30, 28])
  await t.rejects(dinov2.encodeDense(odd), { ...invalid, message: /multiples of its patch, 14/ })
})
