import t from 'tap'
import { loadAddon } from '../../ts/engine/load-addon.js'
import { loadModel, Tensor } from '../../ts/index.js'
import { compare, Golden, type ImageSpec, pixels } from './support.js'

const golden = new Golden('clip-tiny')
const model = await loadModel(golden.path('state_dict.pt'))
t.teardown(() => model.dispose())

t.test('what was loaded', async t => {
  const { config = {} } = golden.case('image-native')
  t.match(model.info, {
    format: 'openai',
    family: 'clip',
    imageSize: config['image_size'],
    patchSize: config['patch'],
    width: config['vision_width'],
    layers: config['vision_layers'],
    heads: config['vision_heads'],
    embedDim: config['embed_dim'],
    contextLength: config['context'],
    towers: ['vision', 'text'],
  })
})

for (const [id, positions] of [
  ['image-native', 'size'],
  ['image-nonnative-scale-factor', 'scale-factor'],
  ['image-nonnative-size', 'size'],
] as const) {
  t.test(id, async t => {
    const image = await golden.image(golden.case(id).inputs['image'] as ImageSpec)
    const embedding = await model.encodeImage(image, { normalize: false, positions })
    await compare(t, 'image embedding', embedding, golden.expected(id, 'embedding'))
  })
}

t.test('text', async t => {
  const { inputs } = golden.case('text')
  const prompts = inputs['prompts'] as string[]
  const ids = golden.tensor('inputs.safetensors', 'text-ids')
  const tokens = model.tokenize(prompts)
  t.same(await tokens.data(), Int32Array.from(ids.data), 'tokens')
  const features = await model.encodeText(tokens, { normalize: false })
  await compare(t, 'text embedding', features, golden.expected('text', 'embedding'))
  t.same(
    await (await model.encodeText(prompts, { normalize: false })).data(),
    await features.data(),
    'strings and tokens give the same',
  )
})

t.test('image-text-logits', async t => {
  const image = await golden.image(golden.case('image-native').inputs['image'] as ImageSpec)
  const a = (await (await model.encodeImage(image)).data()) as Float32Array
  const text = await model.encodeText(golden.case('text').inputs['prompts'] as string[])
  const b = (await text.data()) as Float32Array
  const [count, width] = text.shape as [number, number]
  const scale = model.info.logitScale as number
  const data = Float32Array.from({ length: count }, (_, row) => {
    let sum = 0
    for (let i = 0; i < width; i++) sum += (a[i] as number) * (b[row * width + i] as number)
    return scale * sum
  })
  await compare(
    t,
    'logits per image',
    { shape: [1, count], data },
    golden.expected('image-text-logits', 'logits_per_image'),
  )
})

t.test('image-preprocess', async t => {
  const { data, width, height } = await pixels(golden.path('photo.png'))
  const { mean, std } = golden.case('image-preprocess').options as { mean: number[]; std: number[] }
  const native = await loadAddon().preprocess({
    pixels: data,
    width,
    height,
    fit: 'crop',
    size: 224,
    mean,
    std,
  })
  const got = new Tensor(native)
  const whole = (await got.data()) as Float32Array
  const expected = golden.expected('image-preprocess', 'pixels')
  const every2nd = expected.data.map((_, i) => {
    const c = Math.floor(i / (112 * 112))
    const y = Math.floor(i / 112) % 112
    return whole[(c * 224 + 2 * y) * 224 + 2 * (i % 112)] as number
  })
  // the manifest allows one grey level; Pillow's arithmetic is reproduced to the bit
  await compare(t, 'pixels', { shape: expected.shape, data: every2nd }, { ...expected, atol: 1e-5 })
})
