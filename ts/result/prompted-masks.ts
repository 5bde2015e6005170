import type { NativeMaskAnswer } from '../engine/addon-types.js'
import { Tensor } from '../engine/tensor.js'
import { invalid } from '../errors.js'
import { toMasks } from '../masks/mask-input.js'
import type { Rle } from '../masks/rle.js'
import { encodeLabelPng } from './png.js'

const BLACK_AND_WHITE = [
  [0, 0, 0],
  [255, 255, 255],
] as const

/**
 * Masks that {@link Model.masksAt} made, prompt after prompt. Everything but `lowRes` is plain data; dispose of it when
 * that is not needed any more.
 */
export class PromptedMasks {
  /** Of the picture, in pixels. */
  readonly width: number
  /** Of the picture, in pixels. */
  readonly height: number
  /** How many prompts there were. */
  readonly prompts: number
  /** Masks in the picture's size, `masksPerPrompt` of each prompt; counts as pycocotools' string. */
  readonly masks: readonly Rle[]
  /** 1, or with `multimask: true` as many as the model has for an ambiguous prompt. */
  readonly masksPerPrompt: number
  /** Predicted overlap with the true mask, one for every mask. Not bounded: values above 1 occur. */
  readonly scores: readonly number[]
  /** Pixels inside. */
  readonly areas: readonly number[]
  /** x, y, width and height in pixels; zeros where nothing is inside. */
  readonly boxes: readonly (readonly [number, number, number, number])[]
  /**
   * float32 [prompts, masksPerPrompt, 4G, 4G]: logits before they are enlarged, the padding of the network's square
   * included. Hand one mask of each prompt back as `maskInput` with the next point.
   */
  readonly lowRes: Tensor

  /** @internal */
  constructor(answer: NativeMaskAnswer, { width, height }: { width: number; height: number }) {
    const { strings, areas, boxes, scores } = answer
    this.width = width
    this.height = height
    this.lowRes = new Tensor(answer.lowRes)
    this.prompts = this.lowRes.shape[0] as number
    this.masksPerPrompt = this.lowRes.shape[1] as number
    this.masks = strings.map(counts => ({ size: [height, width] as const, counts }))
    this.scores = [...scores]
    this.areas = [...areas]
    this.boxes = strings.map(
      (_, i) => [...boxes.subarray(4 * i, 4 * i + 4)] as [number, number, number, number],
    )
  }

  /**
   * A mask as a palette PNG in the picture's size: index 1, white, inside.
   *
   * @param index - place in `masks`, default 0
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG
   */
  async toPNG(index = 0): Promise<Uint8Array> {
    const mask = this.masks[index]
    if (mask === undefined) {
      throw invalid('index', `a whole number, 0 to ${this.masks.length - 1}`, index)
    }
    const planes = await toMasks([mask], this, {})
    const labels = planes.reshape([this.height, this.width])
    planes.dispose()
    try {
      return await encodeLabelPng(labels, BLACK_AND_WHITE)
    } finally {
      labels.dispose()
    }
  }

  /** Plain data, as JSON.stringify() takes it; not `lowRes`. */
  toJSON(): Omit<PromptedMasks, 'lowRes' | 'toPNG' | 'toJSON' | 'dispose' | typeof Symbol.dispose> {
    const { width, height, prompts, masks, masksPerPrompt, scores, areas, boxes } = this
    return { width, height, prompts, masks, masksPerPrompt, scores, areas, boxes }
  }

  /** Gives `lowRes` back. May be called again. */
  dispose(): void {
    this.lowRes.dispose()
  }

  /** As {@link PromptedMasks.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose()
  }
}
