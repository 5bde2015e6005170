export * from './base/options.js'
export type { NativeTowerInfo as TowerInfo } from './engine/addon-types.js'
export { type DType, Tensor, type TensorData } from './engine/tensor.js'
export { DeclipError, ERROR_CODES, type ErrorCode } from './errors.js'
export type { DecodedImage, ImageEncoder, ImageInput, RawImage } from './image/decode.js'
export {
  DATASET_NAMES,
  DATASETS,
  type Dataset,
  type DatasetName,
  type DatasetWords,
  datasets,
} from './methods/benchmarks.js'
export {
  METHODS,
  type Method,
  type Preset,
  type Published,
  type Variant,
} from './methods/presets.js'
export { View, type ViewSegmentOptions } from './model/encoded-image.js'
export { releaseModels } from './model/kept-models.js'
export {
  type Boxes,
  type CheckpointInfo,
  inspectCheckpoint,
  loadModel,
  Model,
  type ModelInfo,
} from './model/model.js'
export { type Rgb, vocColor } from './result/palette.js'
export type { Point, Polygon, Ring } from './result/polygons.js'
export type { Rle } from './result/rle.js'
export {
  type OverlayOptions,
  type PngOptions,
  Segmentation,
  type SegmentationJson,
  type Timings,
} from './result/segmentation.js'
export { type SegmentManyOptions, segment, segmentMany } from './segment/segment.js'
export {
  type ClassSeparator,
  type Definition,
  parseClasses,
  parseDefinitions,
  parseInlineClasses,
  readClassFile,
  readDefinitionFile,
} from './text/class-files.js'
export { type Answer, type AuxiliaryKind, writeDefinitions } from './text/definitions.js'
export { expandTemplates, TEMPLATES } from './text/templates.js'
export { tokenize } from './text/tokenize.js'
export {
  type SpecialTokens,
  type TokenizeOptions,
  Tokenizer,
  type TokenizerOptions,
  type Tokens,
} from './text/tokenizer.js'
export type { TrainConfig } from './train/config-fields.js'
export { type ProcessGroup, processGroupFromEnvironment } from './train/process-group.js'
export {
  type TrainCallOptions,
  type TrainProgress,
  type TrainResult,
  train,
} from './train/train.js'
export { Vocabulary } from './words/vocabulary.js'
