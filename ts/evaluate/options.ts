import { type Field, field, flag, fraction, kind, oneOf, whole } from '../base/field.js'
import { parseShard } from '../base/shard.js'
import type { DeclipError } from '../errors.js'
import { MIOU_CONVENTIONS, type MiouConvention } from '../methods/benchmarks.js'
import type { DetectorInputOptions, DetectorQuestionOptions } from '../model/detector-options.js'
import type { SegmentOptions } from '../segment/options.js'
import type { ClassList } from '../words/options.js'
import type { Vocabulary } from '../words/vocabulary.js'
import type { EvaluationTask } from './datasets/dataset.js'
import type { EvaluationDataset } from './datasets/open.js'

/** Options of {@link evaluate}: those of {@link segment}, and what is measured. */
export interface EvaluateOptions
  extends Omit<SegmentOptions, 'dataset' | 'logits' | 'probabilities'>,
    Omit<DetectorInputOptions, 'mode'>,
    Omit<DetectorQuestionOptions, 'scoreThreshold' | 'limit' | 'masks' | 'base' | 'novel'> {
  /** What is measured. Default: 'regions' for 'coco-panoptic', 'detection' for 'coco-ov' and 'lvis', else 'semantic'. */
  task?: EvaluationTask | undefined
  /** The data set's name: how its files lie and are read, and which values and words of the method it takes. */
  dataset: EvaluationDataset
  /** The folder of the data set. */
  data: string
  /**
   * What the model is asked for, an entry per class of the data set, or a vocabulary of as many classes. Default: the
   * method's words for the data set, else the data set's names.
   */
  classes?: ClassList | Vocabulary | undefined
  /** Only the first so many pictures of the data set: a whole number of at least 1. Default: all. */
  limit?: number | undefined
  /** 'i/n': only the i-th of n parts of the pictures; {@link merge} unites them. Default: all pictures. */
  shard?: string | undefined
  /** A folder for the results of every picture, the figures and a report; made where it is missing. Default: none. */
  out?: string | undefined
  /**
   * Goes on with what `out` holds, and does again what failed; where it holds nothing, the run begins. Default: false,
   * and a folder with results is refused.
   */
  resume?: boolean | undefined
  /** Writes `out`/report.html. Default: true; parts have none. */
  report?: boolean | undefined
  /**
   * Segmentation: which classes mIoU is the mean over, see {@link MIOU_CONVENTIONS}. The result has both. Default: that
   * of the method's published figures ('detectron2' for 'cat-seg'), else of the data set's, else 'mmsegmentation'.
   */
  convention?: MiouConvention | undefined
  /** Regions: side in pixels of the square that a picture is fitted into. Default: 1024, of patches of 14 pixels 896. */
  size?: number | undefined
  /** Regions: also those that are encoded as pictures of their own, which takes longest. Default: true. */
  crops?: boolean | undefined
  /** Regions: as for {@link Model.encodeBoxes}. */
  normalizeBeforePooling?: boolean | undefined
  /** Detection: whether boxes or masks are compared. Default: 'segm' for 'lvis', else 'bbox'. */
  kind?: 'bbox' | 'segm' | undefined
  /** Detection: classes of the data set that a detector was trained on. Default: all that are not novel. */
  base?: readonly string[] | undefined
  /**
   * Detection: classes of the data set that a detector was not trained on; their AP50 and the others' are told apart.
   * Default: those of the data set's split, of LVIS the rare ones.
   */
  novel?: readonly string[] | undefined
  /** Detection: objects of a lower score are left out, 0 to 1. Default: 0; of a detector checkpoint the preset's. */
  scoreThreshold?: number | undefined
  /** Detection: objects of fewer pixels are left out. Default: as for {@link detect}. */
  minArea?: number | undefined
  /**
   * A file of text features, such as published .npy embeddings, with a row for every class of the data set, in place of
   * `classes`.
   */
  embeddings?: string | undefined
  /** Told of a picture that cannot be measured; the others go on. */
  onError?: ((error: DeclipError, id: string) => void) | undefined
}

/** See {@link EvaluateOptions}. @internal */
export const EVALUATE_FIELDS = {
  task: field(oneOf(['semantic', 'regions', 'detection']), 'What is measured', "the data set's"),
  limit: field(whole(1), 'Only the first so many pictures of the data set', 'all'),
  shard: field(
    kind<string>(
      "'i/n' with i from 1 to n",
      value => typeof value === 'string' && parseShard(value) !== undefined,
    ),
    'Only the i-th of n parts of the pictures',
    'all pictures',
  ),
  resume: field(flag, 'Goes on with what the folder holds', 'false'),
  report: field(flag, 'Writes a report', 'true'),
  convention: field(
    oneOf(MIOU_CONVENTIONS),
    'Segmentation: which classes mIoU is the mean over',
    "that of the method's published figures, else of the data set's",
  ),
  size: field(
    whole(16, 16384),
    'Side in pixels of the square that a picture of the task regions is fitted into',
    '1024, of patches of 14 pixels 896',
  ),
  crops: field(flag, 'Regions: also those that are encoded as pictures of their own', 'true'),
  kind: field(
    oneOf(['bbox', 'segm']),
    'Detection: whether boxes or masks are compared',
    "'segm' for 'lvis', else 'bbox'",
  ),
  scoreThreshold: field(
    fraction,
    'Detection: objects of a lower score are left out',
    "0; of a detector checkpoint the preset's",
  ),
  minArea: field(
    whole(0),
    'Detection: objects of fewer pixels are left out',
    "a two-thousandth of the picture's",
  ),
  embeddings: field(text('the path of a file'), 'A file of text features in place of words'),
  data: field(text('the folder of the data set'), 'The folder of the data set'),
  dataset: field(text("a data set's name"), "The data set's name"),
  out: field(text('the path of a folder'), 'A folder for results', 'none'),
  onError: field(
    kind('a function', value => typeof value === 'function'),
    'Told of a picture that cannot be measured',
  ),
} as const satisfies Record<string, Field>

function text(range: string) {
  return kind<string>(range, value => typeof value === 'string' && value !== '')
}
