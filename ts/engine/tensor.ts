import { types } from 'node:util'
import type { DType } from '../base/names.js'
import { refuseClones } from '../base/uncloneable.js'
import { DeclipError, invalid, toDeclipError } from '../errors.js'
import type { NativeTensor } from './addon-types.js'
import { loadAddon } from './load-addon.js'

/** What {@link Tensor.data} gives, by element type; half types come widened to float32. */
export type TensorData = Float32Array | Uint8Array | Uint16Array | Int32Array | BigInt64Array

const CONSTRUCTORS = {
  float32: Float32Array,
  float16: Float32Array,
  bfloat16: Float32Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  bool: Uint8Array,
} as const

const ADVICE =
  'A Tensor, which results, views and vocabularies hold too, is native memory of this thread and cannot be cloned or sent in a message. Send what tensor.data() or segmentation.toTransferable() gives.'

/**
 * Typed handle on a tensor that lives in the native part.
 *
 * @example
 * ```ts
 * using t = Tensor.from(new Float32Array(3 * 224 * 224), [1, 3, 224, 224])
 * t.shape // [1, 3, 224, 224]
 * ```
 */
export class Tensor {
  /** Length of every dimension. */
  readonly shape: readonly number[]
  /** Element type. */
  readonly dtype: DType
  /** 'cpu' or 'cuda:0'. */
  readonly device: string
  /** @internal */
  readonly native: NativeTensor

  /** @internal */
  constructor(native: NativeTensor) {
    this.native = native
    this.shape = Object.freeze([...native.shape])
    this.dtype = native.dtype
    this.device = native.device
    refuseClones(native, ADVICE)
  }

  /**
   * Copies a typed array into a tensor on the CPU.
   *
   * @param data - float32, uint8, uint16, int32 or int64 elements, row-major
   * @param shape - length of every dimension; their product is the array's length
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG
   */
  static from(data: TensorData | Uint8ClampedArray, shape: readonly number[]): Tensor {
    const dtype = dtypeOf(data)
    if (
      !Array.isArray(shape) ||
      !shape.every(n => Number.isSafeInteger(n) && n >= 0) ||
      shape.reduce((a, b) => a * b, 1) !== data.length
    ) {
      throw new DeclipError(
        'ERR_DECLIP_INVALID_ARG',
        `shape must be a list of whole numbers whose product is the array's length, ${data.length}, received [${shape}].`,
      )
    }
    // Native code cannot read shared memory, and the elements could change while it copies them.
    const own = data.buffer instanceof SharedArrayBuffer ? data.slice() : data
    return guard(() => new Tensor(loadAddon().tensor(own, [...shape], dtype)))
  }

  /**
   * Copies the elements out, row-major.
   *
   * @throws {@link DeclipError} ERR_DECLIP_DISPOSED
   */
  async data(): Promise<TensorData> {
    try {
      return new CONSTRUCTORS[this.dtype](await this.native.data())
    } catch (error) {
      throw toDeclipError(error)
    }
  }

  /**
   * Rows `start` to `end` (excluded) of a dimension; shares memory with this tensor.
   *
   * @param start - first index, 0 or more
   * @param end - default: the dimension's length
   * @param dim - dimension, default 0
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG, ERR_DECLIP_DISPOSED
   */
  slice(start: number, end?: number, dim = 0): Tensor {
    const length = Number.isInteger(dim) ? this.shape[dim] : undefined
    if (length === undefined) throw invalid('dim', `0 to ${this.shape.length - 1}`, dim)
    const stop = end ?? length
    const valid = [start, stop].every(n => Number.isInteger(n) && n >= 0 && n <= length)
    if (!valid || stop < start) {
      throw invalid('start and end', `whole numbers, 0 to ${length}`, `${start}, ${stop}`)
    }
    return guard(() => new Tensor(this.native.slice(dim, start, stop)))
  }

  /**
   * Copy with another element type or on another device.
   *
   * @throws {@link DeclipError} ERR_DECLIP_DEVICE, ERR_DECLIP_INVALID_ARG, ERR_DECLIP_DISPOSED
   */
  async to(options: { dtype?: DType | undefined; device?: string | undefined }): Promise<Tensor> {
    try {
      return new Tensor(await this.native.to(options))
    } catch (error) {
      throw toDeclipError(error)
    }
  }

  /** Shape, element type and device, as JSON.stringify() takes them; not the elements. */
  toJSON(): Pick<Tensor, 'shape' | 'dtype' | 'device'> {
    const { shape, dtype, device } = this
    return { shape, dtype, device }
  }

  /** Gives the memory back; later use fails with ERR_DECLIP_DISPOSED. May be called again. */
  dispose(): void {
    this.native.dispose()
  }

  /** As {@link Tensor.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose()
  }
}

function dtypeOf(data: unknown): DType {
  if (types.isFloat32Array(data)) return 'float32'
  if (types.isUint8Array(data) || types.isUint8ClampedArray(data)) return 'uint8'
  if (types.isUint16Array(data)) return 'uint16'
  if (types.isInt32Array(data)) return 'int32'
  if (types.isBigInt64Array(data)) return 'int64'
  throw invalid(
    'data',
    'a Float32Array, Uint8Array, Uint16Array, Int32Array or BigInt64Array',
    data,
  )
}

function guard<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw toDeclipError(error)
  }
}
