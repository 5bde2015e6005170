/** ITACLIP's whole pipeline, stage by stage; the first failing stage is the one to look at. */
import t from 'tap'
import type { NativePicture, NativeTensor } from '../../ts/engine/addon-types.js'
import { loadAddon } from '../../ts/engine/load-addon.js'
import { loadModel, type SegmentOptions, segment, Tensor, type Vocabulary } from '../../ts/index.js'
import { resolveMethod } from '../../ts/methods/resolve.js'
import {
  compare,
  type Floats,
  Golden,
  type ImageSpec,
  labels,
  pixels,
  subsample,
} from './support.js'

const golden = new Golden('itaclip-pipeline')
const model = await loadModel(new Golden('clip-tiny').path('state_dict.pt'))
t.teardown(() => model.dispose())

interface Options {
  stride: number
  crop: number
  def_coefficient: number
  img_eng_coefficient: number
  logit_scale: number
  prob_thd: number
  area_thd: number | null
  pamr_steps: number
  pamr_dilations: number[]
  definitions: string | null
  img_engineering: boolean
  layers: number[]
  short_side: number
  stored_every: number
  query_class: number[]
  dataset: string
}

t.test('resize', async t => {
  const photo = await pixels(golden.path('photo.png'))
  const { data, width, height } = await pixels(golden.path('resized.png'))
  const resized = await loadAddon().resize({
    pixels: photo.data,
    width: photo.width,
    height: photo.height,
    shortSide: 336,
  })
  t.same(resized.shape, [height, width, 3], 'size')
  const got = new Uint8Array(await resized.data())
  let different = 0
  for (let i = 0; i < data.length; i++) different += got[i] === data[i] ? 0 : 1
  t.equal(different, 0, 'bytes that differ from OpenCV')
})

t.test('one crop', async t => {
  const run = golden.case('one-crop')
  const { y0, x0, size } = (run.inputs as { crop: { y0: number; x0: number; size: number } }).crop
  const image = await golden.image(run.inputs['image'] as ImageSpec)
  const crop = image.slice(y0, y0 + size, 2).slice(x0, x0 + size, 3)
  const { options, vocabulary } = await setUp('full')
  t.teardown(() => vocabulary.dispose())
  const logits = await wordLogits({ tensor: crop.native }, vocabulary, { ...options, pamr: false })
  logits.data = logits.data.subarray(0, 4 * size * size) // the first four words are stored
  logits.shape[1] = 4
  await compare(t, 'window logits', subsample(logits, 2), golden.expected('one-crop', 'logits'))
})

for (const id of ['full', 'no-image-engineering', 'no-pamr', 'no-background']) {
  t.test(id, async t => {
    const { options, vocabulary, given } = await setUp(id)
    t.teardown(() => vocabulary.dispose())
    t.same([...vocabulary.wordClass], given.query_class, 'query classes')
    await compare(t, 'text features', vocabulary.features, golden.expected(id, 'text_features'))

    const every = (x: Floats) => subsample(x, given.stored_every)
    const photo = await pixels(golden.path('photo.png'))
    const picture = { pixels: photo.data, width: photo.width, height: photo.height }
    if ('logits_before_pamr' in golden.case(id).outputs) {
      const before = await wordLogits(picture, vocabulary, { ...options, pamr: false })
      await compare(
        t,
        'logits before PAMR',
        every(before),
        golden.expected(id, 'logits_before_pamr'),
      )
    }
    const after = await wordLogits(picture, vocabulary, options)
    await compare(t, 'logits', every(after), golden.expected(id, 'logits'))

    const seg = await segment(golden.path('photo.png'), vocabulary, {
      ...options,
      model,
      probabilities: true,
    })
    const { shape, data } = await floats(seg.probabilities as Tensor)
    await compare(
      t,
      'class probabilities',
      every({ shape, data }),
      golden.expected(id, 'class_probabilities'),
    )

    const expected = await labels(golden.path(`${id}-label.png`))
    const got = (await seg.labels.data()) as Uint8Array
    t.same(seg.labels.shape, [300, 451], 'label shape')
    let equal = 0
    for (let i = 0; i < expected.length; i++) equal += got[i] === expected[i] ? 1 : 0
    const agreement = equal / expected.length
    t.ok(agreement >= 0.999, `labels: ${(100 * agreement).toFixed(3)} % agree, 99.9 % must`)
    seg.dispose()
  })
}

async function floats(x: Tensor): Promise<Floats> {
  return { shape: [...x.shape], data: (await x.data()) as Float32Array }
}

/** Logits of every word, [1, Q, H, W]: the words taken as classes of their own. */
async function wordLogits(
  picture: NativePicture,
  vocabulary: Vocabulary,
  options: SegmentOptions,
): Promise<Floats> {
  const { pipeline, postprocess } = resolveMethod({ model: model.facts, options })
  const { logits } = await model.native.segment({
    picture,
    pipeline,
    post: { ...postprocess(-1), logits: true },
    text: vocabulary.features.native,
    wordClass: Int32Array.from(vocabulary.words, (_, i) => i),
  })
  const { shape, data } = await floats(new Tensor(logits as NativeTensor))
  return { shape: [1, ...shape], data }
}

async function setUp(id: string) {
  const given = golden.case(id).options as unknown as Options
  const source = id === 'one-crop' ? 'full' : id
  const names = golden.path((golden.case(source).inputs as { names: string }).names)
  const background = given.dataset === 'voc21'
  const vocabulary = await model.vocabulary(names, {
    definitions: given.definitions ? golden.path(given.definitions) : undefined,
    definitionWeight: given.def_coefficient,
    background,
  })
  const options: SegmentOptions = {
    method: 'itaclip',
    shortSide: given.short_side,
    window: given.crop,
    stride: given.stride,
    augment: given.img_engineering,
    augmentWeight: given.img_eng_coefficient,
    layers: given.layers,
    logitScale: given.logit_scale,
    pamr:
      given.pamr_steps > 0
        ? { iterations: given.pamr_steps, dilations: given.pamr_dilations }
        : false,
    probThreshold: given.prob_thd,
    areaThreshold: given.area_thd ?? 0,
    closing: true,
  }
  return { options, vocabulary, given }
}
