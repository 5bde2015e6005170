/**
 * CAT-Seg through the public calls against the authors' code: words, class probabilities and labels of a photo, asked
 * at once and by a view. The files have a small vocabulary, whose ids the fixtures hold; that these are the ids of the
 * prompts is checked apart.
 */
import sharp from 'sharp'
import t from 'tap'
import type { NativeTensor } from '../../ts/engine/addon-types.js'
import {
  loadModel,
  type Model,
  type SegmentOptions,
  segment,
  Tensor,
  Vocabulary,
} from '../../ts/index.js'
import { resolveMethod } from '../../ts/methods/resolve.js'
import { expandTemplates } from '../../ts/text/templates.js'
import { type Case, compare, type Expected, Golden, labels, pixels, subsample } from './support.js'

const golden = new Golden('cat-seg')
const models = new Map<string, Model>()
t.teardown(() => {
  for (const model of models.values()) model.dispose()
})

interface Config {
  clip_resolution: [number, number]
  vision_width: number
  vision_heads: number
  text_heads: number
  guidance_layers: [number, number]
  /** Of the aggregator. */
  heads: number
  template: string
}

interface Options {
  sliding_window: boolean
  kernel?: number
  stride?: number
  canvas?: [number, number]
  class_pooling: [1 | 2, 1 | 2]
  pad_length: number
  dense_mode?: 'qq'
  test_resize?: { short: number; long_limit: number }
  output_size: [height: number, width: number]
}

interface Ids {
  file: string
  tensor: string
}

const configOf = (one: Case) => one.config as unknown as Config

async function modelOf(one: Case): Promise<Model> {
  const file = one.weights as string
  const { vision_width, vision_heads, text_heads, heads } = configOf(one)
  const config = {
    headWidth: vision_width / vision_heads,
    textHeads: text_heads,
    decoderHeads: heads,
  }
  const known = models.get(file)
  const model =
    known ?? (await loadModel(golden.path(file), { device: 'cpu', dtype: 'float32', config }))
  models.set(file, model)
  return model
}

function idsOf(one: Case, name = 'ids'): { shape: [number, number]; data: Int32Array } {
  const { file, tensor } = one.inputs[name] as Ids
  const { shape, data } = golden.tensor(file, tensor)
  return { shape: shape as [number, number], data: Int32Array.from(data) }
}

async function featuresOf(model: Model, one: Case): Promise<Tensor> {
  const { shape, data } = idsOf(one)
  using tokens = Tensor.from(data, shape)
  return model.encodeText(tokens)
}

/** 8 or 16 bits a pixel. */
async function labelsOf(path: string): Promise<number[]> {
  const { depth } = await sharp(path).metadata()
  if (depth !== 'ushort') return [...(await labels(path))]
  const data = await sharp(path).toColourspace('grey16').raw({ depth: 'ushort' }).toBuffer()
  return [...new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2)]
}

for (const id of golden.ids().filter(id => golden.case(id).inputs['token_original_id'])) {
  t.test(id, async t => {
    const one = golden.case(id)
    const model = await modelOf(one)
    using features = await featuresOf(model, one)
    await compare(t, 'text features', features, golden.expected(id, 'text_features'))

    // The ids stand for the prompts of first names, by the head's own prompt.
    const { template } = configOf(one)
    const { prompt } = model.info.catSeg ?? {}
    t.equal(prompt, template)
    const { file, tensor } = one.inputs['token_original_id'] as Ids
    const original = golden.tensor(file, tensor).data
    const first = (one.inputs['names'] as string[]).map(name => name.split(', ')[0] as string)
    using own = model.tokenize(first.flatMap(name => expandTemplates([template], name)))
    t.strictSame(
      [...(await own.data())].map(Number),
      [...idsOf(one).data].map(id => Number(original[id])),
    )
  })
}

for (const id of golden.ids().filter(id => golden.case(id).outputs['sem_seg'])) {
  t.test(id, async t => {
    const one = golden.case(id)
    const model = await modelOf(one)
    t.equal(model.info.defaultMethod, 'cat-seg')
    const { clip_resolution, guidance_layers } = configOf(one)
    const given = one.options as unknown as Options
    const [side] = clip_resolution
    const options: SegmentOptions = {
      shortSide: given.test_resize?.short ?? null,
      ...(given.test_resize && { longSide: given.test_resize.long_limit }),
      catSeg: {
        sliding: given.sliding_window,
        side,
        ...(given.sliding_window && {
          canvas: given.canvas?.[0],
          cut: given.kernel,
          stride: given.stride,
        }),
        blocks: guidance_layers,
        mode: given.dense_mode,
        pooling: given.class_pooling[0],
        wordLimit: given.pad_length,
      },
    }
    const photo = golden.path((one.inputs['image'] as { png: string }).png)
    const [height, width] = given.output_size
    using features = await featuresOf(model, one)
    const names = one.inputs['names'] as string[]
    const words = names.map((_, i) => `word ${i}`)
    using vocabulary = await Vocabulary.fromFeatures(words, features, { background: false })

    const { data: rgb, ...size } = await pixels(photo)
    let probabilities: Tensor
    let found: ArrayLike<number | bigint>
    if (size.width === width && size.height === height) {
      using result = await segment(photo, vocabulary, { ...options, model, probabilities: true })
      probabilities = result.probabilities as Tensor
      found = await result.labels.data()
      using view = await model.encode(photo, options)
      t.equal(view.windows, given.sliding_window ? 5 : 1)
      for (let round = 0; round < 2; round++) {
        using again = await view.segment(vocabulary)
        const other = Array.from(await again.labels.data(), Number)
        const equal = other.filter((label, i) => label === Number(found[i])).length
        t.ok(equal / other.length >= 0.999, `the view has ${equal} of ${other.length} alike`)
        t.ok(again.timings.encodeMs <= result.timings.encodeMs)
      }
      await check(t, probabilities, found)
      return
    }
    // The authors' picture was resized from one of the output's size, which the fixtures do not have.
    const { pipeline, postprocess } = resolveMethod({
      model: model.facts,
      options: { ...options, shortSide: Math.min(size.width, size.height) },
    })
    const all = await model.native.segment({
      picture: { pixels: rgb, ...size, of: { width, height } },
      pipeline,
      post: { ...postprocess(-1), probabilities: true },
      text: features.native,
      wordClass: Int32Array.from(words.keys()),
    })
    using map = new Tensor(all.labels)
    found = await map.data()
    probabilities = new Tensor(all.probabilities as NativeTensor)
    await check(t, probabilities, found)
    probabilities.dispose()

    async function check(t: Tap, scores: Tensor, found: ArrayLike<number | bigint>) {
      t.same(scores.shape, [words.length, height, width], 'sem_seg: shape')
      const spec = one.outputs['sem_seg'] as Expected & { stored_every?: number[] }
      const floats = { shape: [...scores.shape], data: (await scores.data()) as Float32Array }
      const step = spec.stored_every?.at(-1) ?? 1
      await compare(t, 'sem_seg', subsample(floats, step), golden.expected(id, 'sem_seg'))
      const { label_png, label_min_agreement } = one.values as {
        label_png?: string
        label_min_agreement: number
      }
      if (label_png === undefined) return
      const expected = await labelsOf(golden.path(label_png))
      const equal = expected.filter((label, i) => label === Number(found[i])).length
      t.ok(equal / expected.length >= label_min_agreement, `labels: ${equal} of ${found.length}`)
    }
  })
}

type Tap = Parameters<typeof compare>[0]
