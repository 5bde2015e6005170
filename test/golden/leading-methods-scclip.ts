/** SC-CLIP's pipelines through the public API, with the fixtures' text features. */
import t from 'tap'
import type { NativeTensor } from '../../ts/engine/addon-types.js'
import { loadModel, type SegmentOptions, segment, Tensor, Vocabulary } from '../../ts/index.js'
import { resolveMethod } from '../../ts/methods/resolve.js'
import { compare, type Expected, Golden, labels, pixels, subsample } from './support.js'

const golden = new Golden('leading-methods')
const resized = new Golden('itaclip-pipeline')

interface Options {
  crop: number
  stride: number
  query_class: number[]
  original_size: [number, number]
  resized: [number, number]
  stored_every: number
  logit_scale: number
  prob_thd: number
  area_thd?: number
  lof_neighbours: number
  lof_contamination: number
  beta: number
  similarity_gain: number
  middle_block: number
  early_block: number
  fused_blocks: number[]
  class_token_weight: number
}

for (const id of golden.ids('scclip-pipeline-')) {
  t.test(id, async t => {
    const run = golden.case(id)
    const given = run.options as unknown as Options
    const { vision_width, vision_heads } = run.config as Record<string, number>
    const headWidth = Number(vision_width) / Number(vision_heads)
    const model = await loadModel(golden.path(run.weights as string), {
      config: { headWidth, activation: 'quick_gelu' },
      dtype: 'float32',
    })
    t.teardown(() => model.dispose())

    const spec = run.inputs['text_features'] as Expected
    const text = golden.tensor(spec.file, spec.tensor)
    const [rows = 0, width = 0] = text.shape
    using features = Tensor.from(text.data, [rows, width])
    const options: SegmentOptions = {
      method: 'scclip',
      shortSide: Math.min(...given.resized),
      window: given.crop,
      stride: given.stride,
      logitScale: given.logit_scale,
      pamr: false,
      scclip: {
        middleBlock: given.middle_block,
        earlyBlock: given.early_block,
        fusedBlocks: [given.fused_blocks[0] as number, given.fused_blocks.at(-1) as number],
        classWeight: given.class_token_weight,
        threshold: given.beta,
        gain: given.similarity_gain,
        neighbours: given.lof_neighbours,
        anomalousShare: given.lof_contamination,
      },
    }

    // Words as classes of their own: their logits, of the picture in the size of the original.
    const words = given.query_class.map((_, i) => `word ${i}`)
    using own = await Vocabulary.fromFeatures(words, features, { background: false })
    const photo = resized.path('photo.png')
    using scored = await segment(photo, own, { ...options, model, logits: true })
    const logits = scored.logits as Tensor
    t.same(logits.shape, [rows, ...given.original_size])
    await compare(
      t,
      'logits',
      subsample(
        { shape: [1, ...logits.shape], data: (await logits.data()) as Float32Array },
        given.stored_every,
      ),
      golden.expected(id, 'logits'),
    )

    // Synonyms and thresholds, which a vocabulary of given features does not have.
    const { pipeline, postprocess } = resolveMethod({
      model: model.facts,
      options: {
        ...options,
        probThreshold: given.prob_thd,
        areaThreshold: given.area_thd ?? 0,
      },
    })
    const picture = await pixels(photo)
    const all = await model.native.segment({
      picture: { pixels: picture.data, width: picture.width, height: picture.height },
      pipeline,
      post: { ...postprocess(0), probabilities: true },
      text: features.native,
      wordClass: Int32Array.from(given.query_class),
    })
    using probabilities = new Tensor(all.probabilities as NativeTensor)
    await compare(
      t,
      'class probabilities',
      subsample(
        {
          shape: [...probabilities.shape],
          data: (await probabilities.data()) as Float32Array,
        },
        given.stored_every,
      ),
      golden.expected(id, 'class_probabilities'),
    )
    using map = new Tensor(all.labels)
    const got = await map.data()
    const { label_png, label_min_agreement } = run.values as {
      label_png: string
      label_min_agreement: number
    }
    const expected = await labels(golden.path(label_png))
    const equal = expected.filter((label, i) => label === Number(got[i])).length
    t.ok(equal / got.length >= label_min_agreement, `labels: ${equal} of ${got.length} agree`)
    if (given.query_class.every((c, i) => c === i)) {
      t.strictSame(await scored.labels.data(), got, 'as the public call has them')
    }
  })
}
