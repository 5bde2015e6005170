/** What a checkpoint's own configuration says: done as its library does it, or refused by name. */
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { prepareAddon } from '../../../ts/engine/load-addon.js'
import { loadModel, Tensor } from '../../../ts/index.js'
import { fixture, floats } from '../../support/calls.js'

interface Reference {
  /** Unit features of PICTURE and of IDS. */
  image: number[]
  text?: number[]
}
const references: {
  open_clip: Record<string, Reference & { model_cfg: object; preprocess_cfg: object }>
  hugging_face: Record<string, Reference & { preprocessor_config: object }>
  vision_model: Reference
} = JSON.parse(await readFile(fixture('configurations.json'), 'utf8'))

const PICTURE = fixture('..', '..', 'models', 'scenes', 'park.png')
const IDS = [598, 17, 230, 5, 599]

const folder = await mkdtemp(join(tmpdir(), 'declip-configuration-'))
t.teardown(() => rm(folder, { recursive: true, force: true }))
let made = 0

/** A folder with `files`: JSON, or the path of a file to copy. */
async function checkpoint(files: Record<string, object | string>): Promise<string> {
  const path = join(folder, String(made++))
  await mkdir(path)
  for (const [name, content] of Object.entries(files)) {
    const target = join(path, name)
    if (typeof content === 'string') await copyFile(content, target)
    else await writeFile(target, JSON.stringify(content))
  }
  return path
}

const openClip = (config: object) =>
  checkpoint({
    'open_clip_model.safetensors': fixture('clip-formats', 'open_clip.safetensors'),
    'open_clip_config.json': config,
  })

const hfConfig = JSON.parse(await readFile(fixture('clip-formats', 'hf', 'config.json'), 'utf8'))
const huggingFace = (files: Record<string, object | string>) =>
  checkpoint({
    'model.safetensors': fixture('clip-formats', 'hf', 'model.safetensors'),
    'config.json': hfConfig,
    ...files,
  })

function cosine(a: Float32Array, b: readonly number[]): number {
  const dot = (x: ArrayLike<number>, y: ArrayLike<number>) =>
    Array.from(x).reduce((sum, v, i) => sum + v * (y[i] as number), 0)
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))
}

/** Compares what the checkpoint makes of PICTURE and IDS with the library's features. */
async function compare(t: Test, source: string, { image, text }: Reference) {
  using model = await loadModel(source, { device: 'cpu', dtype: 'float32' })
  using embedded = await model.encodeImage(PICTURE)
  t.ok(cosine(await floats(embedded), image) > 0.9999, 'image')
  if (!text) return
  const ids = new Int32Array(77)
  ids.set(IDS)
  using tokens = Tensor.from(ids, [1, 77])
  using words = await model.encodeText(tokens)
  t.ok(cosine(await floats(words), text) > 0.9999, 'text')
}

for (const [name, { model_cfg, preprocess_cfg, ...reference }] of Object.entries(
  references.open_clip,
)) {
  t.test(`open_clip: ${name}`, async t =>
    compare(t, await openClip({ model_cfg, preprocess_cfg }), reference),
  )
}

for (const [name, { preprocessor_config, ...reference }] of Object.entries(
  references.hugging_face,
)) {
  t.test(`transformers: ${name}`, async t => {
    const source = await huggingFace({ 'preprocessor_config.json': preprocessor_config })
    await compare(t, source, reference)
    // version 5 keeps the image processor in the processor's file
    const nested = { processor_config: { image_processor: preprocessor_config } }
    const inOne = await huggingFace({ 'processor_config.json': nested.processor_config })
    await compare(t, inOne, reference)
  })
}

t.test("transformers 5's CLIPVisionModel has neither prefix nor projection", async t => {
  const addon = await prepareAddon()
  const path = fixture('clip-formats', 'hf', 'model.safetensors')
  const { tensors } = await addon.readSafetensors({ path })
  const bare = Object.fromEntries(
    Object.entries(tensors)
      .filter(([name]) => name.startsWith('vision_model.'))
      .map(([name, tensor]) => [name.slice('vision_model.'.length), tensor]),
  )
  const source = await checkpoint({
    'config.json': { ...hfConfig.vision_config, model_type: 'clip_vision_model' },
  })
  await addon.writeSafetensors({
    path: join(source, 'model.safetensors'),
    tensors: bare,
    metadata: {},
  })
  for (const tensor of Object.values(tensors)) tensor.dispose()
  await compare(t, source, references.vision_model)
  using model = await loadModel(source)
  t.match(model.info.notes.join(), /no visual_projection\.weight/)
  t.equal(model.info.embedDim, 128)
  await t.rejects(model.encodeText('a dog'), { code: 'ERR_DECLIP_WEIGHTS' })
})

t.test('a text tower that ends elsewhere than its tokenizer is refused', async t => {
  const text_config = { ...hfConfig.text_config, eos_token_id: 599 }
  await t.rejects(loadModel(await huggingFace({ 'config.json': { ...hfConfig, text_config } })), {
    code: 'ERR_DECLIP_WEIGHTS',
    message: /pools token 599 \(eos_token_id\), and CLIP's tokenizer ends a text with 49407/,
  })
})

t.test('without the files of their tokenizer, words are refused and ids are not', async t => {
  const { model_cfg } = references.open_clip['base'] as { model_cfg: { text_cfg: object } }
  const withText = (fields: object) =>
    openClip({ model_cfg: { ...model_cfg, text_cfg: { ...model_cfg.text_cfg, ...fields } } })
  const sources: [string, RegExp][] = [
    [await withText({ hf_tokenizer_name: 'facebook/xlm-v-base' }), /sentencepiece|tokenizer/],
    [await withText({ hf_tokenizer_name: 'google/mt5-base' }), /tokenizer/],
    [await withText({ pool_type: 'eos', eos_id: 2 }), /pools token 2/],
    [await huggingFace({ 'config.json': { ...hfConfig, model_type: 'metaclip_2' } }), /tokenizer/],
  ]
  for (const [source, message] of sources) {
    using model = await loadModel(source, { device: 'cpu' })
    using tokens = Tensor.from(Int32Array.from(IDS), [1, IDS.length])
    using words = await model.encodeText(tokens)
    t.same(words.shape, [1, 32])
    using image = await model.encodeImage(PICTURE)
    t.same(image.shape, [1, 32])
    await t.rejects(model.encodeText('a dog'), { code: 'ERR_DECLIP_WEIGHTS', message })
  }
})
