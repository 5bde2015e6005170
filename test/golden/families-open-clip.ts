/**
 * One set of weights under nine configurations of open_clip: each field changes the embeddings as it does
 * there. And its preprocessing.
 */
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { prepareAddon } from '../../ts/engine/load-addon.js'
import { loadModel, Tensor } from '../../ts/index.js'
import { compare, Golden, type ImageSpec, pixels } from './support.js'

const golden = new Golden('families')

const folder = await mkdtemp(join(tmpdir(), 'declip-open-clip-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))

/** The folder of a case: its weights, and its configuration under the name that open_clip reads. */
async function source(id: string): Promise<string> {
  const { weights, inputs } = golden.case(id)
  const path = join(folder, id)
  await mkdir(path)
  await copyFile(golden.path(weights as string), join(path, 'open_clip_model.safetensors'))
  const config = golden.path(inputs['open_clip_config'] as string)
  await copyFile(config, join(path, 'open_clip_config.json'))
  return path
}

for (const id of golden.ids('open_clip-config-')) {
  t.test(id, async t => {
    const { inputs } = golden.case(id)
    const path = await source(id)
    for (const engine of ['fused', 'eager']) {
      process.env['DECLIP_ENGINE'] = engine
      using model = await loadModel(path, { device: 'cpu', dtype: 'float32' })
      delete process.env['DECLIP_ENGINE']
      t.match(model.info.engine, new RegExp(`^${engine}`))
      t.equal(model.info.format, 'open_clip')
      using image = await golden.image(inputs['image'] as ImageSpec)
      using embedded = await model.encodeImage(image, { normalize: false })
      await compare(t, `${engine}: image`, embedded, golden.expected(id, 'image_embedding'))
      const { file, tensor } = inputs['ids'] as { file: string; tensor: string }
      const ids = golden.tensor(file, tensor)
      using tokens = Tensor.from(Int32Array.from(ids.data), ids.shape)
      using words = await model.encodeText(tokens, { normalize: false })
      await compare(t, `${engine}: text`, words, golden.expected(id, 'text_embedding'))
      using dense = await model.encodeDense(image)
      t.same(dense.shape.slice(0, 2), [1, embedded.shape[1]], 'patch features are defined')
    }
  })
}

t.test('open_clip-preprocess', async t => {
  const id = 'open_clip-preprocess'
  const { inputs, config, outputs } = golden.case(id)
  const { mean, std, size, fill_color } = config as Record<string, number | number[]>
  const photo = await pixels(golden.path((inputs['photo'] as ImageSpec).png as string))
  const addon = await prepareAddon()
  // Any model of this size of picture: what is compared is what it would be given.
  const [first] = golden.ids('open_clip-config-') as [string]
  const weights = golden.path(golden.case(first).weights as string)
  const model_cfg = { vision_cfg: { image_size: size } }
  for (const output of Object.keys(outputs)) {
    const [resize_mode, interpolation] = output.split('-')
    const path = join(folder, output)
    await mkdir(path)
    await copyFile(weights, join(path, 'open_clip_model.safetensors'))
    const preprocess_cfg = { mean, std, fill_color, resize_mode, interpolation }
    await writeFile(
      join(path, 'open_clip_config.json'),
      JSON.stringify({ model_cfg, preprocess_cfg }),
    )
    const native = await addon.loadModel({ path, config: {}, device: 'cpu', dtype: 'float32' })
    const input = await native.preprocess({
      pixels: photo.data,
      width: photo.width,
      height: photo.height,
    })
    const got = { shape: input.shape, data: new Float32Array(await input.data()) }
    await compare(t, output, got, golden.expected(id, output))
    input.dispose()
    native.dispose()
  }
})
