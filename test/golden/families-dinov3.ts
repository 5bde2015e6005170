/**
 * DINOv3 against its authors' code, transformers and timm, which agree. The stages, in order: what was read
 * from the file, the class token, the patch features; the block before them is dinov3_test.cpp's.
 */
import t from 'tap'
import { loadModel } from '../../ts/index.js'
import { compare, Golden, type ImageSpec } from './support.js'

const golden = new Golden('families')

for (const id of golden.ids('dinov3')) {
  const run = golden.case(id)
  const { config = {} } = run
  const headWidth = (config['width'] as number) / (config['heads'] as number)
  for (const file of run.weights as string[]) {
    t.test(`${id}, ${file}`, async t => {
      const transformers = file.includes('-hf/')
      const format = transformers ? 'huggingface' : file.includes('-timm') ? 'timm' : 'original'
      const model = await loadModel(
        golden.path(file),
        transformers ? {} : { config: { headWidth } },
      )
      t.teardown(() => model.dispose())
      t.match(
        model.info,
        {
          family: 'dinov3',
          format,
          patchSize: config['patch'],
          width: config['width'],
          layers: config['depth'],
          heads: config['heads'],
          embedDim: config['width'],
          contextLength: null,
          towers: ['vision'],
          textSpace: false,
          logitScale: null,
          denseMode: null,
          ...(transformers && { imageSize: config['image_size'], notes: [] }),
        },
        'info',
      )
      const image = await golden.image(run.inputs['image'] as ImageSpec)
      await compare(
        t,
        'class token',
        await model.encodeImage(image),
        golden.expected(id, 'class_token'),
      )
      await compare(
        t,
        'patch features',
        await model.encodeDense(image),
        golden.expected(id, 'features'),
      )
    })
  }
}
