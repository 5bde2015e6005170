/**
 * EVA02-CLIP in timm's names, as open_clip loads it. The file has the weights of one of eva-tiny's, so that
 * all that is stored of the authors' code holds for it, and both files must give the same bits.
 */
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { DENSE_MODES, type DenseMode, loadModel, type Model, Tensor } from '../../ts/index.js'
import { compare, Golden, type ImageSpec } from './support.js'

const golden = new Golden('families')
const authors = new Golden('eva-tiny')
const run = golden.case('eva02-native')
const { config = {} } = run
const headWidth = config['head_width'] as number

function tokens(from: Golden, spec: unknown): Tensor {
  const { file, tensor } = spec as { file: string; tensor: string }
  const ids = from.tensor(file, tensor)
  return Tensor.from(Int32Array.from(ids.data), ids.shape)
}

async function floats(tensor: Promise<Tensor>): Promise<ArrayLike<number>> {
  return (await (await tensor).data()) as Float32Array
}

/** The case of eva-tiny whose weights are these, which the manifest does not name. */
async function twin(model: Model): Promise<{ file: string; model: Model }> {
  for (const file of new Set(authors.ids().flatMap(id => authors.case(id).weights ?? []))) {
    const other = await loadModel(authors.path(file), { config: { headWidth } })
    const { width, layers, imageSize } = other.info
    if (
      width === model.info.width &&
      layers === model.info.layers &&
      imageSize === model.info.imageSize
    ) {
      return { file, model: other }
    }
    other.dispose()
  }
  throw new Error('eva-tiny has no file of these sizes')
}

t.test(run.id, async t => {
  const model = await loadModel(golden.path(run.weights as string), { config: { headWidth } })
  t.teardown(() => model.dispose())
  t.match(
    model.info,
    {
      family: 'eva',
      format: 'open_clip',
      towers: ['vision', 'text'],
      imageSize: config['image_size'],
      patchSize: config['patch'],
      width: config['vision_width'],
      layers: config['vision_layers'],
      heads: config['vision_heads'],
      embedDim: config['embed_dim'],
      notes: [],
    },
    'info',
  )
  const image = await golden.image(run.inputs['image'] as ImageSpec)
  await compare(
    t,
    'image embedding',
    await model.encodeImage(image, { normalize: false }),
    golden.expected(run.id, 'image_embedding'),
  )
  await compare(
    t,
    'text embedding',
    await model.encodeText(tokens(golden, run.inputs['ids']), { normalize: false }),
    golden.expected(run.id, 'text_embedding'),
  )
  for (const output of Object.keys(run.outputs).filter(name => name.startsWith('dense-'))) {
    const mode = output.slice('dense-'.length) as DenseMode
    await compare(
      t,
      `dense ${mode}`,
      await model.encodeDense(image, { mode, normalize: false }),
      golden.expected(run.id, output),
    )
  }
})

t.test("the authors' file of the same weights", async t => {
  const model = await loadModel(golden.path(run.weights as string), { config: { headWidth } })
  t.teardown(() => model.dispose())
  const { file, model: other } = await twin(model)
  t.teardown(() => other.dispose())

  for (const id of authors.ids()) {
    const stored = authors.case(id)
    const spec = stored.inputs['image'] as ImageSpec | ImageSpec[] | undefined
    if (stored.weights !== file || stored.options?.['weight_edit']) continue
    const image = spec && (await authors.image(spec))
    for (const output of Object.keys(stored.outputs)) {
      const expected = authors.expected(id, output)
      if (output === 'text_embedding' || id === 'text') {
        const ids = tokens(authors, stored.inputs['ids'])
        await compare(
          t,
          `${id}: ${output}`,
          await model.encodeText(ids, { normalize: false }),
          expected,
        )
      } else if (image && (output === 'image_embedding' || output === 'embedding')) {
        const got = await model.encodeImage(image, { normalize: false })
        await compare(t, `${id}: ${output}`, got, expected)
      } else if (image && (output.startsWith('dense_') || id.startsWith('dense-'))) {
        const mode = output.replace('dense_', '') as DenseMode
        const got = await model.encodeDense(image, { mode, normalize: false })
        await compare(t, `${id}: ${output}`, got, expected)
      }
    }
  }

  // Sizes that no case has: positions follow the authors' rule in either layout.
  const side = model.info.patchSize
  const { width, height } = { width: 9 * side, height: 5 * side }
  const pixels = Float32Array.from({ length: 3 * width * height }, (_, i) => Math.sin(i * 0.37))
  const picture = Tensor.from(pixels, [1, 3, height, width])
  t.same(
    await floats(model.encodeImage(picture)),
    await floats(other.encodeImage(picture)),
    'image',
  )
  // nothing was published for towers of so few blocks
  const scclip = { middleBlock: 1, earlyBlock: 1, fusedBlocks: [1, 1], classWeight: 0.3 } as const
  const pooling: DenseMode[] = ['declip', 'maskclip-projection', 'qq-projection']
  const proxy: DenseMode[] = ['proxyclip', 'corrclip'] // take features of another model
  for (const mode of DENSE_MODES.filter(mode => ![...proxy, ...pooling].includes(mode))) {
    t.same(
      await floats(model.encodeDense(picture, { mode, scclip })),
      await floats(other.encodeDense(picture, { mode, scclip })),
      `dense ${mode}`,
    )
  }
})

t.test('the names tell it without open_clip_config.json', async t => {
  const alone = join(t.testdir(), 'open_clip_model.safetensors')
  copyFileSync(golden.path(run.weights as string), alone)
  const model = await loadModel(alone, { config: { headWidth } })
  t.teardown(() => model.dispose())
  t.match(model.info, { family: 'eva', format: 'open_clip' })
})
