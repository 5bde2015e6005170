import { until } from '../base/abort.js'
import type { Call } from '../base/call.js'
import { warnOnce } from '../base/warn.js'
import { admit } from '../engine/admission.js'
import { prepareAddon } from '../engine/load-addon.js'
import { Tensor } from '../engine/tensor.js'
import { invalid } from '../errors.js'
import { sourceOrDefault } from '../hub/default-model.js'
import type { ImageInput, PictureOptions } from '../image/decode.js'
import { openImage } from '../image/source.js'
import { holdProvider } from '../masks/provider.js'
import { checkMasksUsed, type ResolvedMethod, resolveMethod } from '../methods/resolve.js'
import { type Asked, ask } from '../model/ask.js'
import { modelNamed } from '../model/load.js'
import { Model } from '../model/model.js'
import { noPicture } from '../model/picture.js'
import { type Opened, placeRegions } from '../model/picture-regions.js'
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
 * ERR_DECLIP_OUT_OF_MEMORY, ERR_DECLIP_ABORTED, ERR_DECLIP_BUSY, ERR_DECLIP_DISPOSED, and as {@link loadModel}
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
  return admit(options, async call => {
    const start = performance.now()
    // first, so that bytes and pixels are copied before the caller can change them
    const picture = openPicture(image, call)
    try {
      return await segmentPicture(picture, classes, await prepare(call), start)
    } finally {
      if (!(picture instanceof Tensor)) picture.close()
    }
  })
}

/** Bytes and pixels are copied before it returns. @internal */
export function openPicture(image: ImageInput, call: Call & PictureOptions): Opened {
  return image instanceof Tensor ? image : openImage(image, call)
}

/** A call's options with the models loaded and the method resolved. @internal */
export interface Prepared<T extends SegmentOptions = SegmentOptions> {
  readonly model: Model
  readonly method: ResolvedMethod
  readonly options: T
}

/** What is the same for every picture of a call. @internal */
export async function prepare<T extends SegmentOptions>(asked: T): Promise<Prepared<T>> {
  // What the caller may change is taken over before anything is waited for.
  const { masks } = asked
  const given: T = masks === undefined ? asked : { ...asked, masks: holdProvider(masks) }
  await prepareAddon()
  // Others may wait for the same models, which go on loading if this call is stopped.
  const model = await until(modelOf(given), given.signal)
  model.checkTextSpace(given.method)
  const loaded = await until(model.withProxy(given), given.signal)
  const options = await until(model.withText(loaded), given.signal)
  const method = resolveMethod({ model: model.facts, options })
  checkMasksUsed(method, options.masks)
  warnOnce(method.warning)
  return { model, method, options }
}

/** The model that a call names. @internal */
export async function loadedModel(
  given: Call & Pick<SegmentOptions, 'model' | 'device' | 'dtype'>,
): Promise<Model> {
  await prepareAddon()
  return until(modelOf(given), given.signal)
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
  // while words are encoded; placeRegions() sees what went wrong
  if (!(picture instanceof Tensor)) picture.decode().catch(() => {})
  const asked: Asked = {
    model,
    method,
    start,
    given,
    encoded: async () => {
      const placed = await placeRegions(picture, pipeline, options)
      const { ready, masksMs } = placed
      return {
        answer: query =>
          model.native
            .segment({ ...query, picture: ready, pipeline: placed.pipeline })
            .finally(() => placed.dispose()),
        decodeMs: picture instanceof Tensor ? undefined : picture.decodeMs,
        masksMs,
      }
    },
    source: picture instanceof Tensor ? noPicture : picture.again,
  }
  return ask(asked, classes, options)
}

async function modelOf(
  options: Call & Pick<SegmentOptions, 'model' | 'device' | 'dtype'>,
): Promise<Model> {
  const { model, device, dtype, onProgress } = options
  if (model instanceof Model) return model
  if (model !== undefined && typeof model !== 'string') {
    throw invalid('model', 'a Model or what loadModel() takes', model)
  }
  return modelNamed(await sourceOrDefault(model), { device, dtype, onProgress })
}
