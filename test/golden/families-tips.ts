/**
 * TIPSv2 against transformers, and its dense mode against the authors' zero-shot segmentation. The stages, in
 * order: what was read from the folder, the class tokens, patch features of both modes, texts, logits.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { loadModel, type Model, Tensor } from '../../ts/index.js'
import {
  type Case,
  compare,
  type Floats,
  Golden,
  type ImageSpec,
  readSafetensors,
  safetensorsBytes,
} from './support.js'

const golden = new Golden('families')
const ids = golden.ids('tipsv2')
const first = golden.case(ids[0] as string)
const file = golden.path(first.weights as string)
const folder = file.slice(0, file.lastIndexOf('/'))
const outputs = (run: Case) => Object.keys(run.outputs)
const raw = { normalize: false } as const

let model: Model
let other: { folder: string; model: Model }
t.before(async () => {
  model = await loadModel(folder)
  other = await swapped()
})
t.teardown(async () => {
  model.dispose()
  other.model.dispose()
  await rm(other.folder, { recursive: true })
})

/**
 * The model with its two class tokens in each other's place, so that the second is the one that encodeImage gives:
 * only the first has a position, and apart from that nothing tells tokens' places.
 */
async function swapped(): Promise<typeof other> {
  const tensors = readSafetensors(file)
  const get = (name: string) => tensors.get(`vision_encoder.${name}`) as Floats
  const [token, register, positions] = [get('cls_token'), get('register_tokens'), get('pos_embed')]
  for (let c = 0; c < token.data.length; c++) {
    const position = positions.data[c] as number
    const one = token.data[c] as number
    token.data[c] = (register.data[c] as number) - position
    register.data[c] = one + position
  }
  const at = await mkdtemp(join(tmpdir(), 'declip-tips-'))
  const path = join(at, 'model.safetensors')
  await writeFile(path, safetensorsBytes(tensors))
  const { width, heads } = model.info
  const config = { headWidth: width / heads, textHeads: first.config?.['text_heads'] as number }
  return { folder: at, model: await loadModel(path, { config }) }
}

t.test('info', async t => {
  const config = first.config ?? {}
  t.match(model.info, {
    family: 'tips',
    format: 'huggingface',
    tokenizer: 'tips',
    imageSize: config['image_size'],
    patchSize: config['patch'],
    width: config['vision_width'],
    layers: config['vision_layers'],
    heads: config['vision_heads'],
    embedDim: config['vision_width'],
    contextLength: config['context'],
    towers: ['vision', 'text'],
    denseMode: null,
    notes: [],
  })
  const scale = 1 / (config['temperature'] as number)
  t.ok(Math.abs((model.info.logitScale as number) - scale) < 1e-6 * scale, 'scale of the logits')
})

for (const id of ids) {
  t.test(id, async t => {
    const run = golden.case(id)
    const image = await golden.image(run.inputs['image'] as ImageSpec)
    const expected = (name: string) => golden.expected(id, name)
    const compared = async (name: string, got: Tensor) => compare(t, name, got, expected(name))
    await compared('class_token', await model.encodeImage(image, raw))
    await compared('second_class_token', await other.model.encodeImage(image, raw))
    await compared('features', await model.encodeDense(image, { ...raw, mode: 'vanilla' }))
    await compared('values', await model.encodeDense(image, { ...raw, mode: 'maskclip' }))
    if (!outputs(run).includes('text_embedding')) return
    const { data, shape } = golden.tensor('inputs.safetensors', 'tipsv2.text-ids')
    const tokens = Tensor.from(Int32Array.from(data), shape)
    await compared('text_embedding', await model.encodeText(tokens, raw))
    await compare(t, 'logits', await logits(image, tokens), expected('logits'))
  })
}

/** Cosines of a picture and texts times the scale, [1, T]. */
async function logits(image: Tensor, tokens: Tensor): Promise<Floats> {
  const [picture, texts] = await Promise.all([model.encodeImage(image), model.encodeText(tokens)])
  const [a, b] = (await Promise.all([picture.data(), texts.data()])) as Float32Array[]
  const width = picture.shape[1] as number
  const count = texts.shape[0] as number
  const data = Float32Array.from({ length: count }, (_, text) => {
    let sum = 0
    for (let c = 0; c < width; c++) sum += (a?.[c] as number) * (b?.[text * width + c] as number)
    return sum * (model.info.logitScale as number)
  })
  return { shape: [1, count], data }
}
