export {
  type ClassSeparator,
  type Definition,
  parseClasses,
  parseDefinitions,
  parseInlineClasses,
  readClassFile,
  readDefinitionFile,
} from './class-files.js'
export {
  DATASET_NAMES,
  DATASETS,
  type Dataset,
  type DatasetName,
  type DatasetWords,
  datasets,
} from './datasets.js'
export { type Answer, type AuxiliaryKind, writeDefinitions } from './definitions.js'
export { DeclipError, ERROR_CODES, type ErrorCode } from './errors.js'
export type { DecodedImage, ImageEncoder, ImageInput, RawImage } from './image.js'
export { releaseModels } from './kept-models.js'
export {
  type Boxes,
  type CheckpointInfo,
  inspectCheckpoint,
  loadModel,
  Model,
  type ModelInfo,
} from './model.js'
export type { NativeTowerInfo as TowerInfo } from './native.js'
export * from './options.js'
export { type Rgb, vocColor } from './palette.js'
export type { Point, Polygon, Ring } from './polygons.js'
export { METHODS, type Method, type Preset, type Published, type Variant } from './presets.js'
export {
  type OverlayOptions,
  type PngOptions,
  Segmentation,
  type SegmentationJson,
  type Timings,
} from './result.js'
export type { Rle } from './rle.js'
export { type SegmentManyOptions, segment, segmentMany } from './segment.js'
export { expandTemplates, TEMPLATES } from './templates.js'
export { type DType, Tensor, type TensorData } from './tensor.js'
export { tokenize } from './tokenize.js'
export {
  type SpecialTokens,
  type TokenizeOptions,
  Tokenizer,
  type TokenizerOptions,
  type Tokens,
} from './tokenizer.js'
export type { TrainConfig } from './train/config-fields.js'
export { type ProcessGroup, processGroupFromEnvironment } from './train/process-group.js'
export {
  type TrainCallOptions,
  type TrainProgress,
  type TrainResult,
  train,
} from './train/train.js'
export { View, type ViewSegmentOptions } from './view.js'
export { Vocabulary } from './vocabulary.js'
