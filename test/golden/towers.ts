/** The EVA02 tower and the plain tower of DeCLIP and CLIPSelf: fixtures eva-tiny and plain-tower. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type DenseMode, loadModel, type Model, Tensor } from '../../ts/index.js'
import { compare, Golden, type ImageSpec, readSafetensors, safetensorsBytes } from './support.js'

for (const [folder, weights] of [
  ['eva-tiny', 'eva-tiny.safetensors'],
  ['plain-tower', 'visual.safetensors'],
] as const) {
  t.test(folder, async t => {
    const golden = new Golden(folder)
    const model = await loadModel(golden.path(weights))
    t.teardown(() => model.dispose())
    const eva = folder === 'eva-tiny'
    t.equal(model.info.family, eva ? 'eva' : 'clip', 'family')
    t.same(model.info.towers, eva ? ['vision', 'text'] : ['vision'], 'towers')
    const imageOf = (id: string) => golden.image(golden.case(id).inputs['image'] as ImageSpec)

    for (const id of golden.ids('embedding')) {
      await compare(
        t,
        `${id}: image embedding`,
        await model.encodeImage(await imageOf(id), { normalize: false }),
        golden.expected(id, 'embedding'),
      )
    }
    if (eva) {
      await compare(
        t,
        'text embedding',
        await model.encodeText(tokens(golden, 'text-ids'), { normalize: false }),
        golden.expected('text', 'embedding'),
      )
    }

    for (const id of golden.ids('dense-')) {
      const { modes, normalised } = golden.case(id).options as {
        modes: DenseMode[]
        normalised: boolean
      }
      const image = await imageOf(id)
      for (const mode of modes) {
        await compare(
          t,
          `${id}: ${mode}`,
          await model.encodeDense(image, { mode, normalize: normalised }),
          golden.expected(id, mode),
        )
      }
    }

    await regions(t, golden, model)

    const edited = await epsilonModel(t, golden, weights)
    const image = await imageOf('epsilon-sensitive')
    await compare(
      t,
      'small LayerNorm inputs: image embedding',
      await edited.encodeImage(image, { normalize: false }),
      golden.expected('epsilon-sensitive', eva ? 'image_embedding' : 'embedding'),
    )
    await compare(
      t,
      'small LayerNorm inputs: dense qq',
      await edited.encodeDense(image, { mode: 'qq', normalize: !eva }),
      golden.expected('epsilon-sensitive', 'dense_qq'),
    )
    if (eva) {
      await compare(
        t,
        'small LayerNorm inputs: text embedding',
        await edited.encodeText(tokens(golden, 'text-ids'), { normalize: false }),
        golden.expected('epsilon-sensitive', 'text_embedding'),
      )
    }
  })
}

t.test('plain-tower: LayerScale is a factor on both branches', async t => {
  const golden = new Golden('plain-tower')
  const factors = { 'attn.out_proj': 'ls_1', 'mlp.c_proj': 'ls_2' }
  const scaled = readSafetensors(golden.path('visual.safetensors'))
  const layerScale = new Map(scaled)
  for (const [name, { shape, data }] of [...scaled]) {
    const [, block, branch, kind] =
      /^(visual\.transformer\.resblocks\.\d+)\.(attn\.out_proj|mlp\.c_proj)\.(weight|bias)$/.exec(
        name,
      ) ?? []
    if (!block) continue
    const rows = shape[0] as number
    const gamma = Float32Array.from({ length: rows }, (_, i) => 0.5 + (i % 7) / 8)
    const width = data.length / rows
    scaled.set(name, {
      shape,
      data: data.map((v, i) => v * (gamma[Math.floor(i / width)] as number)),
    })
    if (kind === 'bias') {
      const ls = factors[branch as keyof typeof factors]
      layerScale.set(`${block}.${ls}.gamma`, { shape: [rows], data: gamma })
    }
  }
  const load = async (tensors: typeof scaled) => {
    const file = join(t.testdir(), 'edited.safetensors')
    writeFileSync(file, safetensorsBytes(tensors))
    const model = await loadModel(file)
    t.teardown(() => model.dispose())
    return model
  }
  const [folded, separate] = [await load(scaled), await load(layerScale)]
  const image = await golden.image(golden.case('dense-native').inputs['image'] as ImageSpec)
  for (const mode of ['vanilla', 'maskclip', 'csa'] as const) {
    const expected = await folded.encodeDense(image, { mode })
    await compare(t, mode, await separate.encodeDense(image, { mode }), {
      shape: [...expected.shape],
      data: (await expected.data()) as Float32Array,
      atol: 1e-5, // the factors are multiplied in another order
      rtol: 1e-4,
    })
  }
})

t.test('eva-tiny: a trainer checkpoint with heads of 32 channels', async t => {
  const golden = new Golden('eva-tiny')
  const model = await loadModel(golden.path('eva-mini.pt'), {
    config: { headWidth: 32, textHeads: 2 },
  })
  t.teardown(() => model.dispose())
  t.equal(model.info.format, 'trainer', 'format')
  const image = await golden.image(golden.case('mini-checkpoint').inputs['image'] as ImageSpec)
  const expected = (name: string) => golden.expected('mini-checkpoint', name)
  await compare(
    t,
    'image embedding',
    await model.encodeImage(image, { normalize: false }),
    expected('image_embedding'),
  )
  await compare(
    t,
    'text embedding',
    await model.encodeText(tokens(golden, 'text-ids-mini'), { normalize: false }),
    expected('text_embedding'),
  )
  await compare(
    t,
    'dense qq',
    await model.encodeDense(image, { mode: 'qq', normalize: false }),
    expected('dense_qq'),
  )
})

t.test('eva-tiny: CLIPSelf dense features', async t => {
  const golden = new Golden('eva-tiny')
  const model = await loadModel(golden.path('eva-tiny.safetensors'))
  t.teardown(() => model.dispose())
  const image = await golden.image(golden.case('clipself-dense').inputs['image'] as ImageSpec)
  await compare(
    t,
    'dense maskclip',
    await model.encodeDense(image, { mode: 'maskclip' }),
    golden.expected('clipself-dense', 'features'),
  )
})

function tokens(golden: Golden, name: string): Tensor {
  const ids = golden.tensor('inputs.safetensors', name)
  return Tensor.from(Int32Array.from(ids.data), ids.shape)
}

/** Boxes and masks of both images, by DeCLIP's pooling and by CLIPSelf's. */
async function regions(t: Test, golden: Golden, model: Model): Promise<void> {
  const image = await golden.image(golden.case('boxes').inputs['image'] as ImageSpec[])
  const [height, width] = image.shape.slice(2) as [number, number]
  const boxes = [0, 1].map(i => golden.tensor('inputs.safetensors', `boxes-${i}`))
  const rows = boxes.flatMap(({ data }) =>
    Array.from({ length: data.length / 4 }, (_, k) =>
      [width, height, width, height].map((side, j) => side * (data[4 * k + j] as number)),
    ),
  )
  const masks = [0, 1].map(i => golden.tensor('inputs.safetensors', `masks-${i}`))
  const [h, w] = (masks[0] as { shape: number[] }).shape.slice(1) as [number, number]
  const all = Uint8Array.from(masks.flatMap(({ data }) => [...data]))
  const mask = Tensor.from(all, [all.length / (h * w), h, w])
  const imageIndex = (parts: { shape: number[] }[]) =>
    parts.flatMap(({ shape }, i) => new Array<number>(shape[0] as number).fill(i))

  for (const name of Object.keys(golden.case('boxes').outputs)) {
    const [mode, kind] = name.split('.') as [DenseMode, string | undefined]
    await compare(
      t,
      `boxes: ${name}`,
      await model.encodeBoxes(image, rows, {
        mode,
        normalize: kind === 'normalised',
        imageIndex: imageIndex(boxes),
      }),
      golden.expected('boxes', name),
    )
  }
  for (const name of Object.keys(golden.case('masks').outputs)) {
    await compare(
      t,
      `masks: ${name}`,
      await model.encodeMasks(image, mask, {
        mode: name as DenseMode,
        imageIndex: imageIndex(masks),
      }),
      golden.expected('masks', name),
    )
  }
  // CLIPSelf normalises every patch before pooling, on both towers
  const clipself = { mode: 'maskclip', normalizeBeforePooling: true } as const
  await compare(
    t,
    'CLIPSelf boxes',
    await model.encodeBoxes(image, rows, {
      ...clipself,
      normalize: false,
      imageIndex: imageIndex(boxes),
    }),
    golden.expected('clipself-boxes', 'raw'),
  )
  await compare(
    t,
    'CLIPSelf masks',
    await model.encodeMasks(image, mask, { ...clipself, imageIndex: imageIndex(masks) }),
    golden.expected('clipself-masks', 'features'),
  )
}

/** The model with some tensors scaled down, so that a wrong epsilon shows. */
async function epsilonModel(t: Test, golden: Golden, weights: string): Promise<Model> {
  const { weight_edit: edit } = golden.case('epsilon-sensitive').options as {
    weight_edit: { multiply_by: number; tensors: string[] }
  }
  const tensors = readSafetensors(golden.path(weights))
  for (const name of edit.tensors) {
    const tensor = tensors.get(name)
    if (!tensor) throw new Error(`no tensor ${name}`)
    tensor.data = tensor.data.map(v => v * edit.multiply_by)
  }
  const file = join(t.testdir(), 'edited.safetensors')
  writeFileSync(file, safetensorsBytes(tensors))
  const model = await loadModel(file)
  t.teardown(() => model.dispose())
  return model
}
