import type { Call } from '../base/call.js'
import type { NativeMaskView } from '../engine/addon-types.js'
import { admit } from '../engine/admission.js'
import { callNative } from '../engine/call-native.js'
import { loadAddon } from '../engine/load-addon.js'
import { DeclipError } from '../errors.js'
import type { Picture } from '../image/source.js'
import { PromptedMasks } from '../result/prompted-masks.js'
import { soon } from './encoded-image.js'
import type { Engine } from './input.js'
import { type MaskPromptOptions, packPrompts } from './mask-prompts.js'

/**
 * A picture that SAM's encoder has seen once: a click takes a few hundredths of a second. Made by
 * {@link Model.encodeForMasks}.
 *
 * @example
 * ```ts
 * using view = await sam.encodeForMasks('photo.jpg')
 * using first = await view.masksAt({ points: [[320, 240]] })
 * using second = await view.masksAt({
 *   points: [[320, 240], [400, 250]], labels: [1, 0], maskInput: first.lowRes,
 * })
 * ```
 */
export class MaskView {
  /** Width of the upright picture in pixels. */
  readonly width: number
  /** Height of the upright picture in pixels. */
  readonly height: number
  /** Memory of the features in bytes. */
  readonly byteLength: number

  readonly #native: NativeMaskView
  readonly #lowResSize: number

  /** @internal */
  constructor(native: NativeMaskView, lowResSize: number) {
    this.width = native.width
    this.height = native.height
    this.byteLength = native.byteLength
    this.#native = native
    this.#lowResSize = lowResSize
  }

  /**
   * Masks of points, boxes and earlier masks; no pass through the encoder, and so of high priority unless `priority`
   * says otherwise. Without any prompt the model says what it takes for the object.
   *
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG for prompts that do not fit each other or the picture,
   * ERR_DECLIP_ABORTED, ERR_DECLIP_BUSY, ERR_DECLIP_DISPOSED
   */
  async masksAt(options: MaskPromptOptions = {}): Promise<PromptedMasks> {
    return admit(soon(options), call => this.answer(call))
  }

  /** @internal */
  async answer(call: MaskPromptOptions & Call): Promise<PromptedMasks> {
    const { prompts, dispose } = packPrompts(call, this, this.#lowResSize)
    try {
      return new PromptedMasks(
        await callNative(loadAddon(), call, job => this.#native.masksAt({ ...job, ...prompts })),
        this,
      )
    } finally {
      dispose()
    }
  }

  /** Gives the features back; later use fails with ERR_DECLIP_DISPOSED. May be called again. */
  dispose(): void {
    this.#native.dispose()
  }

  /** As {@link MaskView.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose()
  }
}

/** The picture through the encoder; its pixels are given back. @internal */
export async function encodeForMasks(
  { addon, native }: Engine,
  picture: Picture,
  call: Call,
): Promise<MaskView> {
  const lowResSize = checkMaskDecoder(native.info)
  const { pixels } = await picture.decode()
  const view = await callNative(addon, call, job =>
    native.encodeForMasks({ ...job, ...pixels }),
  ).finally(() => picture.dispose())
  return new MaskView(view, lowResSize)
}

/** Refused before a picture is decoded. Returns the side of masks as the decoder makes them. */
function checkMaskDecoder({ maskDecoder, family, path }: Engine['native']['info']): number {
  if (maskDecoder !== null) return maskDecoder.lowResSize
  const has =
    family === 'sam'
      ? "holds SAM's image encoder without a whole mask decoder, as timm's files do"
      : `is no SAM (${family}), which alone makes masks of points and boxes`
  throw new DeclipError(
    'ERR_DECLIP_WEIGHTS',
    `${path} ${has}. Load a file with SAM's prompt encoder and mask decoder: sam_vit_b_01ec64.pth, sam_vit_l_0b3195.pth or sam_vit_h_4b8939.pth of its authors, or facebook/sam-vit-base, -large or -huge.`,
  )
}
