/**
 * SigLIP and SigLIP 2 against transformers, open_clip and DeCLIP's code. The stages, in order: what was read
 * from the files, the image embedding, dense features of every mode, regions, texts, logits. Tokens after a block
 * and what the pooling head is given are compared in test/cpp/siglip_test.cpp.
 */
import { dirname } from 'node:path'
import t, { type Test } from 'tap'
import {
  type DenseMode,
  loadModel,
  type Model,
  type ModelInfo,
  segment,
  Tensor,
} from '../../ts/index.js'
import { rankClasses } from '../../ts/words/rank.js'
import { type Case, compare, type Floats, Golden, type ImageSpec, pixels } from './support.js'

const golden = new Golden('families')
const models = new Map<string, Promise<Model>>()
t.teardown(async () => {
  for (const model of models.values()) (await model).dispose()
})

/** The model of the folder that a case's weights are in. */
function modelOf({ weights }: Case): Promise<Model> {
  const folder = dirname(weights as string)
  const loading = models.get(folder) ?? loadModel(golden.path(folder))
  models.set(folder, loading)
  return loading
}

function expectedInfo({ weights, config = {} }: Case): Partial<ModelInfo> {
  const format = (weights as string).includes('open_clip') ? 'open_clip' : 'huggingface'
  return {
    family: 'siglip',
    format,
    imageSize: config['image_size'] as number,
    patchSize: config['patch'] as number,
    width: config['vision_width'] as number,
    layers: config['vision_layers'] as number,
    heads: config['vision_heads'] as number,
    embedDim: config['embed_dim'] as number,
    contextLength: config['context'] as number,
    towers: ['vision', 'text'],
    mean: config['preprocess_mean'] as number[],
    std: config['preprocess_std'] as number[],
    notes: [],
  }
}

const isDense = (name: string, run: Case) =>
  name.startsWith('dense-') || (run.id.includes('-dense-') && name !== 'context')

async function images(t: Test, model: Model, run: Case): Promise<Tensor | undefined> {
  const spec = run.inputs['image'] as ImageSpec | undefined
  if (!spec) return undefined
  const image = await golden.image(spec)
  if (run.outputs['image_embedding']) {
    await compare(
      t,
      'image embedding',
      await model.encodeImage(image, { normalize: false }),
      golden.expected(run.id, 'image_embedding'),
    )
  }
  for (const name of Object.keys(run.outputs).filter(name => isDense(name, run))) {
    const mode = name.replace('dense-', '') as DenseMode
    await compare(
      t,
      `dense ${mode}`,
      await model.encodeDense(image, { mode, normalize: false }),
      golden.expected(run.id, name),
    )
  }
  return image
}

async function regions(t: Test, model: Model, run: Case, image: Tensor): Promise<void> {
  const { file, tensor } = run.inputs['boxes'] as { file: string; tensor: string }
  const [height, width] = image.shape.slice(2) as [number, number]
  const { data } = golden.tensor(file, tensor)
  const boxes = Array.from({ length: data.length / 4 }, (_, k) =>
    [width, height, width, height].map((side, i) => side * (data[4 * k + i] as number)),
  )
  const mode = 'declip'
  for (const name of ['raw', 'normalised']) {
    await compare(
      t,
      `boxes, ${name}`,
      await model.encodeBoxes(image, boxes, { mode, normalize: name === 'normalised' }),
      golden.expected(run.id, name),
    )
  }
  const spec = run.inputs['masks'] as { file: string; tensor: string }
  const masks = golden.tensor(spec.file, spec.tensor)
  const all = Tensor.from(Uint8Array.from(masks.data), masks.shape)
  await compare(
    t,
    'masks',
    await model.encodeMasks(image, all, { mode }),
    golden.expected(run.id, 'masks'),
  )
}

async function texts(t: Test, model: Model, run: Case, image: Tensor): Promise<void> {
  const { file, tensor } = run.inputs['ids'] as { file: string; tensor: string }
  const { data, shape } = golden.tensor(file, tensor)
  const ids = Tensor.from(Int32Array.from(data), shape)
  await compare(
    t,
    'text embedding',
    await model.encodeText(ids, { normalize: false }),
    golden.expected(run.id, 'text_embedding'),
  )
  const picture = (await (await model.encodeImage(image)).data()) as Float32Array
  const words = (await (await model.encodeText(ids)).data()) as Float32Array
  const { logitScale: scale, logitBias: bias } = model.info
  if (scale === null || bias === null) return void t.fail('no logit scale or bias')
  const count = shape[0] as number
  const cosines = Float32Array.from({ length: count }, (_, q) =>
    picture.reduce((sum, x, d) => sum + x * (words[q * picture.length + d] as number), 0),
  )
  const logits = cosines.map(cosine => scale * cosine + bias)
  await compare(t, 'logits', { shape: [1, count], data: logits }, golden.expected(run.id, 'logits'))
  if (!run.outputs['probabilities']) return
  const classes = Array.from({ length: count }, (_, q) => String(q))
  const [ranked = []] = await rankClasses(
    cosines,
    { classes, wordClass: Int32Array.from(classes, Number) },
    { logitScale: scale, logitBias: bias },
    count,
  )
  const probabilities = new Float32Array(count)
  for (const { index, probability } of ranked) probabilities[index] = probability
  await compare(
    t,
    'probabilities',
    { shape: [1, count], data: probabilities },
    golden.expected(run.id, 'probabilities'),
  )
}

const ids = golden
  .ids('siglip')
  .filter(id => !id.endsWith('-tokens') && !id.endsWith('-preprocess') && !id.includes('naflex'))

for (const id of ids) {
  t.test(id, async t => {
    const run = golden.case(id)
    const model = await modelOf(run)
    t.match(model.info, expectedInfo(run), 'info')
    const image = await images(t, model, run)
    if (image && run.inputs['boxes']) await regions(t, model, run, image)
    if (image && run.inputs['ids']) await texts(t, model, run, image)
  })
}

t.test('siglip-preprocess', async t => {
  const run = golden.case('siglip-preprocess')
  const model = await modelOf(run)
  const { data, width, height } = await pixels(photo(run))
  const got = await model.native.preprocess({ pixels: data, width, height })
  await compare(t, 'pixels', new Tensor(got), golden.expected(run.id, 'pixels'))
})

t.test('a batch has the features of its pictures', async t => {
  const run = golden.case('siglip-native')
  const model = await modelOf(run)
  const spec = run.inputs['image'] as ImageSpec
  const one = await golden.image(spec)
  const two = await golden.image([spec, spec])
  const both = await model.encodeDense(two, { mode: 'csa' })
  const expected = await floats(await model.encodeDense(one, { mode: 'csa' }))
  const data = (await both.data()) as Float32Array
  for (const picture of [0, 1]) {
    const got = data.subarray(picture * expected.data.length, (picture + 1) * expected.data.length)
    const close = { ...expected, atol: 1e-5, rtol: 1e-4 }
    await compare(t, `picture ${picture}`, { shape: expected.shape, data: got }, close)
  }
})

t.test('segment() with modes of the pooling head, and without those of the last block', async t => {
  const run = golden.case('siglip-preprocess')
  const model = await modelOf(run)
  const { width, height } = await pixels(photo(run))
  const words = ['a cat', 'a dog']
  for (const mode of ['declip', 'maskclip', 'qq-projection'] as const) {
    const seg = await segment(photo(run), words, { model, method: 'declip', mode })
    t.same([seg.width, seg.height], [width, height], mode)
    t.ok((await seg.labels.data()).every(label => label < words.length))
  }
  await segment(photo(run), words, { model, method: 'declip' })
  const code = 'ERR_DECLIP_INVALID_ARG'
  await t.rejects(segment(photo(run), words, { model, method: 'naclip' }), {
    code,
    message: /'naclip' is not defined for this model \(siglip\)/,
  })
  await t.rejects(model.encodeDense(photo(run), { mode: 'naclip' }), {
    code,
    message:
      /'naclip' is not .*'vanilla', 'maskclip', 'qq', 'kk', 'vv', 'csa', 'proxyclip', 'declip'/,
  })
})

function photo({ inputs }: Case): string {
  return golden.path((inputs['photo'] as { png: string }).png)
}

async function floats(tensor: Tensor): Promise<Floats> {
  return { shape: [...tensor.shape], data: (await tensor.data()) as Float32Array }
}
