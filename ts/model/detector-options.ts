import type { CallOptions } from '../base/call.js'
import type { DenseMode } from '../base/names.js'
import type { PictureOptions } from '../image/decode.js'
import type { DetectorPresetName } from '../methods/fvit.js'
import type { TextOptions } from '../methods/options.js'
import type { TemplateSetName } from '../text/templates.js'

/** How many boxes the region proposal network gives to the heads. */
export interface ProposalOptions {
  /** Most candidates of a level of the pyramid: a whole number of at least 1. Default: 2000. */
  perLevel?: number | undefined
  /** Most proposals of all levels, the best ones: a whole number of at least 1. Default: 1000. */
  keep?: number | undefined
  /** Overlap above which the lower of two proposals of a level is dropped: a number from 0 to 1. Default: 0.7. */
  nmsThreshold?: number | undefined
}

/** How a detector sees a picture. */
export interface DetectorInputOptions {
  /** Side in pixels of the square that the picture is fitted into: a whole number of at least 1. Default: the detector's own. */
  inputSize?: number | undefined
  /** Blocks of the tower whose outputs the pyramid is made of, counted from 0: a list with at least one item, each a whole number of at least 0. Default: the detector's own. */
  blocks?: readonly number[] | undefined
  /** Dense mode of the tower's last block, for the last of its maps. Default: the detector's own, 'maskclip' of the published ones. */
  mode?: DenseMode | undefined
  /** Dense mode of the last block for the map that votes on the classes. Default: `mode`. */
  voteMode?: DenseMode | undefined
  /** Boxes that the heads look at. */
  proposals?: ProposalOptions | undefined
}

/** What a detector looks for, and what is kept of what it finds. */
export interface DetectorQuestionOptions {
  /** Values of the options below as published: of open-vocabulary COCO or LVIS, or of a detector for LVIS that is run on another set. Default: what the file says, else 'lvis' with a mask head or batch norms in the RPN, else 'coco'. */
  preset?: DetectorPresetName | undefined
  /** Objects of no higher score are left out: a number from 0 to 1. Default: the preset's. */
  scoreThreshold?: number | undefined
  /** Overlap above which the lower of two boxes of a class is dropped: a number from 0 to 1. Default: the preset's. */
  nmsThreshold?: number | undefined
  /** Most objects, the best ones of all classes: a whole number of at least 1. Default: the preset's. */
  limit?: number | undefined
  /** Also gives the mask of every object, of a detector with a mask head. Default: false. */
  masks?: boolean | undefined
  /** Classes that the detector was trained on: a list of names. Default: those that the file or its data set says. */
  base?: readonly string[] | undefined
  /** Classes that the detector was not trained on: a list of names. Default: those that the file or its data set says, and what the detector does not know. */
  novel?: readonly string[] | undefined
  /** Share of the frozen tower's vote in the scores of base classes: a number from 0 to 1. Default: the preset's. */
  alpha?: number | undefined
  /** Share of the frozen tower's vote in the scores of novel classes: a number from 0 to 1. Default: the preset's. */
  beta?: number | undefined
  /** Factor on the vote's cosines before the softmax: a finite number above 0. Default: the preset's. */
  temperature?: number | undefined
  /** Factor on the box head's cosines before the softmax: a finite number above 0. Default: the one it learned. */
  detectorTemperature?: number | undefined
}

/** Where a detector's words come from. */
export interface DetectorWordOptions {
  /** A model whose text tower embeds the words, of the space that the detector was trained in. Default: the detector's own. */
  text?: Pick<TextOptions, 'model'> | undefined
  /** As for {@link Model.vocabulary}. Default: 'vild', which the published detectors were trained with. */
  templates?: TemplateSetName | readonly string[] | undefined
  /**
   * Which class is the background, as for {@link Model.vocabulary}. Default: the class named 'background', else the
   * word that the detector was trained with, which is not among the classes.
   */
  background?: boolean | number | readonly string[] | undefined
}

/** Options of {@link Model.encodeForDetection}. */
export interface EncodeForDetectionOptions
  extends CallOptions,
    PictureOptions,
    DetectorInputOptions {}

/** Options of {@link DetectorView.detect}. */
export interface ViewDetectOptions
  extends CallOptions,
    DetectorQuestionOptions,
    DetectorWordOptions {}
