/** What results and errors look like, and that they do not change. */
import { expectAssignable, expectError, expectNotAssignable, expectType } from 'tsd'
import {
  DENSE_MODES,
  DeclipError,
  type DenseMode,
  type ErrorCode,
  type ErrorJson,
  METHOD_NAMES,
  type MethodName,
  type Model,
  type ModelFamily,
  Segmentation,
  type SegmentationData,
  type Tensor,
} from '../../dist/index.mjs'

declare const seg: Segmentation
declare const model: Model
declare const error: DeclipError

expectType<Tensor>(seg.labels)
expectType<readonly string[]>(seg.classes)
expectType<readonly number[]>(seg.areas)
expectType<number>(seg.width)
expectType<Tensor | undefined>(seg.logits)
expectType<Tensor | undefined>(seg.probabilities)
expectType<Promise<Uint8Array>>(seg.toPNG({ overlay: true }))
expectType<Promise<Uint8Array>>(seg.toPNG({ overlay: { opacity: 0.5 }, palette: [[255, 0, 0]] }))
expectType<Promise<void>>(seg.savePNG('mask.png'))
expectType<Promise<void>>(seg.saveLogits('logits.safetensors'))
expectAssignable<Disposable>(seg)
const { message, transfer } = await seg.toTransferable()
expectType<SegmentationData>(message)
expectType<ArrayBuffer[]>(transfer)
expectType<Promise<Segmentation>>(Segmentation.fromTransferable(message))
expectType<ErrorCode>(error.toJSON().code)
expectType<DeclipError>(DeclipError.fromJSON({} as ErrorJson))
expectError((seg.width = 5))
expectError(seg.classes.push('more'))
expectError(seg.toPNG({ overlay: 'yes' }))
expectError(seg.toPNG({ palette: ['red'] }))
// Logits are there only where they were asked for.
expectNotAssignable<Tensor>(seg.logits)

expectType<ModelFamily>(model.info.family)
expectType<'float32' | 'bfloat16' | 'float16' | 'int8'>(model.info.dtype)
expectType<number | null>(model.info.contextLength)
expectType<readonly ('vision' | 'text')[]>(model.info.towers)
expectType<DenseMode | null>(model.info.denseMode)
expectType<readonly DenseMode[]>(model.info.denseModes)
expectType<readonly MethodName[]>(model.info.methods)
expectType<MethodName | null>(model.info.defaultMethod)
expectType<'end' | 'first' | 'last' | 'mean' | undefined>(model.info.text?.pool)
expectType<number | undefined>(model.info.vision.poolingHead?.heads)
expectType<string | null>(model.info.license)
expectType<string>(model.info.deviceReason)
expectError((model.info.width = 5))

expectAssignable<Error>(error)
expectType<ErrorCode>(error.code)
expectType<DeclipError>(new DeclipError('ERR_DECLIP_IMAGE', 'text', { cause: 5 }))
expectError(new DeclipError('EIO', 'text'))
expectNotAssignable<ErrorCode>('EIO')

expectAssignable<readonly DenseMode[]>(DENSE_MODES)
expectAssignable<readonly MethodName[]>(METHOD_NAMES)
expectError(DENSE_MODES.push('xx'))
