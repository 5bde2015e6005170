/** What calls take and give. */
import { expectAssignable, expectError, expectNotAssignable, expectType } from 'tsd'
import {
  type CheckpointInfo,
  type Classification,
  configure,
  type DoctorCheck,
  doctor,
  type ImageInput,
  inspectCheckpoint,
  loadModel,
  type Model,
  type Segmentation,
  type SegmentationOf,
  type SetupResult,
  segment,
  segmentMany,
  setup,
  stats,
  Tensor,
  type TensorData,
  type TrainResult,
  tokenize,
  train,
  type View,
  Vocabulary,
} from '../../dist/index.mjs'

declare const model: Model
declare const view: View
declare const vocabulary: Vocabulary
declare const tensor: Tensor

expectType<Promise<Model>>(loadModel())
expectType<Promise<Model>>(loadModel('words-tiny', { device: 'cuda:1', dtype: 'bfloat16' }))
expectType<Promise<Model>>(
  loadModel(new URL('file:///model.pt'), { signal: AbortSignal.timeout(1) }),
)
expectType<Promise<CheckpointInfo>>(inspectCheckpoint('model.safetensors'))
expectError(loadModel('words-tiny', { device: 'gpu' }))
expectType<Promise<Model>>(loadModel('words-tiny', { dtype: 'int8' }))
expectError(loadModel('words-tiny', { dtype: 'int4' }))
expectError(loadModel('words-tiny', { config: { activation: 'tanh' } }))
expectError(loadModel(5))
expectError(inspectCheckpoint())

expectType<Promise<Segmentation>>(segment('photo.jpg', ['cat', 'dog']))
expectType<Promise<Segmentation>>(
  segment(new Uint8Array(9), 'classes.txt', { model: 'words-tiny' }),
)
expectType<Promise<Segmentation>>(
  segment(new Blob([]), vocabulary, { model, method: 'itaclip', pamr: false, shortSide: null }),
)
expectType<Promise<Segmentation>>(segment(tensor, ['cat'], { background: ['wall', 'sky'] }))
expectType<Promise<Segmentation>>(
  segment({ data: new Uint8ClampedArray(12), width: 2, height: 2 }, ['cat'], {
    pamr: { iterations: 10, dilations: [8, 16] },
    definitions: async prompt => prompt.toUpperCase(),
    onProgress: ({ step, done, total }) => `${step} ${done / total}`,
  }),
)
expectError(segment('photo.jpg'))
expectError(segment(5, ['cat']))
expectError(segment('photo.jpg', [1]))
expectError(segment('photo.jpg', ['cat'], { method: 'unet' }))
expectError(segment('photo.jpg', ['cat'], { denseMode: 'xx' }))
expectError(segment('photo.jpg', ['cat'], { pamr: true }))
expectError(segment('photo.jpg', ['cat'], { logitscale: 40 }))
expectError(segment('photo.jpg', ['cat'], { signal: new AbortController() }))
expectError(segment({ data: new Float32Array(12), width: 2, height: 2 }, ['cat']))
expectType<Promise<Segmentation>>(segment('photo.jpg', ['cat'], { mode: 'csa' }))
expectType<Promise<Segmentation>>(segment('photo.jpg', ['cat'], { denseMode: 'csa' }))
expectError(segment('photo.jpg', ['cat'], { mode: 'xx' }))

declare const paths: string[]
expectType<AsyncGenerator<SegmentationOf<string>, void, undefined>>(segmentMany(paths, ['cat']))
for await (const seg of segmentMany(paths, ['cat'])) {
  expectAssignable<Segmentation>(seg)
  expectType<string>(seg.image)
  expectType<number>(seg.index)
}
expectType<ImageInput | undefined>((await segment('photo.jpg', ['cat'])).image)
segmentMany(new Set([new Uint8Array(9)]), vocabulary, {
  onError: (error, image, index) => {
    expectType<string>(error.message)
    expectType<number>(index)
    expectNotAssignable<number>(image)
  },
})
expectError(segmentMany(5, ['cat']))

expectType<Promise<Tensor>>(model.encodeText('cat'))
expectType<Promise<Tensor>>(model.encodeText(tokenize(['cat']), { normalize: false }))
expectType<Promise<Tensor>>(model.encodeImage(tensor, { positions: 'scale-factor' }))
expectType<Promise<Tensor>>(
  model.encodeDense('photo.jpg', { mode: 'proxyclip', proxy: { features: tensor, beta: 1.2 } }),
)
expectType<Promise<Segmentation>>(
  segment('photo.jpg', ['cat'], { method: 'proxyclip', proxy: { model: 'facebook/dino-vitb8' } }),
)
expectType<Promise<View>>(model.encode('photo.jpg', { method: 'proxyclip', proxy: { model } }))
expectError(segment('photo.jpg', ['cat'], { proxy: { model: 5 } }))
expectType<Promise<Tensor>>(model.encodeBoxes('photo.jpg', [[0, 0, 9, 9]], { size: 448 }))
expectType<Promise<Classification>>(
  model.classify('photo.jpg', ['cat'], {
    boxes: [[0, 0, 9, 9]],
    pool: 'mean',
    topK: 3,
    mode: 'qq',
  }),
)
expectError(model.classify('photo.jpg', ['cat'], { pool: 'max' }))
expectType<Promise<Vocabulary>>(Vocabulary.fromFeatures(['cat'], tensor, { background: false }))
expectType<Promise<Vocabulary>>(Vocabulary.fromFile('embeddings.npy', ['cat']))
expectType<Promise<Tensor>>(model.encodeMasks('photo.jpg', tensor, { imageIndex: [0] }))
expectType<Promise<Vocabulary>>(model.vocabulary(['cat, feline'], { templates: ['a {}'] }))
expectType<Promise<View>>(model.encode('photo.jpg', { method: 'declip' }))
expectType<Promise<Segmentation>>(view.segment(vocabulary, { logitScale: 50 }))
expectType<Promise<Tensor>>(view.similarity('a red car'))
expectError(model.encodeText(5))
expectError(model.encodeMasks('photo.jpg', [[1]]))
expectError(model.encodeDense('photo.jpg', { mode: 'xx' }))
expectError(model.encodeDense('photo.jpg', { positions: 'bicubic' }))
expectError(model.vocabulary(['cat'], { templates: 'coco' }))
// What changes the encoded features is fixed when the view is made.
expectError(view.segment(vocabulary, { window: 224 }))

expectType<Tensor>(Tensor.from(new Float32Array(4), [2, 2]))
expectType<Promise<TensorData>>(tensor.data())
expectType<readonly number[]>(tensor.shape)
expectType<Tensor>(tensor.slice(0, 1))
expectType<Promise<Tensor>>(tensor.to({ dtype: 'float16' }))
expectError(Tensor.from([1, 2], [2]))
expectError(Tensor.from(new Float64Array(2), [2]))
expectError(tensor.to({ dtype: 'float64' }))
expectType<Tensor>(tokenize('cat', { contextLength: 77, truncate: true }))

expectAssignable<Disposable>(model)
expectAssignable<Disposable>(view)
expectAssignable<Disposable>(tensor)
expectAssignable<Disposable>(vocabulary)

const trained = await train(
  {
    objective: 'declip',
    model: 'a.pt',
    teacher: { model: 'dino.pth' },
    data: { kind: 'folder', path: 'pictures' },
    schedule: { kind: 'constant' },
    out: 'run',
  },
  { resume: true, onProgress: ({ step, losses }) => [step, losses['content']] },
)
expectType<TrainResult>(trained)
expectType<string | null>(trained.average)
const data = { kind: 'folder', path: 'pictures' } as const
expectError(train({ objective: 'clipself', data }))
expectError(train({ objective: 'distil', out: 'run', data }))
expectError(train({ objective: 'clipself', out: 'run', data, learningRate: 1 }))
expectError(train({ objective: 'clipself', out: 'run', data, schedule: { kind: 'linear' } }))

expectType<Promise<SetupResult>>(setup())
expectType<Promise<SetupResult>>(
  setup({
    from: new URL('https://mirror.example/whl/cpu/'),
    sha256: '0'.repeat(64),
    cache: 'folder',
    signal: AbortSignal.timeout(1),
    onProgress: ({ step, done, total }) => `${step} ${done / total}`,
    onPlan: async ({ from, bytes = 0, unpacked = 0, dir }) =>
      bytes + unpacked < 1e9 && from !== dir,
  }),
)
expectError(setup({ from: 5 }))
expectError(setup({ headers: true }))
expectError(setup({ priority: 'high' }))
expectAssignable<string | undefined>((await setup()).sha256)
expectType<Promise<DoctorCheck[]>>(doctor())
expectType<'ok' | 'note' | 'failed' | 'skipped' | undefined>((await doctor())[0]?.state)

expectType<void>(configure({ threads: 2, maxWaiting: 5, memoryBudget: 1e9, maxPixels: 1e7 }))
expectError(configure({ maxwaiting: 5 }))
expectError(configure({ maxPixels: '5' }))
expectType<number>(stats().memory.used + stats().waiting + stats().callSeconds.sum)
expectType<Promise<Segmentation>>(
  segment('a.jpg', ['cat'], {
    priority: 'high',
    client: 'me',
    timeout: 500,
    maxPixels: 1e6,
    transfer: true,
  }),
)
expectError(segment('a.jpg', ['cat'], { priority: 2 }))
