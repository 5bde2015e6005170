/**
 * Perception Encoder (PE-Core) against its authors' code, in both layouts. The stages, in order: what
 * was read from the file, the image tower's end, dense features, texts.
 */
import t from 'tap'
import {
  type ConfigOptions,
  loadModel,
  type Model,
  type ModelInfo,
  Tensor,
} from '../../ts/index.js'
import { type Case, compare, Golden, type ImageSpec } from './support.js'

const golden = new Golden('families')
const models = new Map<string, Promise<Model>>()
t.teardown(async () => {
  for (const model of models.values()) (await model).dispose()
})

/** Only open_clip's folder says which tower it is; neither says the channels of a head. */
function load(file: string, { config = {} }: Case): Promise<Model> {
  const headWidth = (config['vision_width'] as number) / (config['vision_heads'] as number)
  const textHeads = config['text_heads'] as number
  const loading =
    models.get(file) ??
    loadModel(golden.path(file), { config: { headWidth, textHeads } satisfies ConfigOptions })
  models.set(file, loading)
  return loading
}

function expectedInfo(file: string, { config = {} }: Case): Partial<ModelInfo> {
  return {
    family: 'pe',
    format: file.includes('open_clip') ? 'open_clip' : 'original',
    imageSize: config['image_size'] as number,
    patchSize: config['patch'] as number,
    width: config['vision_width'] as number,
    layers: config['vision_layers'] as number,
    heads: config['vision_heads'] as number,
    embedDim: config['embed_dim'] as number,
    contextLength: config['context'] as number,
    towers: ['vision', 'text'],
    mean: config['preprocess_mean'] as [number, number, number],
    std: config['preprocess_std'] as [number, number, number],
    notes: [],
  }
}

for (const id of golden.ids('pe-core')) {
  const run = golden.case(id)
  for (const file of run.weights as string[]) {
    t.test(`${id}, ${file}`, async t => {
      const model = await load(file, run)
      t.match(model.info, expectedInfo(file, run), 'info')
      t.match(model.info.preprocess, { resize: 'squash', crop: null, interpolation: 'bilinear' })
      const image = await golden.image(run.inputs['image'] as ImageSpec)
      for (const stage of ['image_embedding', ...Object.keys(run.outputs)]) {
        if (!stage.startsWith('dense-')) continue
        const mode = stage.slice('dense-'.length) as 'maskclip'
        await compare(
          t,
          stage,
          await model.encodeDense(image, { mode, normalize: false }),
          golden.expected(id, stage),
        )
      }
      await compare(
        t,
        'image embedding',
        await model.encodeImage(image, { normalize: false }),
        golden.expected(id, 'image_embedding'),
      )
      if (!run.outputs['text_embedding']) return
      const { tensor } = run.inputs['ids'] as { tensor: string }
      const ids = golden.tensor('inputs.safetensors', tensor)
      await compare(
        t,
        'text embedding',
        await model.encodeText(Tensor.from(Int32Array.from(ids.data), ids.shape), {
          normalize: false,
        }),
        golden.expected(id, 'text_embedding'),
      )
    })
  }
}
