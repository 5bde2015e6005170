/** MetaCLIP 2 in transformers' layout: it pools at the first end token, whose id 2 is meant as it stands. */
import { dirname } from 'node:path'
import t from 'tap'
import { loadModel, Tensor } from '../../ts/index.js'
import { compare, Golden, type ImageSpec } from './support.js'

const golden = new Golden('families')
const id = 'metaclip2-native'

t.test(id, async t => {
  const { weights, inputs } = golden.case(id)
  using model = await loadModel(dirname(golden.path(weights as string)), {
    device: 'cpu',
    dtype: 'float32',
  })
  t.equal(model.info.family, 'clip')
  t.equal(model.info.tokenizer, 'xlm-v')
  t.equal(model.info.text?.endToken, 2)
  using image = await golden.image(inputs['image'] as ImageSpec)
  using embedded = await model.encodeImage(image, { normalize: false })
  await compare(t, 'image', embedded, golden.expected(id, 'image_embedding'))
  const { file, tensor } = inputs['ids'] as { file: string; tensor: string }
  const ids = golden.tensor(file, tensor)
  using tokens = Tensor.from(Int32Array.from(ids.data), ids.shape)
  using words = await model.encodeText(tokens, { normalize: false })
  await compare(t, 'text', words, golden.expected(id, 'text_embedding'))
  await t.rejects(model.encodeText('a dog'), { code: 'ERR_DECLIP_WEIGHTS' })
})
