/**
 * Vision foundation models against their authors' code. The stages, in order: what was read from the
 * file, the class token, the patch features; the transformers layout must give the same features.
 */
import t from 'tap'
import { loadModel, type Model, type ModelInfo, type Tensor } from '../../ts/index.js'
import { type Case, compare, type Floats, Golden, type ImageSpec } from './support.js'

const golden = new Golden('vfm')
const models = new Map<string, Promise<Model>>()
t.teardown(async () => {
  for (const model of models.values()) (await model).dispose()
})

/** The model of a file. Only a folder of transformers says how many heads there are; SAM's tables do. */
function load(file: string, config: Record<string, unknown>): Promise<Model> {
  const told = file.endsWith('-hf') || file.startsWith('sam')
  const headWidth = (config['width'] as number) / (config['heads'] as number)
  const loading =
    models.get(file) ?? loadModel(golden.path(file), told ? {} : { config: { headWidth } })
  models.set(file, loading)
  return loading
}

function expectedInfo({ id, config = {} }: Case): Partial<ModelInfo> {
  const family = id.startsWith('sam') ? 'sam' : id.startsWith('dinov2') ? 'dinov2' : 'dino'
  return {
    family,
    imageSize: config['image_size'] as number,
    patchSize: config['patch'] as number,
    width: config['width'] as number,
    layers: config['depth'] as number,
    heads: config['heads'] as number,
    embedDim: (config['out_channels'] ?? config['width']) as number,
    contextLength: null,
    towers: ['vision'],
    logitScale: null,
    denseMode: null,
  }
}

/** Tokens [1, 1 + h * w, C] as a class token [1, C] and features [1, C, h, w]. */
function taken(tokens: Floats, [h, w]: [number, number]): { token: Floats; features: Floats } {
  const width = tokens.shape[2] as number
  const features = new Float32Array(width * h * w)
  for (let i = 0; i < h * w; i++) {
    for (let c = 0; c < width; c++) {
      features[c * h * w + i] = tokens.data[(1 + i) * width + c] as number
    }
  }
  return {
    token: { shape: [1, width], data: tokens.data.subarray(0, width) },
    features: { shape: [1, width, h, w], data: features },
  }
}

async function check(
  t: Parameters<typeof compare>[0],
  model: Model,
  image: Tensor,
  run: Case,
): Promise<void> {
  const { id } = run
  const { atol, rtol } = golden.expected(id, run.outputs['tokens'] ? 'tokens' : 'features')
  let features = run.outputs['features'] && golden.expected(id, 'features')
  let token = run.outputs['class_token'] && golden.expected(id, 'class_token')
  if (run.outputs['tokens']) {
    const grid = run.options?.['grid'] as [number, number]
    const parts = taken(golden.tensor('outputs.safetensors', `${id}.tokens`), grid)
    token = { ...parts.token, atol, rtol }
    features = { ...parts.features, atol, rtol }
  }
  if (token) await compare(t, 'class token', await model.encodeImage(image), token)
  if (features) await compare(t, 'patch features', await model.encodeDense(image), features)
}

for (const id of golden.ids()) {
  t.test(id, async t => {
    const run = golden.case(id)
    const image = await golden.image(run.inputs['image'] as ImageSpec)
    const model = await load(run.weights as string, run.config ?? {})
    t.match(model.info, { ...expectedInfo(run), format: 'original' }, 'info')
    await check(t, model, image, run)
  })
}

for (const id of golden.ids('dinov2').filter(id => !id.includes('swiglu'))) {
  t.test(`${id}, transformers layout`, async t => {
    const run = golden.case(id)
    const image = await golden.image(run.inputs['image'] as ImageSpec)
    const folder = (run.weights as string).replace('.safetensors', '-hf')
    const model = await load(folder, run.config ?? {})
    t.match(model.info, { ...expectedInfo(run), format: 'huggingface', notes: [] }, 'info')
    await check(t, model, image, run)
  })
}

t.test('several pictures at once, and unit vectors', async t => {
  for (const name of ['dino-native', 'dinov2-reg-small', 'sam-nonsquare']) {
    const run = golden.case(name)
    const spec = run.inputs['image'] as ImageSpec
    const [one, two] = [await golden.image(spec), await golden.image([spec, spec])]
    const model = await load(run.weights as string, run.config ?? {})
    const single = (await (await model.encodeDense(one)).data()) as Float32Array
    const both = await model.encodeDense(two, { normalize: true })
    const data = (await both.data()) as Float32Array
    const [, width, h, w] = both.shape as [number, number, number, number]
    let worst = 0
    for (let i = 0; i < h * w; i++) {
      const column = (from: Float32Array, at: number) =>
        Array.from({ length: width }, (_, c) => from[at + c * h * w + i] as number)
      const plain = column(single, 0)
      const length = Math.hypot(...plain)
      for (const picture of [0, 1]) {
        const unit = column(data, picture * width * h * w)
        for (const [c, value] of unit.entries()) {
          worst = Math.max(worst, Math.abs(value - (plain[c] as number) / length))
        }
      }
    }
    t.ok(worst < 1e-6, `${name}: ${worst}`)
  }
})
