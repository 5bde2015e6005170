import { checkCall } from '../base/call.js'
import { warnOnce } from '../base/warn.js'
import { prepareAddon } from '../engine/load-addon.js'
import { Tensor } from '../engine/tensor.js'
import { aborted, invalid } from '../errors.js'
import { sourceOrDefault } from '../hub/default-model.js'
import type { ImageInput } from '../image/decode.js'
import { openImage, type Picture } from '../image/source.js'
import { type ResolvedMethod, resolveMethod } from '../methods/resolve.js'
import { type Asked, ask } from '../model/ask.js'
import { modelNamed } from '../model/load.js'
import { Model, noPicture } from '../model/model.js'
import type { Given, Segmentation } from '../result/segmentation.js'
import type { ClassList } from '../words/options.js'
import type { Vocabulary } from '../words/vocabulary.js'
import type { SegmentOptions } from './options.js'

/**
 * Says for every pixel which of the classes it belongs to.
 *
 * @param image - a path, file URL, encoded bytes, Blob, raw pixels, ImageData, sharp instance, or a
 * normalised float tensor [1, 3, H, W] (which is not resized)
 * @param classes - one entry per class, 'name' or 'name, synonym, ...'; the path of a file with one
 * such line per class; or a {@link Vocabulary}
 * @param options - model, method and everything that overrides the method's preset
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG, ERR_DECLIP_IMAGE, ERR_DECLIP_IO, ERR_DECLIP_WEIGHTS,
 * ERR_DECLIP_OUT_OF_MEMORY, ERR_DECLIP_ABORTED, ERR_DECLIP_DISPOSED, and as {@link loadModel}
 *
 * @example
 * ```ts
 * const seg = await segment('photo.jpg', ['cat, feline', 'sofa', 'background'])
 * console.log(seg.classes, seg.areas)
 * ```
 */
export async function segment(
  image: ImageInput,
  classes: ClassList | Vocabulary,
  options: SegmentOptions = {},
): Promise<Segmentation> {
  const start = performance.now()
  checkCall(options)
  if (options.signal?.aborted) throw aborted(options.signal)
  // first, so that bytes and pixels are copied before the caller can change them
  const picture = openPicture(image, options)
  return segmentPicture(picture, classes, await prepare(options), start)
}

/** A picture whose decoding has begun, or the tensor that it is. @internal */
export type Opened = Tensor | (Picture & { readonly decodeMs: Promise<number> })

/** Begins to decode; bytes and pixels are copied before it returns. @internal */
export function openPicture(
  image: ImageInput,
  options: { signal?: AbortSignal | undefined },
): Opened {
  if (image instanceof Tensor) return image
  const start = performance.now()
  const picture = openImage(image, options)
  const decodeMs = picture.decoded.then(() => performance.now() - start)
  decodeMs.catch(() => {}) // segmentPicture() waits for `decoded`
  return { ...picture, decodeMs }
}

/** A call's options with the models loaded and the method resolved. @internal */
export interface Prepared<T extends SegmentOptions = SegmentOptions> {
  readonly model: Model
  readonly method: ResolvedMethod
  readonly options: T
}

/** What is the same for every picture of a call. @internal */
export async function prepare<T extends SegmentOptions>(given: T): Promise<Prepared<T>> {
  await prepareAddon()
  const model = await modelOf(given)
  model.checkTextSpace()
  const options = await model.withProxy(given)
  const method = resolveMethod({ model: model.facts, options })
  warnOnce(method.warning)
  return { model, method, options }
}

/** Encodes a picture and asks for the words' labels. @internal */
export function segmentPicture(
  picture: Opened,
  classes: ClassList | Vocabulary,
  { model, method, options }: Prepared,
  start: number,
  given?: Given,
): Promise<Segmentation> {
  const { pipeline } = method
  const asked: Asked = {
    model,
    method,
    start,
    given,
    encoded: async () => {
      const pixels =
        picture instanceof Tensor ? { tensor: picture.native } : (await picture.decoded).pixels
      return {
        answer: query => model.native.segment({ ...query, picture: pixels, pipeline }),
        decodeMs: picture instanceof Tensor ? undefined : await picture.decodeMs,
      }
    },
    source: picture instanceof Tensor ? noPicture : picture.again,
  }
  return ask(asked, classes, options)
}

async function modelOf(options: SegmentOptions): Promise<Model> {
  const { model, device, dtype, onProgress } = options
  if (model instanceof Model) return model
  if (model !== undefined && typeof model !== 'string') {
    throw invalid('model', 'a Model or what loadModel() takes', model)
  }
  return modelNamed(await sourceOrDefault(model), { device, dtype, onProgress })
}
