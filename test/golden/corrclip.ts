/** CorrCLIP's whole pipeline: the first version on windows, the second with its model on the whole picture. */
import t, { type Test } from 'tap'
import type { NativePostprocess, NativeTensor } from '../../ts/engine/addon-types.js'
import {
  loadModel,
  type Model,
  type SegmentOptions,
  segment as segmentPublic,
  Tensor,
  Vocabulary,
} from '../../ts/index.js'
import { resolveMethod } from '../../ts/methods/resolve.js'
import { type Expected, type Floats, Golden, labels, pixels, subsample } from './support.js'

const golden = new Golden('leading-methods')

interface Options {
  crop: number
  stride: number
  pad_multiple: number
  query_class: number[]
  original_size: [number, number]
  resized: [number, number]
  stored_every: number
  logit_scale: number
  prob_thd: number
  merge_regions?: boolean
  feature_grid?: string
}

interface Inputs {
  image: { png: string }
  photo?: string
  regions: string
  text_features: { file: string; tensor: string }
}

const loaded = new Map<string, Promise<Model>>()
t.teardown(async () => {
  for (const model of loaded.values()) (await model).dispose()
})

function modelOf(file: string, { width, heads }: { width: number; heads: number }): Promise<Model> {
  const found =
    loaded.get(file) ?? loadModel(golden.path(file), { config: { headWidth: width / heads } })
  loaded.set(file, found)
  return found
}

const IDS = [...golden.ids('corrclip-pipeline'), 'bank-single']

for (const id of IDS) {
  t.test(id, async t => {
    const run = golden.case(id) as ReturnType<Golden['case']> & {
      vfm_weights?: string
      key_weights?: string
      vfm_config?: { width: number; heads: number }
      key_config?: { width: number; heads: number }
    }
    const given = run.options as unknown as Options
    const inputs = run.inputs as unknown as Inputs
    const { vision_width, vision_heads } = run.config as Record<string, number>
    const model = await modelOf(run.weights as string, {
      width: vision_width as number,
      heads: vision_heads as number,
    })
    const second = run.key_weights !== undefined
    const vfm = await modelOf(
      (run.key_weights ?? run.vfm_weights) as string,
      (run.key_config ?? run.vfm_config) as { width: number; heads: number },
    )
    const [height, width] = given.original_size
    const own = given.resized[0] === height && given.resized[1] === width
    const photo = await pixels(
      golden.path(own ? inputs.image.png : (inputs.photo ?? 'corrclip-photo.png')),
    )
    t.same([photo.height, photo.width], [height, width], 'the picture in its own size')

    const options: SegmentOptions = {
      method: 'corrclip',
      shortSide: own ? null : Math.min(...given.resized),
      window: given.crop,
      stride: given.stride,
      padTo: given.pad_multiple,
      logitScale: given.logit_scale,
      probThreshold: given.prob_thd,
      proxy: { model: vfm, ...(second && { sees: 'picture' }) },
      corrclip: { merge: given.merge_regions ?? true, unsegmented: 'smallest' },
    }
    const { pipeline, postprocess } = resolveMethod({ model: model.facts, options })
    t.equal(pipeline.dense.proxyPart, second ? 'patches' : 'query-key')
    const map = await labels(golden.path(inputs.regions.replace('.npz', '.png')))
    using regions = Tensor.from(Int32Array.from(map), [height, width])
    const { data, shape } = golden.tensor(inputs.text_features.file, inputs.text_features.tensor)
    using text = Tensor.from(data, shape)
    const segment = (wordClass: readonly number[], post: Partial<NativePostprocess>) =>
      model.native.segment({
        picture: { pixels: photo.data, width, height },
        pipeline: { ...pipeline, regions: regions.native },
        post: { ...postprocess(0), ...post },
        text: text.native,
        wordClass: Int32Array.from(wordClass),
      })

    const words = given.query_class
    const one = await segment(
      words.map((_, i) => i),
      { logits: true },
    )
    const logits = await floats(one.logits as NativeTensor)
    logits.shape.unshift(1)
    within(t, 'logits', subsample(logits, given.stored_every), run.outputs['logits'])

    const all = await segment(words, { probabilities: true })
    within(
      t,
      'class probabilities',
      subsample(await floats(all.probabilities as NativeTensor), given.stored_every),
      run.outputs['class_probabilities'],
    )
    const files = run.values as { before_vote_png?: string; label_png: string }
    const before = files.before_vote_png
    if (before !== undefined) {
      await agree(t, 'labels before the vote', new Tensor(all.labels), golden.path(before))
    }
    const voted = await segment(words, { vote: true })
    await agree(t, 'labels', new Tensor(voted.labels), golden.path(files.label_png))

    if (new Set(words).size < words.length) return // a row of given features is a class
    using vocabulary = await Vocabulary.fromFeatures(
      words.map(word => `class ${word}`),
      text,
      { background: false },
    )
    const picture = { data: photo.data, width, height, channels: 3 } as const
    for (const masks of [
      golden.path(inputs.regions),
      { npz: golden.path('corrclip-regions.npz') },
    ]) {
      using seg = await segmentPublic(picture, vocabulary, { ...options, model, masks })
      await agree(t, 'labels of segment()', seg.labels, golden.path(files.label_png))
    }
  })
}

async function floats(native: NativeTensor): Promise<Floats> {
  const tensor = new Tensor(native)
  return { shape: [...tensor.shape], data: (await tensor.data()) as Float32Array }
}

/** A share of the elements may be outside of the tolerance, but not outside the wider one. */
function within(t: Test, stage: string, got: Floats, expected: Expected | undefined): void {
  const spec = expected as Expected & { outliers_allowed: number; outlier_atol: number }
  const { data, shape } = golden.tensor(spec.file, spec.tensor)
  t.same(got.shape, shape, `${stage}: shape`)
  let [outside, far] = [0, 0]
  for (let i = 0; i < data.length; i++) {
    const want = data[i] as number
    const off = Math.abs((got.data[i] as number) - want)
    const relative = (spec.rtol ?? 1e-4) * Math.abs(want)
    if (!(off <= spec.atol + relative)) outside++
    if (!(off <= spec.outlier_atol + relative)) far++
  }
  t.ok(
    outside <= spec.outliers_allowed * data.length && far === 0,
    `${stage}: ${outside} of ${data.length} outside the tolerance, ${far} far outside`,
  )
}

async function agree(t: Test, stage: string, got: Tensor, file: string): Promise<void> {
  const expected = await labels(file)
  const values = (await got.data()) as Uint8Array
  let equal = 0
  for (let i = 0; i < expected.length; i++) equal += values[i] === expected[i] ? 1 : 0
  const agreement = equal / expected.length
  t.ok(agreement >= 0.999, `${stage}: ${(100 * agreement).toFixed(3)} % agree, 99.9 % must`)
}
