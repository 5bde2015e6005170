export type { BankModel, BankPart } from './bank/about.js'
export { Bank, type BankInfo, type BankParts, type BankPicture } from './bank/bank.js'
export {
  type BankImages,
  type BuildBankOptions,
  buildBank,
  type NamedPicture,
} from './bank/build.js'
export type { CallOptions, Priority, Progress } from './base/call.js'
export {
  DENSE_MODES,
  type DenseMode,
  type Device,
  type DType,
  type ModelDType,
  type ModelFamily,
  type Positions,
  type TokenizerKind,
} from './base/names.js'
export { detect } from './detect/detect.js'
export type { DetectOptions } from './detect/options.js'
export type {
  NativeResize as ResizeInfo,
  NativeTowerInfo as TowerInfo,
} from './engine/addon-types.js'
export { type DoctorCheck, doctor } from './engine/doctor.js'
export type { Histogram } from './engine/histogram.js'
export type { Libtorch } from './engine/libtorch.js'
export { configure, type Settings } from './engine/settings.js'
export { type SetupOptions, type SetupPlan, type SetupResult, setup } from './engine/setup.js'
export { type JobStats, type Stats, stats } from './engine/stats.js'
export { Tensor, type TensorData } from './engine/tensor.js'
export { DeclipError, ERROR_CODES, type ErrorCode, type ErrorJson } from './errors.js'
export type {
  DatasetClass,
  DetectionTruth,
  EvaluationTask,
  TrueObject,
} from './evaluate/datasets/dataset.js'
export { DATASET_TASKS, type EvaluationDataset } from './evaluate/datasets/open.js'
export { evaluate } from './evaluate/evaluate.js'
export { type MergeOptions, type MergeResult, merge } from './evaluate/merge.js'
export {
  type AveragePrecisionOptions,
  averagePrecision,
} from './evaluate/metrics/average-precision.js'
export {
  type AveragePrecisionScores,
  type ClassAveragePrecision,
  type DetectedPicture,
  DetectionCounts,
  type DetectionRules,
  type FoundObject,
  type PrecisionCurve,
} from './evaluate/metrics/detection.js'
export {
  type RankedRegion,
  type RegionAccuracy,
  type RegionClassAccuracy,
  RegionCounts,
  type RegionScores,
  type RegionSource,
} from './evaluate/metrics/regions.js'
export {
  type SemanticClassScores,
  SemanticCounts,
  type SemanticScores,
} from './evaluate/metrics/semantic.js'
export type { EvaluateOptions } from './evaluate/options.js'
export type {
  ClassScore,
  DetectionResult,
  EvaluationResult,
  EvaluationSettings,
  EvaluationSummary,
  EvaluationVersions,
  FailedPicture,
  PublishedFigure,
  RegionsResult,
  SemanticResult,
} from './evaluate/result.js'
export { exportDataset } from './export/export-dataset.js'
export { EXPORT_FORMATS, type ExportFormat } from './export/formats.js'
export { type MergedExport, mergeExports } from './export/merge.js'
export type { ExportOptions, ExportResult, NamedImage } from './export/options.js'
export type { PictureWay } from './export/pictures.js'
export type {
  DecodedImage,
  ImageEncoder,
  ImageInput,
  PictureOptions,
  RawImage,
} from './image/decode.js'
export type { LabelMap } from './image/label-map.js'
export type { MeasuredRle } from './masks/coco-rle.js'
export { decodeMasks, encodeMasks, type PictureSize } from './masks/convert.js'
export {
  MASK_PRESETS,
  type MaskGeneratorOptions,
  type MaskPresetName,
  type PointGrid,
} from './masks/generator-fields.js'
export type { MaskInput } from './masks/mask-input.js'
export type { CocoPolygons, MaskShape } from './masks/pack-shapes.js'
export type { Point, Polygon, Ring } from './masks/polygons.js'
export type {
  MaskFunction,
  MaskMaker,
  MaskPicture,
  MaskProvider,
  NpzMasks,
  OrderedMasks,
  PlainMasks,
} from './masks/provider.js'
export type { Rle } from './masks/rle.js'
export {
  DATASET_NAMES,
  DATASETS,
  type Dataset,
  type DatasetName,
  MIOU_CONVENTIONS,
  type MiouConvention,
} from './methods/benchmarks.js'
export { datasets, METHOD_NAMES, METHODS, type MethodName } from './methods/list.js'
export type {
  DatasetWords,
  FamilyVariant,
  Method,
  PamrOptions,
  Preset,
  Published,
  Variant,
} from './methods/method.js'
export type {
  AggregateOptions,
  CatSegOptions,
  CorrClipOptions,
  DenseOptions,
  FoundationModel,
  PipelineOptions,
  PostprocessOptions,
  PromptOptions,
  ProxyOptions,
  ScClipOptions,
  TextOptions,
  TextTowerModel,
} from './methods/options.js'
export type { Box, Boxes } from './model/boxes.js'
export type {
  Classification,
  ClassifiedRegion,
  ClassifyOptions,
  RegionPool,
} from './model/classify.js'
export type {
  DetectorInputOptions,
  DetectorQuestionOptions,
  DetectorWordOptions,
  EncodeForDetectionOptions,
  ProposalOptions,
  ViewDetectOptions,
} from './model/detector-options.js'
export { DetectorView } from './model/detector-view.js'
export {
  type Peak,
  type PeakOptions,
  View,
  type ViewSegmentOptions,
} from './model/encoded-image.js'
export type { GeneratedMask } from './model/generate-masks.js'
export type { CheckpointInfo, ModelInfo } from './model/info.js'
export { releaseModels } from './model/kept-models.js'
export { inspectCheckpoint, loadModel } from './model/load.js'
export type {
  MaskBox,
  MaskPoint,
  MaskPromptOptions,
  MaskPrompts,
  PointLabel,
} from './model/mask-prompts.js'
export { MaskView } from './model/mask-view.js'
export { Model } from './model/model.js'
export type {
  ConfigOptions,
  EncodeDenseOptions,
  EncodeImageOptions,
  EncodeOptions,
  EncodeRegionOptions,
  LoadOptions,
} from './model/options.js'
export { type SamMasksOptions, samMasks } from './model/sam-masks.js'
export { type CocoResult, Detections, type DetectionsJson } from './result/detections.js'
export type { ObjectOptions, SegmentedObject } from './result/objects.js'
export { type Rgb, vocColor } from './result/palette.js'
export { PromptedMasks } from './result/prompted-masks.js'
export {
  type OverlayOptions,
  type PngOptions,
  Segmentation,
  type SegmentationJson,
  type SegmentationOf,
} from './result/segmentation.js'
export type { Timings } from './result/timings.js'
export type { SegmentationData, TransferableSegmentation } from './result/transferable.js'
export type { SegmentOptions } from './segment/options.js'
export { segment } from './segment/segment.js'
export { type SegmentManyOptions, segmentMany } from './segment/segment-many.js'
export {
  type ClassEntry,
  type ClassSeparator,
  type Definition,
  parseClasses,
  parseDefinitions,
  parseInlineClasses,
  readClassFile,
  readDefinitionFile,
} from './text/class-files.js'
export { type Answer, type AuxiliaryKind, writeDefinitions } from './text/definitions.js'
export type { TemplateSetName } from './text/templates.js'
export { expandTemplates, TEMPLATES } from './text/templates.js'
export type { TextTokenizer, TokenizeOptions, Tokens } from './text/text-tokenizer.js'
export { tokenize } from './text/tokenize.js'
export { type SpecialTokens, Tokenizer, type TokenizerOptions } from './text/tokenizer.js'
export type { TrainConfig } from './train/config-fields.js'
export { type ProcessGroup, processGroupFromEnvironment } from './train/process-group.js'
export { train } from './train/train.js'
export type { TrainCallOptions, TrainProgress, TrainResult } from './train/types.js'
export type { RowNames } from './words/embeddings.js'
export type {
  AuxiliaryTexts,
  ClassList,
  GivenFeaturesOptions,
  VocabularyOptions,
} from './words/options.js'
export type { RankedClass } from './words/rank.js'
export { Vocabulary } from './words/vocabulary.js'
export type { TextSide } from './words/word-features.js'
