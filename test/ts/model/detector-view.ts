/** Detectors through the public calls, on the small ones of the fixtures: words, options, and what is refused. */
import sharp from 'sharp'
import t from 'tap'
import {
  type DetectOptions,
  detect,
  loadModel,
  Tensor,
  type ViewDetectOptions,
  Vocabulary,
} from '../../../ts/index.js'
import { OV_COCO } from '../../../ts/methods/ov-coco.js'
import { detectorSettings } from '../../../ts/model/detector-view.js'
import { fixture, picture, random } from '../../support/calls.js'

const invalid = { name: 'DeclipError', code: 'ERR_DECLIP_INVALID_ARG' }
const model = await loadModel(fixture('fvit', 'coco-fvit.pth'), { device: 'cpu' })
const withMasks = await loadModel(fixture('fvit', 'lvis-fvit.pth'), { device: 'cpu' })
const plain = await loadModel('words-tiny')
const photo = fixture('fvit', 'portrait.png')
const { detector, patchSize, embedDim } = model.info
if (detector === null) throw new Error('no detector')
const names = detector.names as readonly string[]
const patch = patchSize
/** Small, so that a picture takes little time. */
const input = { inputSize: 8 * patch, proposals: { perLevel: 200, keep: 60 } }
const view = await model.encodeForDetection(photo, input)
t.teardown(() => {
  view.dispose()
  for (const one of [model, withMasks, plain]) one.dispose()
})

const objects = async (
  words?: Parameters<typeof view.detect>[0],
  options: ViewDetectOptions = {},
) => {
  using found = await view.detect(words, options)
  return found.toJSON().objects
}

t.test('a view has the size of the picture and answers as detect() does', async t => {
  const { width, height } = await sharp(photo).metadata()
  t.strictSame([view.width, view.height], [width, height])
  t.equal(view.proposals, 60)
  t.ok(view.byteLength > 0)
  using found = await detect(photo, undefined, { model, ...input })
  t.strictSame(found.toJSON().objects, await objects())
  t.ok(found.count > 0)
  t.strictSame([...found.classes], [...names])
  t.match(found.timings, { decodeMs: Number, textMs: Number, encodeMs: Number, pixelsMs: Number })
  using pixels = await model.encodeForDetection(picture(40, 30), input)
  using seen = await pixels.detect(undefined, { limit: 3 })
  t.equal((await sharp(await seen.toPNG({ overlay: true })).metadata()).width, 40)
})

t.test('stored words by name, in any order and spelling', async t => {
  const all = await objects(names, { novel: [...novelNames()] })
  const own = await objects(undefined, { novel: [...novelNames()] })
  t.strictSame(all, own)
  const turned = [...names].reverse()
  const rename = (found: typeof own) =>
    found.map(one => ({ ...one, index: turned.indexOf(one.class) }))
  const back = await objects(turned, { novel: [...novelNames()] })
  t.strictSame(sorted(back), sorted(rename(own)))
  const [first = ''] = names
  const spelled = await objects([first.toUpperCase()], { scoreThreshold: 0 })
  t.ok(spelled.length > 0 && spelled.every(one => one.class === first.toUpperCase()))
  // Two words of one class: what is found is found by the better one.
  const [a = '', b = ''] = names
  const joined = await objects([[a, b]], { scoreThreshold: 0, nmsThreshold: 1, limit: 1000 })
  t.ok(joined.every(one => one.index === 0))
  await t.rejects(view.detect([a, 'unicorn']), {
    ...invalid,
    message: /'unicorn' must be encoded by a text tower.*text: \{ model \}/,
  })
  await t.rejects(view.detect([[a, 'unicorn', 'dragon']]), {
    ...invalid,
    message: /'unicorn' and 1 more words/,
  })
})

function novelNames(): Set<string> {
  return new Set(
    OV_COCO.filter(({ split }) => split === 'novel')
      .map(({ name }) => name)
      .filter(name => names.includes(name)),
  )
}

/** Sums over words in another order differ in their last digits, and equal scores in their order. */
function sorted(list: Awaited<ReturnType<typeof objects>>): string[] {
  return list
    .map(({ index, score, box }) =>
      [index, score.toFixed(4), ...box.map(side => side.toFixed(2))].join(' '),
    )
    .sort()
}

t.test('base and novel change the share of the vote, and nothing else', async t => {
  const [first = ''] = names
  const equal = { alpha: 0.3, beta: 0.3 }
  t.strictSame(
    await objects(undefined, { ...equal, novel: [first] }),
    await objects(undefined, { ...equal, base: [first] }),
  )
  // A published file's own split is that of OV-COCO.
  const listed = await objects(undefined, { novel: [...novelNames()] })
  t.strictSame(await objects(), listed)
  t.strictSame(
    await objects(undefined, { base: names.filter(name => !novelNames().has(name)) }),
    listed,
  )
  t.notSame(await objects(undefined, { novel: [] }), listed)
  for (const [options, message] of [
    [{ novel: ['unicorn'] }, /novel must have names of the classes .* and 'unicorn' is none/],
    [{ base: [first], novel: [first] }, /no class in common/],
    [{ base: [first], novel: [names[1] as string] }, /is in neither/],
  ] as [ViewDetectOptions, RegExp][]) {
    await t.rejects(view.detect(undefined, options), { ...invalid, message })
  }
})

t.test('vocabularies of any origin, if they are as wide', async t => {
  const next = random(3)
  const rows = Float32Array.from({ length: 3 * embedDim }, () => next() - 0.5)
  using features = Tensor.from(rows, [3, embedDim])
  using vocabulary = await Vocabulary.fromFeatures(['a', 'b', 'c'], features)
  using found = await view.detect(vocabulary, { scoreThreshold: 0 })
  t.strictSame([...found.classes], ['a', 'b', 'c'])
  t.ok(found.count > 0)
  // A class of its own as the background is not found.
  using grounded = await Vocabulary.fromFeatures(['a', 'background', 'c'], features)
  using ground = await view.detect(grounded, { scoreThreshold: 0 })
  t.strictSame([...ground.classes], ['a', 'c'])
  t.ok(ground.toJSON().objects.every(({ index }) => index < 2))
  using narrow = Tensor.from(new Float32Array(2).fill(1), [1, 2])
  using other = await Vocabulary.fromFeatures(['a'], narrow)
  await t.rejects(view.detect(other), { ...invalid, message: /2 features per word/ })
  await t.rejects(view.detect(vocabulary, { templates: 'none' }), {
    ...invalid,
    message: /finished/,
  })
  await t.rejects(view.detect(names, { text: { model: plain } }), {
    ...invalid,
    message: new RegExp(
      `words of ${plain.info.embedDim} numbers, this detector compares ${embedDim}`,
    ),
  })
  await t.rejects(view.detect(names, { text: { model: withMasks } }), {
    ...invalid,
    message: /a text tower/,
  })
  await t.rejects(view.detect(undefined, { templates: 'none' }), {
    ...invalid,
    message: /none are given/,
  })
})

t.test('what is given counts more than the file, and the file more than the preset', async t => {
  const told = { ...detector, alpha: 0.25, beta: null, voteTemperature: 30 }
  t.match(detectorSettings(told, patch, {}), {
    alpha: 0.25,
    beta: 0.8,
    voteTemperature: 30,
    limit: 100,
  })
  t.match(detectorSettings(told, patch, { preset: 'coco' }), { alpha: 0.1, voteTemperature: 75 })
  t.match(detectorSettings(told, patch, { preset: 'transfer-voc', beta: 0.5 }), {
    alpha: 0.3,
    beta: 0.5,
    temperature: 50,
    scoreThreshold: 1e-4,
    limit: 300,
  })
  t.equal(detectorSettings(told, patch, {}).temperature, undefined)
  t.equal(detectorSettings({ ...told, masks: true, beta: null }, 14, {}).beta, 0.4)
  for (const options of [
    { alpha: 2 },
    { temperature: 0 },
    { preset: 'other' },
    { novel: 'cat' },
    { limit: 0 },
    { nmsThreshold: -1 },
    { masks: true },
  ]) {
    await t.rejects(view.detect(undefined, options as ViewDetectOptions), invalid)
  }
})

t.test('nothing found is an empty answer', async t => {
  using found = await view.detect(undefined, { scoreThreshold: 1 })
  t.equal(found.count, 0)
  t.strictSame(found.toJSON().objects, [])
  t.strictSame(found.toCoco(1), [])
  t.strictSame([...found.boxes.shape], [0, 4])
  t.equal((await sharp(await found.toPNG({ overlay: true })).metadata()).width, view.width)
  using masks = await detect(photo, undefined, {
    model: withMasks,
    scoreThreshold: 1,
    masks: true,
    inputSize: 8 * withMasks.info.patchSize,
  })
  t.strictSame(masks.masks, [])
})

t.test('masks have the size of the picture', async t => {
  using found = await detect(photo, undefined, {
    model: withMasks,
    masks: true,
    limit: 5,
    inputSize: 8 * withMasks.info.patchSize,
    proposals: { keep: 40 },
  })
  t.equal(found.masks?.length, found.count)
  for (const { size, counts } of found.masks ?? []) {
    t.strictSame([...size], [found.height, found.width])
    t.equal(
      (counts as number[]).reduce((sum, n) => sum + n, 0),
      found.height * found.width,
    )
  }
})

t.test("results have COCO's ids where the classes are COCO's", async t => {
  using found = await view.detect(
    ['cat', 'person'].filter(name => names.includes(name)),
    { scoreThreshold: 0 },
  )
  const ids = { cat: 17, person: 1 } as Record<string, number>
  const { objects } = found.toJSON()
  t.strictSame(
    found.toCoco(5).map(({ category_id }) => category_id),
    objects.map(one => ids[one.class]),
  )
})

t.test('what has no effect is refused by name', async t => {
  for (const [options, name] of [
    [{ minArea: 3 }, 'minArea'],
    [{ window: 224 }, 'window'],
    [{ method: 'naclip' }, 'method'],
    [{ definitions: ['a'] }, 'definitions'],
    [{ pamr: false }, 'pamr'],
  ] as [DetectOptions, string][]) {
    await t.rejects(detect(photo, undefined, { model, ...options }), {
      ...invalid,
      message: new RegExp(`^${name} is of segmentation`),
    })
  }
  await t.rejects(view.detect(undefined, { inputSize: 64 } as ViewDetectOptions), {
    ...invalid,
    message: /encodeForDetection\(\)/,
  })
  await t.rejects(model.encodeForDetection(photo, { alpha: 0.1 } as object), {
    ...invalid,
    message: /its detect\(\)/,
  })
  for (const [options, name] of [
    [{ nmsThreshold: 0.5 }, 'nmsThreshold'],
    [{ preset: 'coco' }, 'preset'],
    [{ inputSize: 64 }, 'inputSize'],
    [{ proposals: { keep: 3 } }, 'proposals'],
  ] as [DetectOptions, string][]) {
    await t.rejects(detect(photo, ['cat'], { model: plain, ...options }), {
      ...invalid,
      message: new RegExp(`^${name} is of a detector checkpoint`),
    })
  }
})

t.test('pictures and options that a detector cannot take', async t => {
  using tensor = Tensor.from(new Float32Array(3 * 64 * 64), [1, 3, 64, 64])
  await t.rejects(model.encodeForDetection(tensor as never), invalid)
  await t.rejects(detect(tensor, undefined, { model }), invalid)
  for (const options of [
    { inputSize: patch + 1 },
    { blocks: [99, 100, 101, 102] },
    { blocks: [] },
    { mode: 'other' as 'qq' },
    { proposals: 3 as unknown as object },
    { proposals: { keep: 0 } },
  ]) {
    await t.rejects(model.encodeForDetection(photo, options), invalid)
  }
  await t.rejects(plain.encodeForDetection(photo), {
    code: 'ERR_DECLIP_WEIGHTS',
    message: /no detector's heads/,
  })
  await t.rejects(model.encodeForDetection(photo, { signal: AbortSignal.abort() }), {
    code: 'ERR_DECLIP_ABORTED',
  })
  using seen = await model.encodeForDetection(photo, input)
  await t.rejects(seen.detect(undefined, { signal: AbortSignal.abort() }), {
    code: 'ERR_DECLIP_ABORTED',
  })
  seen.dispose()
  seen.dispose()
  await t.rejects(seen.detect(), { code: 'ERR_DECLIP_DISPOSED' })
})

t.test('the last block and the vote in other forms', async t => {
  const own = await objects()
  using vote = await model.encodeForDetection(photo, { ...input, voteMode: 'qq' })
  using both = await model.encodeForDetection(photo, { ...input, mode: 'qq' })
  using votes = await vote.detect()
  using all = await both.detect()
  t.notSame(votes.toJSON().objects, own)
  t.notSame(all.toJSON().objects, votes.toJSON().objects)
  // Without the vote its form does not count.
  const silent = { alpha: 0, beta: 0 }
  using quiet = await vote.detect(undefined, silent)
  t.strictSame(quiet.toJSON().objects, await objects(undefined, silent))
})
