/** The addon's own surface, where a wrong receiver or a forged handle must be an error, not a crash. */
import t from 'tap'
import { DENSE_MODES } from '../../../ts/base/names.js'
import type { NativeModel, NativeTensor } from '../../../ts/engine/addon-types.js'
import { callNative } from '../../../ts/engine/call-native.js'
import { loadAddon } from '../../../ts/engine/load-addon.js'
import { loadModel, Tensor } from '../../../ts/index.js'
import { METHODS } from '../../../ts/methods/list.js'
import { methodsOf } from '../../../ts/methods/preset.js'
import { difference, floats, normalised, picture } from '../../support/calls.js'

type Method = (this: unknown, ...args: unknown[]) => unknown

const addon = loadAddon()
const model = await loadModel()
const { native } = model
const view = await native.encode({
  picture: { pixels: picture(96, 96).data, width: 96, height: 96 },
  pipeline: {
    dense: { mode: 'vanilla' },
    shortSide: 0,
    window: 0,
    stride: 1,
    padTo: 8,
    augment: false,
    augmentWeight: 1,
  },
})
const trainer = await addon.createTrainer({
  student: model.info.path,
  config: {},
  train: {
    objective: 'clipself',
    mode: 'qq',
    contentWeight: 1,
    contextWeight: 0.1,
    leastClasses: 100,
    regionLoss: 'sigmoid' as const,
    regionWeight: 1,
    trainText: true,
    schedule: {
      kind: 'constant',
      rate: 1e-5,
      warmup: 0,
      total: 0,
      cooldown: 0,
      cooldownPower: 1,
      cooldownEnd: 0,
    },
    weightDecay: 0,
    clipNorm: 0,
    emaDecay: 0,
    device: 'cpu',
    dtype: 'float32',
    checkpointActivations: false,
    seed: 0,
  },
})
const tensor = addon.tensor(new Float32Array(3 * 96 * 96), [1, 3, 96, 96], 'float32')
const token = new addon.CancelToken()
const invalid = { code: 'ERR_DECLIP_INVALID_ARG' }
t.teardown(() => {
  tensor.dispose()
  trainer.dispose()
  view.dispose()
  model.dispose()
})

/** Of the addon's functions those that read no argument, and those that take any number in range. */
const TAKE_NOTHING = ['runtime', 'queueStats', 'ticket', 'memoryUse', 'CancelToken']
const TAKE_NUMBERS = ['setThreads', 'setMemoryBudget', 'reserveMemory', 'unreserveMemory']

/** What a call throws or rejects with; undefined where it does neither. */
async function failure(call: () => unknown): Promise<unknown> {
  try {
    await call()
    return undefined
  } catch (error) {
    return error
  }
}

t.test('wrong receivers', async t => {
  const handles: Record<string, object> = { model: native, view, trainer, tensor, token }
  for (const [name, handle] of Object.entries(handles)) {
    const prototype = Object.getPrototypeOf(handle) as Record<string, Method>
    const methods = Object.getOwnPropertyNames(prototype).filter(key => key !== 'constructor')
    t.ok(methods.length > 0, `${name} has methods`)
    const receivers: unknown[] = [
      {},
      null,
      undefined,
      5,
      prototype,
      Object.create(prototype),
      Object.create(handle),
      new Proxy(handle, {}),
      Object.defineProperties({}, Object.getOwnPropertyDescriptors(handle)),
      ...Object.values(handles).filter(other => other !== handle),
    ]
    for (const method of methods) {
      for (const [i, receiver] of receivers.entries()) {
        const error = await failure(() => prototype[method]?.call(receiver, {}, 0, 0))
        t.ok(error instanceof TypeError, `${name}.${method}, receiver ${i}: ${error}`)
      }
    }
  }
})

t.test('handles cannot be made or forged', async t => {
  for (const handle of [native, view, trainer, tensor]) {
    const Handle = handle.constructor as new (...args: unknown[]) => object
    for (const args of [[], [5], [{}], [handle], [handle, handle]]) {
      t.throws(() => new Handle(...args), { name: 'TypeError', message: /are made with/ })
    }
    t.throws(() => new (class extends Handle {})(), { name: 'TypeError' })
    t.throws(() => Reflect.construct(Handle, [], Object), { name: 'TypeError' })
  }
  const forged: unknown[] = [
    undefined,
    null,
    {},
    5,
    native,
    view,
    token,
    Object.create(tensor),
    Object.create(Object.getPrototypeOf(tensor)),
    { ...tensor },
    new Proxy(tensor, {}),
  ]
  for (const [i, image] of forged.entries()) {
    const error = await failure(() =>
      native.encodeImage({ image: image as NativeTensor, normalize: true }),
    )
    t.match(error, { ...invalid, message: 'A Tensor was expected.' }, `image ${i}`)
  }
})

t.test('every method refuses nonsense', async t => {
  const getter = {
    get token() {
      throw new RangeError('from a getter')
    },
  }
  const arguments_: unknown[] = [undefined, null, 5, 'x', [], {}, () => {}, Symbol('x'), getter]
  const targets: [string, Record<string, Method>, string[]][] = [
    [
      'addon',
      addon as never,
      Object.keys(addon).filter(k => !TAKE_NOTHING.includes(k) && !TAKE_NUMBERS.includes(k)),
    ],
    ['model', native as never, Object.getOwnPropertyNames(Object.getPrototypeOf(native))],
    ['view', view as never, Object.getOwnPropertyNames(Object.getPrototypeOf(view))],
    ['trainer', trainer as never, Object.getOwnPropertyNames(Object.getPrototypeOf(trainer))],
    ['tensor', tensor as never, ['slice', 'reshape', 'to']],
  ]
  for (const [name, target, methods] of targets) {
    for (const method of methods) {
      if (method === 'constructor' || method === 'dispose') continue
      for (const argument of arguments_) {
        const error = await failure(() => target[method]?.(argument))
        const harmless = method === 'to' && typeof argument !== 'symbol' // nothing asked for
        t.ok(error instanceof Error || harmless, `${name}.${method}(${typeof argument})`)
      }
    }
  }
})

t.test('lengths and ranges that memory safety needs', async t => {
  const pixels = new Uint8Array(27)
  const preprocess = (given: object) =>
    failure(() =>
      addon.preprocess({
        pixels,
        width: 3,
        height: 3,
        fit: 'squash',
        size: 8,
        mean: [0, 0, 0],
        std: [1, 1, 1],
        ...given,
      }),
    )
  t.equal(await preprocess({}), undefined)
  for (const given of [
    { width: 4 },
    { width: -3, height: -3 },
    { width: 2 ** 40, height: 2 ** 40 },
    { width: 1.5 },
    { width: Number.NaN },
    { pixels: new Uint16Array(27) },
    { pixels: new Uint8Array(26) },
    { pixels: [...pixels] },
    { fit: 'stretch' },
    { size: 0.5 },
    { mean: [0, 0] },
  ]) {
    t.match(await preprocess(given), invalid, JSON.stringify(given).slice(0, 60))
  }
  t.ok((await preprocess({ size: 0 })) instanceof Error)
  t.ok((await preprocess({ size: -1 })) instanceof Error)

  const names = addon.tensor(new Float32Array(4), [2, 2], 'float32')
  for (const index of [[0], [0, 2], [0, -2], [0, 1e15]]) {
    const mixed = { names, auxiliary: names, index: index as never, weight: 0.5 }
    t.match(await failure(() => addon.mixText(mixed)), invalid, `index ${index}`)
  }
  t.match(await failure(() => addon.similarity({ a: names, b: tensor })), invalid)
  for (const shape of [[3], [-2, -2], [2 ** 32, 2 ** 32], [Number.NaN], ['x'], [{}]]) {
    t.throws(() => names.reshape(shape as number[]), Error)
    t.throws(() => addon.tensor(new Float32Array(4), shape as number[], 'float32'), Error)
  }
  t.throws(() => addon.tensor(new Uint8Array(5), [1], 'float32'), invalid, 'a part of an element')
  t.throws(() => addon.tensor(new Uint8Array(4), [1], 'complex64' as never), invalid)
  for (const threads of [0, -1, 1.5e9, Number.NaN, 'x']) {
    t.throws(() => addon.setThreads(threads as number), invalid)
  }
  for (const bytes of [-1, 1e300, Number.NaN, 'x', {}, undefined]) {
    for (const name of ['setMemoryBudget', 'reserveMemory', 'unreserveMemory'] as const) {
      t.throws(() => addon[name](bytes as number), invalid, `${name}(${String(bytes)})`)
    }
  }
})

t.test('words that name one of several things', async t => {
  const encode = (given: object) =>
    failure(() => native.encodeImage({ image: tensor, normalize: true, ...given }))
  t.equal(await encode({ positions: 'size' }), undefined)
  for (const positions of ['sizes', '', 5, null]) {
    t.match(await encode({ positions }), { ...invalid, message: /positions must be/ })
  }
  const dense = { image: tensor, normalize: true, mode: 'vanilla' as const }
  t.match(await failure(() => native.encodeDense({ ...dense, positions: 'x' as never })), {
    ...invalid,
    message: "positions must be 'scale-factor' or 'size'.",
  })
})

t.test('label maps', async t => {
  const labels = addon.tensor(Uint8Array.of(0, 1, 1, 0), [2, 2], 'uint8')
  const calls = (given: object) =>
    [addon.labelRuns, addon.labelStrings, addon.labelPolygons].map(call =>
      failure(() => call({ labels, classes: 2, tolerance: 0, ...given })),
    )
  t.same(await Promise.all(calls({})), [undefined, undefined, undefined])
  for (const given of [{ classes: 0 }, { classes: 65537 }, { classes: 1.5 }, { labels: tensor }]) {
    for (const error of await Promise.all(calls(given))) t.match(error, invalid)
  }
  labels.dispose()
  for (const error of await Promise.all(calls({}))) t.match(error, { code: 'ERR_DECLIP_DISPOSED' })
})

t.test('an allocation that cannot succeed', async t => {
  // 2^23 squared floats: more than a 64-bit process can address
  const rows = 2 ** 23
  const a = addon.tensor(new Float32Array(rows), [rows, 1], 'float32')
  const call = () => callNative(addon, {}, options => addon.similarity({ ...options, a, b: a }))
  const failed = { name: 'DeclipError', code: 'ERR_DECLIP_OUT_OF_MEMORY' }
  const advice =
    'Use a smaller picture (shortSide), fewer pictures or texts at a time, or a smaller model'
  await t.rejects(call(), { ...failed, message: 'a tensor of 268435456 MB was asked for' })
  await t.rejects(call(), { ...failed, message: advice })
  // Within the budget, it is the system that refuses.
  const { budget } = addon.memoryUse()
  addon.setMemoryBudget(Number.MAX_SAFE_INTEGER)
  await t.rejects(call(), { ...failed, message: '281474976710656 bytes' })
  await t.rejects(call(), { ...failed, message: advice })
  addon.setMemoryBudget(budget)
  a.dispose()
})

t.test('a token of another kind is no token', async t => {
  const features = await native.encodeImage({
    image: tensor,
    normalize: true,
    token: tensor as never,
  })
  t.same(features.shape, [1, 128])
})

t.test('runtime', t => {
  const runtime = addon.runtime()
  t.match(runtime, { libtorch: /^2\.13/, threads: Number, cpu: String, onednn: Boolean })
  t.ok(runtime.threads >= 1)
  t.equal(runtime.cudaDevices > 0, runtime.cudaBuild && runtime.cudaDevices > 0)
  addon.setThreads(runtime.threads)
  t.equal(addon.runtime().threads, runtime.threads)
  t.end()
})

t.test('Tensor and Model keep their handle to themselves', t => {
  const wrapped = Tensor.from(new Float32Array(1), [1])
  t.equal(Object.getPrototypeOf(wrapped.native), Object.getPrototypeOf(tensor))
  const info: NativeModel['info'] = native.info
  t.throws(() => {
    ;(native as { info: unknown }).info = {}
  }, TypeError)
  t.equal(native.info, info)
  t.end()
})

t.test('the dense modes are those of the core, in its order', async t => {
  await t.rejects(
    async () => native.encodeDense({ mode: 'none' as never, image: tensor, normalize: true }),
    { message: `mode must be one of ${DENSE_MODES.join(', ')}; received 'none'.` },
  )
})

t.test("a preset's rule for positions is that of its mode in the core", async t => {
  const image = Tensor.from(normalised(1, 96, 136), [1, 3, 96, 136])
  const features = Tensor.from(normalised(1, 2, 2).subarray(0, 8), [1, 2, 2, 2])
  // nothing was published for towers of so few blocks
  const scclip = { middleBlock: 4, earlyBlock: 2, fusedBlocks: [2, 5], classWeight: 0.3 } as const
  for (const name of methodsOf(model.facts)) {
    const { mode, positions } = METHODS[name].preset
    const proxy = mode === 'proxyclip' || mode === 'corrclip'
    const options = {
      mode,
      ...(mode === 'scclip' && { scclip }),
      ...(proxy && { proxy: { features }, corrclip: { spatialWeight: 0 } }),
    }
    const own = await floats(await model.encodeDense(image, options))
    const given = await floats(await model.encodeDense(image, { ...options, positions }))
    t.same(given, own, `${name}: ${positions}`)
    const other = positions === 'size' ? 'scale-factor' : 'size'
    const wrong = await floats(await model.encodeDense(image, { ...options, positions: other }))
    t.ok(difference(wrong, own) > 0, `${name}: not ${other}`)
  }
})
