import t from 'tap'
import { fixture, picture } from '../../support/calls.js'

t.test('a vision foundation model has no tokenizer', async t => {
  const asked: string[] = []
  const { loadModel } = await t.mockImport<typeof import('../../../ts/model/load.js')>(
    '../../../ts/model/load.js',
    {
      '../../../ts/text/tokenizer.js': {
        defaultTokenizer: () => asked.push('default'),
        Tokenizer: class {},
        clipTokenizerOf: () => asked.push('folder'),
      },
    },
  )
  for (const [file, config] of [
    ['dino.safetensors', { headWidth: 32 }],
    ['dinov2-hf', {}],
    ['sam.safetensors', {}],
  ] as const) {
    using model = await loadModel(fixture('vfm', file), { config })
    t.same(asked, [], file)
    t.throws(() => model.tokenize('a cat'), {
      code: 'ERR_DECLIP_WEIGHTS',
      message: /without a text tower/,
    })
    t.equal((await model.encodeDense(picture(40, 40))).shape[0], 1)
  }
  using _ = await loadModel(fixture('plain-tower', 'visual.safetensors'))
  t.same(asked, ['default'], 'a CLIP has one')
})
