import { field, flag, fraction, kind, listOf, oneOf, positive, whole } from '../base/field.js'
import { DENSE_MODES } from '../base/names.js'
import { DETECTOR_PRESETS } from '../methods/fvit.js'

/** Options of detectors, once; as in methods/fields.ts. */

const OWN = "the detector's own"
const PRESET = "the preset's"
const names = kind<readonly string[]>(
  'a list of names',
  value =>
    Array.isArray(value) && value.every(name => typeof name === 'string' && name.trim() !== ''),
)

/** See ProposalOptions. @internal */
export const PROPOSAL_FIELDS = {
  perLevel: field(whole(1), 'Most candidates of a level of the pyramid', '2000'),
  keep: field(whole(1), 'Most proposals of all levels, the best ones', '1000'),
  nmsThreshold: field(
    fraction,
    'Overlap above which the lower of two proposals of a level is dropped',
    '0.7',
  ),
} as const

/** See DetectorInputOptions. @internal */
export const DETECTOR_INPUT_FIELDS = {
  inputSize: field(whole(1), 'Side in pixels of the square that the picture is fitted into', OWN),
  blocks: field(
    listOf(whole(0)),
    'Blocks of the tower whose outputs the pyramid is made of, counted from 0',
    OWN,
  ),
  mode: field(
    oneOf(DENSE_MODES),
    "Dense mode of the tower's last block, for the last of its maps",
    `${OWN}, 'maskclip' of the published ones`,
  ),
  voteMode: field(
    oneOf(DENSE_MODES),
    'Dense mode of the last block for the map that votes on the classes',
    '`mode`',
  ),
} as const

/** See DetectorQuestionOptions. @internal */
export const DETECTOR_FIELDS = {
  preset: field(
    oneOf(DETECTOR_PRESETS),
    'Values of the options below as published: of open-vocabulary COCO or LVIS, or of a detector for LVIS that is run on another set',
    "what the file says, else 'lvis' with a mask head or batch norms in the RPN, else 'coco'",
  ),
  scoreThreshold: field(fraction, 'Objects of no higher score are left out', PRESET),
  nmsThreshold: field(
    fraction,
    'Overlap above which the lower of two boxes of a class is dropped',
    PRESET,
  ),
  limit: field(whole(1), 'Most objects, the best ones of all classes', PRESET),
  masks: field(
    flag,
    'Also gives the mask of every object, of a detector with a mask head',
    'false',
  ),
  base: field(
    names,
    'Classes that the detector was trained on',
    'those that the file or its data set says',
  ),
  novel: field(
    names,
    'Classes that the detector was not trained on',
    'those that the file or its data set says, and what the detector does not know',
  ),
  alpha: field(fraction, "Share of the frozen tower's vote in the scores of base classes", PRESET),
  beta: field(fraction, "Share of the frozen tower's vote in the scores of novel classes", PRESET),
  temperature: field(positive, "Factor on the vote's cosines before the softmax", PRESET),
  detectorTemperature: field(
    positive,
    "Factor on the box head's cosines before the softmax",
    'the one it learned',
  ),
} as const
