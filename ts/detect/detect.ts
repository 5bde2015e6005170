import type { Call } from '../base/call.js'
import { checkFields } from '../base/field.js'
import { admit } from '../engine/admission.js'
import { Tensor } from '../engine/tensor.js'
import { DeclipError } from '../errors.js'
import type { ImageInput } from '../image/decode.js'
import {
  DETECTOR_OPTIONS,
  encodeForDetection,
  noTensor,
  refuseOthers,
} from '../model/detector-view.js'
import { noPicture } from '../model/picture.js'
import type { Opened } from '../model/picture-regions.js'
import { Detections } from '../result/detections.js'
import type { Found } from '../result/found.js'
import type { Segmentation } from '../result/segmentation.js'
import { loadedModel, openPicture, prepare, segmentPicture } from '../segment/segment.js'
import type { ClassList } from '../words/options.js'
import type { Vocabulary } from '../words/vocabulary.js'
import { againstBackground } from './background.js'
import {
  DETECT_FIELDS,
  type DetectOptions,
  LIMIT,
  leastArea,
  refuseDetectorOptions,
  SCORE_THRESHOLD,
} from './options.js'

/**
 * Finds things that you name, each with a box, a score and, if asked for, a mask.
 *
 * With a detector checkpoint (F-ViT): by its heads, which find boxes of their own. With any other CLIP-like model: the
 * picture is segmented by the words, and every connected region of a class is one object. Things of one class that
 * touch are therefore one object.
 *
 * @param image - as for {@link segment}; of a detector no Tensor
 * @param classes - as for {@link segment}; none for the words that a detector stores. Where none of them is the
 * background, a detector takes the one that it was trained with, and without a detector common surroundings are put
 * against them, which are neither in `classes` nor found; `background: false` leaves these out
 * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG, also for options that the model has no use for, and as
 * {@link segment}
 *
 * @example
 * ```ts
 * using found = await detect('photo.jpg', ['dog', 'cup'])
 * console.log(found.toJSON().objects)
 * await found.savePNG('found.png', { overlay: true })
 * ```
 */
export async function detect(
  image: ImageInput,
  classes?: ClassList | Vocabulary,
  options: DetectOptions = {},
): Promise<Detections> {
  return admit(options, async call => {
    const start = performance.now()
    checkFields(call, DETECT_FIELDS)
    // first, so that bytes and pixels are copied before the caller can change them
    const picture = openPicture(image, call)
    try {
      const model = await loadedModel(call)
      if (model.info.detector === null) {
        refuseDetectorOptions(call)
        return await detectRegions(picture, given(classes), { ...call, model }, start)
      }
      refuseOthers(call, DETECTOR_OPTIONS)
      if (picture instanceof Tensor) throw noTensor(picture)
      const seen = performance.now()
      using view = await encodeForDetection(model, picture, call)
      const { decodeMs } = picture
      const encodeMs = performance.now() - seen - decodeMs
      return await view.answer(classes, call, { decodeMs, encodeMs }, start)
    } finally {
      if (!(picture instanceof Tensor)) picture.close()
    }
  })
}

async function detectRegions(
  picture: Opened,
  classes: ClassList | Vocabulary,
  call: Call & DetectOptions,
  start: number,
): Promise<Detections> {
  const { classes: words, background, added } = await againstBackground(classes, call)
  const prepared = await prepare({
    ...call,
    masks: undefined,
    background,
    logits: false,
    probabilities: false,
  })
  using segmentation = await segmentPicture(picture, words, prepared, start)
  const found = await objectsOf(segmentation, call, added ? 1 : 0)
  const { width, height, timings } = segmentation
  return new Detections({
    found,
    classes: segmentation.classes.slice(added ? 1 : 0),
    width,
    height,
    timings: { ...timings, totalMs: performance.now() - start },
    masks: call.masks ?? false,
    source: picture instanceof Tensor ? noPicture : picture.again,
  })
}

function given(classes: ClassList | Vocabulary | undefined): ClassList | Vocabulary {
  if (classes !== undefined) return classes
  throw new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    "Classes are missing: only a detector checkpoint has words of its own. Name what is to be found, such as ['dog', 'cup'].",
  )
}

/** @param shift - classes in front that are not the caller's */
async function objectsOf(
  segmentation: Segmentation,
  options: DetectOptions,
  shift: number,
): Promise<Found[]> {
  const { width, height } = segmentation
  const { scoreThreshold = SCORE_THRESHOLD, limit = LIMIT, signal } = options
  const { minArea = leastArea(width, height) } = options
  const objects = await segmentation.objects({ minArea, signal })
  return objects
    .filter(({ score }) => score >= scoreThreshold)
    .sort((a, b) => b.score - a.score || b.area - a.area)
    .slice(0, limit)
    .map(({ box, score, index, rle }) => ({ box, score, label: index - shift, mask: rle }))
}
