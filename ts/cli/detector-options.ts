/** Options of detectors with heads of their own as flags. */
import { type Command, InvalidArgumentError } from 'commander'
import type { DenseMode } from '../base/names.js'
import type { DetectorPresetName } from '../methods/fvit.js'
import {
  DETECTOR_FIELDS,
  DETECTOR_INPUT_FIELDS,
  PROPOSAL_FIELDS,
} from '../model/detector-fields.js'
import type { DetectorInputOptions, DetectorQuestionOptions } from '../model/detector-options.js'
import { fieldOptions, memberOptions, memberValues } from './field-options.js'

/** As commander gives them; beside them those of members: --proposals-per-level ... */
export interface DetectorFlags {
  preset?: DetectorPresetName
  nmsThreshold?: number
  base?: string[]
  novel?: string[]
  alpha?: number
  beta?: number
  temperature?: number
  detectorTemperature?: number
  inputSize?: number
  blocks?: number[]
  voteMode?: DenseMode
}

/** Flags as they are; others are shared with segmentation or are lists. */
const FLAGS = (({ preset, nmsThreshold, alpha, beta, temperature, detectorTemperature }) => ({
  preset,
  nmsThreshold,
  alpha,
  beta,
  temperature,
  detectorTemperature,
  inputSize: DETECTOR_INPUT_FIELDS.inputSize,
  voteMode: DETECTOR_INPUT_FIELDS.voteMode,
}))(DETECTOR_FIELDS)

/** Adds {@link DetectorFlags}. */
export function addDetectorOptions(command: Command): Command {
  command.optionsGroup(
    'Detector (of a checkpoint with heads; what is left out comes from the preset):',
  )
  for (const [name, field] of Object.entries(FLAGS)) {
    for (const option of fieldOptions(name, field)) command.addOption(option)
  }
  const words = (text: string) => text.replace(/^[A-Z]/, letter => letter.toLowerCase())
  command
    .option('--base <list>', `${words(DETECTOR_FIELDS.base.text)}, between semicolons`, names)
    .option('--novel <list>', `${words(DETECTOR_FIELDS.novel.text)}, between semicolons`, names)
    .option('--blocks <list>', `${words(DETECTOR_INPUT_FIELDS.blocks.text)}: 3,5,7,11`, blocks)
  for (const option of memberOptions('proposals', PROPOSAL_FIELDS)) command.addOption(option)
  return command
}

/** The options that flags stand for. */
export function detectorOptions(
  flags: DetectorFlags,
): DetectorInputOptions & Omit<DetectorQuestionOptions, 'scoreThreshold' | 'limit' | 'masks'> {
  const { preset, nmsThreshold, base, novel, alpha, beta } = flags
  const { temperature, detectorTemperature, inputSize, voteMode } = flags
  return {
    preset,
    nmsThreshold,
    base,
    novel,
    alpha,
    beta,
    temperature,
    detectorTemperature,
    inputSize,
    blocks: flags.blocks,
    voteMode,
    proposals: memberValues('proposals', PROPOSAL_FIELDS, flags),
  }
}

function names(text: string): string[] {
  const list = text
    .split(';')
    .map(name => name.trim())
    .filter(name => name !== '')
  if (DETECTOR_FIELDS.novel.holds(list)) return list
  throw new InvalidArgumentError('Expected names between semicolons.')
}

function blocks(text: string): number[] {
  const list = text.split(',').map(one => (one.trim() === '' ? Number.NaN : Number(one)))
  const { holds, range } = DETECTOR_INPUT_FIELDS.blocks
  if (holds(list)) return list
  throw new InvalidArgumentError(`Expected numbers between commas: ${range}.`)
}
