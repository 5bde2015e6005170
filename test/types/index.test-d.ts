import { expectAssignable, expectError, expectType } from 'tsd'
import {
  DeclipError,
  type ErrorCode,
  loadModel,
  type Model,
  type Segmentation,
  type SegmentOptions,
  segment,
  segmentMany,
  Tensor,
  type View,
  type Vocabulary,
} from '../../dist/index.mjs'

const model = await loadModel('words-tiny', { device: 'cuda:1', dtype: 'bfloat16' })
expectType<Model>(model)
expectType<'clip' | 'eva' | 'siglip' | 'pe' | 'tips' | 'dino' | 'dinov2' | 'dinov3' | 'sam'>(
  model.info.family,
)
expectError(loadModel('words-tiny', { device: 'gpu' }))
expectError(loadModel('words-tiny', { dtype: 'int4' }))
expectError((model.info.device = 'cpu'))

const vocabulary = await model.vocabulary(['cat, feline', 'sofa'])
expectType<Vocabulary>(vocabulary)
expectType<Tensor>(await model.encodeText(['a cat']))
expectType<Tensor>(await model.encodeDense('photo.jpg', { mode: 'csa' }))
expectError(model.encodeDense('photo.jpg', { mode: 'cas' }))

const segmentation = await segment('photo.jpg', ['cat', 'sofa'], { method: 'declip', pamr: false })
expectType<Segmentation>(segmentation)
expectType<Segmentation>(await segment(new URL('file:///photo.jpg'), vocabulary, { model }))
expectType<Uint8Array>(await segmentation.toPNG({ overlay: true }))
expectType<readonly string[]>(segmentation.classes)
expectError((segmentation.width = 1))
expectError(segment('photo.jpg'))
expectError(segment(42, ['cat']))
expectError(segment('photo.jpg', ['cat'], { windows: 224 }))
expectAssignable<SegmentOptions>({ shortSide: null, window: 224, stride: 112, closing: true })

for await (const result of segmentMany(['a.jpg', 'b.jpg'], vocabulary)) {
  expectAssignable<Segmentation>(result)
  expectAssignable<string>(result.image)
}

const view = await model.encode('photo.jpg')
expectType<View>(view)
expectType<Segmentation>(await view.segment(vocabulary))
expectType<Tensor>(await view.similarity('a red car'))

const tensor = Tensor.from(new Float32Array(12), [1, 3, 2, 2])
expectType<readonly number[]>(tensor.shape)
expectType<void>(tensor[Symbol.dispose]())
expectError(Tensor.from([1, 2, 3], [3]))

declare const error: unknown
if (error instanceof DeclipError) expectType<ErrorCode>(error.code)
