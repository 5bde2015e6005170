import type { Call } from '../base/call.js'
import { checkFields } from '../base/field.js'
import type { DenseMode } from '../base/names.js'
import type {
  NativeDetected,
  NativeDetectorInfo,
  NativeDetectorInput,
  NativeDetectorQuestion,
  NativeDetectorView,
} from '../engine/addon-types.js'
import { admit } from '../engine/admission.js'
import { callNative } from '../engine/call-native.js'
import { loadAddon } from '../engine/load-addon.js'
import { DeclipError, invalid } from '../errors.js'
import type { Picture } from '../image/source.js'
import { countsOf } from '../masks/count-text.js'
import type { Rle } from '../masks/rle.js'
import { modeOf } from '../methods/fields.js'
import { categoryIdsOf, detectorPreset, presetOf } from '../methods/fvit.js'
import { checkMode, type ModelFacts } from '../methods/preset.js'
import { Detections } from '../result/detections.js'
import type { Found } from '../result/found.js'
import type { Timings } from '../result/timings.js'
import type { ClassList } from '../words/options.js'
import type { Vocabulary } from '../words/vocabulary.js'
import { DETECTOR_FIELDS, DETECTOR_INPUT_FIELDS, PROPOSAL_FIELDS } from './detector-fields.js'
import type {
  DetectorInputOptions,
  DetectorQuestionOptions,
  ViewDetectOptions,
} from './detector-options.js'
import { type DetectorSide, detectorWords } from './detector-words.js'
import { soon } from './encoded-image.js'

/** A model with a detector's heads, as far as they need it. @internal */
export interface DetectorModel extends DetectorSide {
  readonly facts: ModelFacts
}

/** Of a picture beside what native code has of it. @internal */
export interface SeenParts {
  readonly native: NativeDetectorView
  readonly model: DetectorModel
  /** Decodes the picture again. */
  readonly source: Picture['again']
}

/**
 * A picture that a detector has seen once: any words are asked of it without another pass through the tower, the
 * pyramid or the region proposal network. Made by {@link Model.encodeForDetection}.
 *
 * @example
 * ```ts
 * using view = await detector.encodeForDetection('photo.jpg')
 * using own = await view.detect() // the words that the detector stores
 * using pets = await view.detect(['cat, kitten', 'dog'])
 * ```
 */
export class DetectorView {
  /** Width of the upright picture in pixels. */
  readonly width: number
  /** Height of the upright picture in pixels. */
  readonly height: number
  /** Memory of what was seen, in bytes. */
  readonly byteLength: number
  /** Boxes that the heads look at. */
  readonly proposals: number

  readonly #native: NativeDetectorView
  readonly #model: DetectorModel
  readonly #source: SeenParts['source']

  /** @internal */
  constructor({ native, model, source }: SeenParts) {
    this.width = native.width
    this.height = native.height
    this.byteLength = native.byteLength
    this.proposals = native.proposals
    this.#native = native
    this.#model = model
    this.#source = source
  }

  /**
   * Finds things by words; of high priority unless `priority` says otherwise.
   *
   * @param classes - as for {@link detect}: none for the words that the detector stores
   * @throws {@link DeclipError} ERR_DECLIP_INVALID_ARG for options and words that do not fit the detector,
   * ERR_DECLIP_ABORTED, ERR_DECLIP_BUSY, ERR_DECLIP_DISPOSED
   */
  async detect(
    classes?: ClassList | Vocabulary,
    options: ViewDetectOptions = {},
  ): Promise<Detections> {
    return admit(soon(options), call => {
      refuseOthers(call, VIEW_OPTIONS)
      return this.answer(classes, call, { encodeMs: 0 }, performance.now())
    })
  }

  /** @internal */
  async answer(
    classes: ClassList | Vocabulary | undefined,
    options: Call & ViewDetectOptions,
    timings: Pick<Timings, 'decodeMs' | 'encodeMs'>,
    start: number,
  ): Promise<Detections> {
    const { info } = this.#model.engine.native
    const detector = info.detector as NativeDetectorInfo
    const settings = detectorSettings(detector, info.patchSize, options)
    const begun = performance.now()
    const words = await detectorWords(this.#model, classes, options)
    try {
      const asked = performance.now()
      const found = await callNative(loadAddon(), options, job =>
        this.#native.detect({
          ...job,
          ...settings,
          words: words.words,
          wordClass: words.wordClass,
          novel: words.novel,
        }),
      )
      const end = performance.now()
      return new Detections({
        found: toFound(found, this),
        classes: words.classes,
        categoryIds: categoryIdsOf(words.classes, detector),
        width: this.width,
        height: this.height,
        timings: {
          ...timings,
          textMs: asked - begun,
          pixelsMs: end - asked,
          totalMs: end - start,
        },
        masks: settings.masks,
        source: this.#source,
      })
    } finally {
      words.dispose()
    }
  }

  /** Gives the memory back; later use fails with ERR_DECLIP_DISPOSED. May be called again. */
  dispose(): void {
    this.#native.dispose()
  }

  /** As {@link DetectorView.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose()
  }
}

/** The picture through tower, pyramid and proposals; its pixels are given back. @internal */
export async function encodeForDetection(
  model: DetectorModel,
  picture: Picture,
  options: Call & DetectorInputOptions,
): Promise<DetectorView> {
  const { addon, native } = model.engine
  checkDetector(native.info)
  const input = detectorInput(model, options)
  const { pixels } = await picture.decode()
  const view = await callNative(addon, options, job =>
    native.encodeForDetection({ ...job, ...pixels, ...input }),
  ).finally(() => picture.close())
  return new DetectorView({ native: view, model, source: picture.again })
}

/** @internal */
export function noTensor(image: unknown): DeclipError {
  return invalid('image', 'a picture: a detector fits it into a square of its own', image)
}

/** Refused before a picture is decoded. */
function checkDetector({
  detector,
  path,
  family,
}: DetectorModel['engine']['native']['info']): void {
  if (detector !== null) return
  throw new DeclipError(
    'ERR_DECLIP_WEIGHTS',
    `${path} has no detector's heads (${family}). Load an F-ViT: fvit_eva_vitb16_ovcoco_clipself_patches.pth or another of its authors, or one that \`declip train\` made; or call detect(), which takes the connected regions of any model's labels for objects.`,
  )
}

/** @throws DeclipError ERR_DECLIP_INVALID_ARG @internal */
export function detectorInput(
  { facts }: Pick<DetectorModel, 'facts'>,
  options: DetectorInputOptions & { denseMode?: DenseMode | undefined },
): NativeDetectorInput {
  checkFields(options, DETECTOR_INPUT_FIELDS)
  const { inputSize, blocks, voteMode, proposals = {} } = options
  const mode = modeOf(options)
  if (typeof proposals !== 'object' || proposals === null) {
    throw invalid('proposals', 'an object: { perLevel, keep, nmsThreshold }', proposals)
  }
  checkFields(proposals, PROPOSAL_FIELDS, 'proposals.')
  if (mode !== undefined) checkMode(facts, mode)
  if (voteMode !== undefined) checkMode(facts, voteMode)
  const { perLevel, keep, nmsThreshold } = proposals
  return {
    side: inputSize,
    blocks,
    mode,
    voteMode,
    perLevel,
    proposals: keep,
    proposalNms: nmsThreshold,
  }
}

/**
 * The caller's values, else the file's, else the preset's; of a preset that the caller names the file has no say.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG
 * @internal
 */
export function detectorSettings(
  detector: NativeDetectorInfo,
  patch: number,
  options: DetectorQuestionOptions,
): Omit<NativeDetectorQuestion, 'words' | 'wordClass' | 'novel' | 'masks'> & { masks: boolean } {
  checkFields(options, DETECTOR_FIELDS)
  const { masks = false } = options
  if (masks && !detector.masks) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      'masks: this detector has no mask head, as those for OV-COCO; leave it out, or give the boxes to model.classify() or a SAM.',
    )
  }
  const preset = detectorPreset(options.preset ?? presetOf(detector), patch)
  const own = options.preset === undefined ? detector : undefined
  return {
    alpha: options.alpha ?? own?.alpha ?? preset.alpha,
    beta: options.beta ?? own?.beta ?? preset.beta,
    voteTemperature: options.temperature ?? own?.voteTemperature ?? preset.temperature,
    temperature: options.detectorTemperature ?? preset.detectorTemperature,
    scoreThreshold: options.scoreThreshold ?? preset.scoreThreshold,
    nmsThreshold: options.nmsThreshold ?? preset.nmsThreshold,
    limit: options.limit ?? preset.limit,
    masks,
  }
}

function toFound(
  { boxes, scores, labels, masks }: NativeDetected,
  { width, height }: { width: number; height: number },
): Found[] {
  return Array.from(labels, (label, i): Found => {
    const mask = masks?.[i]
    return {
      box: [...boxes.subarray(4 * i, 4 * i + 4)] as unknown as Found['box'],
      score: scores[i] as number,
      label,
      ...(mask !== undefined && {
        mask: { size: [height, width], counts: countsOf(mask) } satisfies Rle,
      }),
    }
  })
}

const CALL = ['signal', 'onProgress', 'priority', 'client', 'timeout', 'order']
const VIEW_OPTIONS = new Set([
  ...CALL,
  ...Object.keys(DETECTOR_FIELDS),
  'text',
  'templates',
  'background',
])

/** What encodeForDetection() takes. @internal */
export const VIEW_ENCODING: ReadonlySet<string> = new Set([
  ...CALL,
  ...Object.keys(DETECTOR_INPUT_FIELDS),
  'proposals',
  'denseMode',
  'maxPixels',
  'transfer',
])

/** What detect() takes with a detector. @internal */
export const DETECTOR_OPTIONS: ReadonlySet<string> = new Set([
  ...VIEW_OPTIONS,
  ...VIEW_ENCODING,
  'model',
  'device',
  'dtype',
])

/**
 * Refuses by name what would have no effect.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG
 * @internal
 */
export function refuseOthers(options: object, known: ReadonlySet<string>): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || known.has(name)) continue
    let why =
      "is of segmentation, and this model has a detector's heads, which find boxes of their own"
    if (VIEW_ENCODING.has(name)) {
      why = 'is decided when the picture is encoded: give it to encodeForDetection()'
    } else if (VIEW_OPTIONS.has(name)) why = 'is asked of the view: give it to its detect()'
    throw new DeclipError('ERR_DECLIP_INVALID_ARG', `${name} ${why}. Leave ${name} out.`)
  }
  const { text } = options as { text?: { projection?: unknown } }
  if (text?.projection === undefined) return
  throw new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    "text.projection is of method 'talk2dino': a detector's words are in its text tower's own space. Leave it out.",
  )
}
