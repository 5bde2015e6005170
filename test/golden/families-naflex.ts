/**
 * SigLIP 2 NaFlex against transformers. The stages, in order: what was read, the picture that the
 * recorded patches are of, the image tower, texts, and the picture as a whole from its file.
 */
import { dirname } from 'node:path'
import t from 'tap'
import { loadModel, Tensor } from '../../ts/index.js'
import { compare, type Floats, Golden } from './support.js'

const golden = new Golden('families')
const id = 'siglip2-naflex'
const run = golden.case(id)
const config = run.config as Record<string, number>
const { grid } = run.options as { grid: [number, number] }
const [rows, columns] = grid

/** Patches [1, N, p * p * 3], row by row with the channel last, as a picture [1, 3, H, W]. */
function unfolded({ data }: Floats, patch: number): Floats {
  const [height, width] = [rows * patch, columns * patch]
  const out = new Float32Array(3 * height * width)
  let at = 0
  for (let cell = 0; cell < rows * columns; cell++) {
    for (let y = 0; y < patch; y++) {
      for (let x = 0; x < patch; x++) {
        for (let c = 0; c < 3; c++) {
          const row = Math.floor(cell / columns) * patch + y
          const column = (cell % columns) * patch + x
          out[(c * height + row) * width + column] = data[at++] as number
        }
      }
    }
  }
  return { shape: [1, 3, height, width], data: out }
}

t.test(id, async t => {
  const model = await loadModel(golden.path(dirname(run.weights as string)))
  t.teardown(() => model.dispose())
  t.match(
    model.info,
    {
      family: 'siglip',
      format: 'huggingface',
      patchSize: config['patch'],
      imageSize: (config['patch'] as number) * (config['position_grid'] as number),
      width: config['vision_width'],
      heads: config['vision_heads'],
      layers: config['vision_layers'],
      preprocess: {
        resize: 'patches',
        crop: null,
        maxPatches: config['max_num_patches'],
        interpolation: 'bilinear',
      },
      notes: [],
    },
    'info',
  )
  const { tensor } = run.inputs['patches'] as { tensor: string }
  const patches = golden.tensor('inputs.safetensors', tensor)
  const picture = unfolded(patches, config['patch'] as number)
  const image = Tensor.from(picture.data, picture.shape)
  const embedding = golden.expected(id, 'image_embedding')
  await compare(
    t,
    'image embedding',
    await model.encodeImage(image, { normalize: false }),
    embedding,
  )
  const ids = golden.tensor('inputs.safetensors', (run.inputs['ids'] as { tensor: string }).tensor)
  await compare(
    t,
    'text embedding',
    await model.encodeText(Tensor.from(Int32Array.from(ids.data), ids.shape), { normalize: false }),
    golden.expected(id, 'text_embedding'),
  )

  const photo = golden.path((run.inputs['photo'] as { png: string }).png)
  await compare(
    t,
    'image embedding of the photo',
    await model.encodeImage(photo, { normalize: false }),
    embedding,
  )
  const dense = await model.encodeDense(photo, { mode: 'maskclip', normalize: false })
  t.same([...dense.shape], [1, config['vision_width'], rows, columns], 'its own shape')
  const ofTensor = await model.encodeDense(image, { mode: 'maskclip', normalize: false })
  await compare(t, 'dense features of the photo', dense, {
    shape: [...ofTensor.shape],
    data: (await ofTensor.data()) as Float32Array,
    atol: 1e-4,
    rtol: 1e-4,
  })
})
