import t from 'tap'
import { loadModel, Tensor } from '../../ts/index.js'
import { compare, Golden, type ImageSpec } from './support.js'

const golden = new Golden('clip-formats')
const FORMATS = {
  'openai-jit.pt': 'openai-jit',
  'openclip-wrapped.pt': 'trainer',
  'open_clip.safetensors': 'open_clip',
  'hf/model.safetensors': 'huggingface',
  hf: 'huggingface',
}

for (const [file, format] of Object.entries(FORMATS)) {
  t.test(file, async t => {
    const model = await loadModel(golden.path(file))
    t.teardown(() => model.dispose())
    t.equal(model.info.format, format, 'format')
    const { inputs } = golden.case('all-containers')
    const image = await golden.image(inputs['image'] as ImageSpec)
    const ids = golden.tensor('inputs.safetensors', 'text-ids')
    await compare(
      t,
      'image embedding',
      await model.encodeImage(image, { normalize: false }),
      golden.expected('all-containers', 'image_embedding'),
    )
    await compare(
      t,
      'text embedding',
      await model.encodeText(Tensor.from(Int32Array.from(ids.data), ids.shape), {
        normalize: false,
      }),
      golden.expected('all-containers', 'text_embedding'),
    )
    const other = await golden.image(golden.case('nonnative-size').inputs['image'] as ImageSpec)
    await compare(
      t,
      'image embedding at another size',
      await model.encodeImage(other, { normalize: false, positions: 'size' }),
      golden.expected('nonnative-size', 'image_embedding'),
    )
  })
}
