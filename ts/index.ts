export { type DatasetName } from './datasets.js'
export { DeclipError, ERROR_CODES, type ErrorCode } from './errors.js'
export type { DecodedImage, ImageEncoder, ImageInput, RawImage } from './image.js'
export {
  type Boxes,
  type CheckpointInfo,
  inspectCheckpoint,
  loadModel,
  Model,
  type ModelInfo,
} from './model.js'
export * from './options.js'
export { type OverlayOptions, type PngOptions, Segmentation, type Timings } from './result.js'
export { releaseModels, type SegmentManyOptions, segment, segmentMany } from './segment.js'
export { type DType, Tensor, type TensorData } from './tensor.js'
export { tokenize } from './tokenize.js'
export { View, type ViewSegmentOptions } from './view.js'
export { Vocabulary } from './vocabulary.js'
