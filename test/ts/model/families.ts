/**
 * Every family of checkpoints through every call, on random weights: what a model says it can do it does, in every
 * number format and in the plain engine, and what it cannot is refused by name.
 */
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { DENSE_MODES } from '../../../ts/base/names.js'
import {
  type DenseMode,
  inspectCheckpoint,
  loadModel,
  type Model,
  segment,
  segmentMany,
  Tensor,
} from '../../../ts/index.js'
import { difference, floats, labelsOf, normalised, picture } from '../../support/calls.js'
import { FAMILY_FILES, type FamilyFile, writeFamily } from '../../support/family-files.js'

const WORDS = ['cat', 'dog', 'background']
const temp = mkdtempSync(join(tmpdir(), 'declip-families-'))
t.teardown(() => rm(temp, { recursive: true, force: true }))

/** Cosine of two feature vectors, or of two maps as one. */
function cosine(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array) =>
    x.reduce((sum, v, i) => sum + v * (y[i] as number), 0)
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
}

/** Token ids that every vocabulary has, whatever they mean: int32 [2, L]. */
function someIds({ contextLength, text }: Model['info']): Tensor {
  const length = contextLength as number
  const data = Int32Array.from({ length: 2 * length }, (_, i) => 3 + ((i * 7) % 40))
  data[length + 5] = text?.endToken ?? 60
  return Tensor.from(data, [2, length])
}

/** Modes whose external features lie on a grid of their own. */
const PROXY: readonly DenseMode[] = ['proxyclip', 'corrclip']

/** Options of a mode; CorrCLIP has no branch of earlier blocks in towers this shallow. */
function optionsOf(mode: DenseMode, batch: number) {
  const scclip = { middleBlock: 1, earlyBlock: 1, fusedBlocks: [1, 1], classWeight: 0.3 } as const
  if (!PROXY.includes(mode)) return mode === 'scclip' ? { mode, scclip } : { mode }
  const features = Tensor.from(normalised(batch, 4, 6, 9).slice(0, batch * 72), [batch, 3, 4, 6])
  return { mode, proxy: { features }, corrclip: { spatialWeight: 0 } }
}

async function encodesPictures(t: Test, model: Model, file: FamilyFile): Promise<void> {
  const { patch, embedDim } = file
  const [height, width] = [3 * patch, 5 * patch]
  const two = Tensor.from(normalised(2, height, width), [2, 3, height, width])
  const each = [0, 1].map(i => {
    const data = normalised(2, height, width).subarray(i * 3 * height * width)
    return Tensor.from(data.slice(0, 3 * height * width), [1, 3, height, width])
  })
  const same = async (name: string, encode: (image: Tensor) => Promise<Tensor>) => {
    const both = await encode(two)
    const data = await floats(both)
    const single = await Promise.all(each.map(async image => floats(await encode(image))))
    t.ok(data.every(Number.isFinite), `${name}: finite`)
    const joined = Float32Array.from([
      ...(single[0] as Float32Array),
      ...(single[1] as Float32Array),
    ])
    t.ok(difference(data, joined) < 1e-5, `${name}: two pictures are two times one`)
    return both
  }
  t.same((await same('encodeImage', x => model.encodeImage(x))).shape, [2, embedDim])
  if (file.modes.length === 0) {
    t.same((await same('encodeDense', x => model.encodeDense(x))).shape, [2, embedDim, 3, 5])
  }
  for (const mode of file.modes) {
    if (PROXY.includes(mode)) {
      // its statistic runs over the batch
      const dense = await model.encodeDense(two, optionsOf(mode, 2))
      t.same(dense.shape, [2, embedDim, 4, 6], mode)
      continue
    }
    t.same((await same(mode, x => model.encodeDense(x, optionsOf(mode, 1)))).shape, [
      2,
      embedDim,
      3,
      5,
    ])
  }
  const image = each[0] as Tensor
  const box = [1, 2, 2 * patch, 2 * patch]
  const region = await model.encodeBoxes(image, [box])
  const regions = await model.encodeBoxes(two, [box, box], { imageIndex: [0, 1] })
  t.same(regions.shape, [2, embedDim], 'encodeBoxes')
  const first = (await floats(regions)).slice(0, embedDim)
  t.ok(difference(await floats(region), first) < 1e-5, 'a box of the first picture')
  const mask = Tensor.from(new Uint8Array(15).fill(1), [1, 3, 5])
  t.same((await model.encodeMasks(image, mask)).shape, [1, embedDim], 'encodeMasks')
}

async function refusesModes(t: Test, model: Model, file: FamilyFile): Promise<void> {
  const image = Tensor.from(normalised(1, file.side, file.side), [1, 3, file.side, file.side])
  for (const mode of DENSE_MODES) {
    if (file.modes.includes(mode)) continue
    const error = await model.encodeDense(image, optionsOf(mode, 1)).catch(e => e)
    t.match(error, { name: 'DeclipError', code: 'ERR_DECLIP_INVALID_ARG' }, `${mode} is refused`)
    for (const known of file.modes) {
      t.ok(error.message.includes(`'${known}'`), `${mode}: the refusal lists ${known}`)
    }
  }
}

async function encodesTexts(t: Test, model: Model, file: FamilyFile): Promise<void> {
  const ids = someIds(model.info)
  const both = await floats(await model.encodeText(ids))
  const data = (await ids.data()) as Int32Array
  const length = data.length / 2
  for (const i of [0, 1]) {
    const one = Tensor.from(data.slice(i * length, (i + 1) * length), [1, length])
    const single = await floats(await model.encodeText(one))
    const row = both.slice(i * file.embedDim, (i + 1) * file.embedDim)
    t.ok(difference(single, row) < 1e-5, 'two texts are two times one')
  }
  if (!file.words) return
  const tokens = model.tokenize(['a photo of a cat', 'two dogs'])
  t.same(tokens.shape, [2, model.info.contextLength], 'tokenize')
  t.ok(
    difference(
      await floats(await model.encodeText(tokens)),
      await floats(await model.encodeText(['a photo of a cat', 'two dogs'])),
    ) < 1e-6,
    'texts are their ids',
  )
}

/** Options with which any of the models segments a small picture in a few windows. */
const segmentation = (file: FamilyFile, model: Model) => {
  const window = 4 * file.patch
  const shortSide = 5 * file.patch
  return { model, window, stride: 2 * file.patch, shortSide, pamr: false as const }
}

async function segments(t: Test, model: Model, file: FamilyFile): Promise<void> {
  const image = picture(90, 70)
  const options = segmentation(file, model)
  const whole = await segment(image, WORDS, options)
  t.same(whole.labels.shape, [70, 90], 'segment')
  const labels = await labelsOf(whole)
  using view = await model.encode(image, options)
  t.same(await labelsOf(await view.segment(WORDS)), labels, 'a view says the same')
  const many: number[][] = []
  for await (const seg of segmentMany([image, image], WORDS, options)) {
    many.push(await labelsOf(seg))
  }
  t.same(many, [labels, labels], 'segmentMany')
}

/** Features under a mode, of one picture and of one text, in other number formats and in the plain engine. */
async function agreesWith(t: Test, model: Model, source: string, file: FamilyFile) {
  const side = file.side
  const image = Tensor.from(normalised(1, side, side), [1, 3, side, side])
  const of = async (m: Model) => [
    await floats(await m.encodeImage(image)),
    await floats(await m.encodeDense(image, file.modes[1] ? { mode: file.modes[1] } : {})),
    ...(file.info['contextLength'] === null
      ? []
      : [await floats(await m.encodeText(someIds(m.info)))]),
  ]
  const exact = await of(model)
  const check = async (name: string, least: number, load: () => Promise<Model>) => {
    using other = await load()
    for (const [i, got] of (await of(other)).entries()) {
      const close = cosine(got, exact[i] as Float32Array)
      t.ok(close > least, `${name}: cosine ${close} of output ${i}`)
    }
  }
  const config = file.config ?? {}
  await check('bfloat16', 0.99, () => loadModel(source, { config, dtype: 'bfloat16' }))
  await check('int8', 0.97, () => loadModel(source, { config, dtype: 'int8' })).catch(error =>
    t.match(error, { code: 'ERR_DECLIP_DEVICE' }, 'a processor without VNNI says so'),
  )
  const before = process.env['DECLIP_ENGINE']
  process.env['DECLIP_ENGINE'] = 'eager'
  try {
    await check('eager', 0.99999, () => loadModel(source, { config }))
  } finally {
    if (before === undefined) delete process.env['DECLIP_ENGINE']
    else process.env['DECLIP_ENGINE'] = before
  }
}

async function endsInTheMiddle(t: Test, source: string, file: FamilyFile): Promise<void> {
  const model = await loadModel(source, { config: file.config ?? {} })
  const side = 12 * file.patch
  const image = Tensor.from(normalised(2, side, side), [2, 3, side, side])
  const exact = await floats(await model.encodeImage(image))
  const controller = new AbortController()
  const aborted = model.encodeImage(image, { signal: controller.signal })
  controller.abort()
  // These towers are so small that a call may be through before its signal is seen; test/lifetime/abort.ts waits.
  await aborted.then(
    tensor => t.same(tensor.shape, [2, file.embedDim], 'done before it was aborted'),
    error => t.match(error, { code: 'ERR_DECLIP_ABORTED' }, 'aborted'),
  )
  const running = model.encodeImage(image)
  model.dispose()
  t.ok(difference(await floats(await running), exact) === 0, 'a call in flight finishes')
  await t.rejects(model.encodeImage(image), { code: 'ERR_DECLIP_DISPOSED' }, 'disposed')
}

for (const file of FAMILY_FILES) {
  t.test(file.name, async t => {
    const source = writeFamily(file, temp)
    const model = await loadModel(source, { config: file.config ?? {} })
    t.teardown(() => model.dispose())
    const { family, format } = model.info
    t.match(model.info, { ...file.info, embedDim: file.embedDim, patchSize: file.patch }, 'info')
    t.same([...model.info.denseModes].sort(), [...file.modes].sort(), 'the modes that it lists')
    t.match(await inspectCheckpoint(source), { family, format }, 'inspectCheckpoint')
    await encodesPictures(t, model, file)
    const whole = await model.encodeImage(picture(60, 45))
    t.same(whole.shape, [1, file.embedDim], 'a picture of any size')
    await refusesModes(t, model, file)
    if (model.info.textSpace) await encodesTexts(t, model, file)
    if (file.words) await segments(t, model, file)
    await agreesWith(t, model, source, file)
    await endsInTheMiddle(t, source, file)
  })
}
