/** SAM's automatic masks as flags, for every command that takes or makes them. */
import { type Command, Option } from 'commander'
import type { MaskGeneratorOptions, MaskPresetName } from '../masks/generator-fields.js'
import { GENERATOR_FIELDS, MASK_PRESETS } from '../masks/generator-fields.js'
import type { MaskMaker } from '../masks/provider.js'
import { samMasks } from '../model/sam-masks.js'
import { fieldOptions } from './field-options.js'
import { usage } from './shared.js'

/** Flags of a generator as commander gives them. */
export type GeneratorFlags = Omit<MaskGeneratorOptions, 'points' | 'preset'> & {
  preset?: MaskPresetName
}

const NAMES = Object.keys(GENERATOR_FIELDS).filter(
  (name): name is keyof Omit<typeof GENERATOR_FIELDS, 'points'> => name !== 'points',
)

/** Adds {@link GeneratorFlags}. */
export function addGeneratorOptions(command: Command): Command {
  command
    .optionsGroup('Masks (what is left out comes from the preset):')
    .addOption(
      new Option('--preset <name>', "SAM's own settings, or those of CorrCLIP").choices(
        Object.keys(MASK_PRESETS),
      ),
    )
  for (const name of NAMES) {
    for (const option of fieldOptions(name, GENERATOR_FIELDS[name])) command.addOption(option)
  }
  return command
}

/** The options of generateMasks() that flags stand for. */
export function generatorOptions(flags: GeneratorFlags): MaskGeneratorOptions {
  const given = [...NAMES, 'preset' as const].filter(name => flags[name] !== undefined)
  return Object.fromEntries(given.map(name => [name, flags[name]]))
}

/** Flags of commands that label pixels by masks which SAM makes. */
export interface MaskModelFlags {
  maskModel?: string
  maskPreset?: MaskPresetName
  pointsPerSide?: number
}

/** Adds {@link MaskModelFlags}. */
export function addMaskModelOptions(command: Command): Command {
  command
    .option(
      '--mask-model <source>',
      "checkpoint of a SAM with its mask decoder, whose automatic masks are the picture's regions",
    )
    .addOption(
      new Option('--mask-preset <name>', 'settings of --mask-model').choices(
        Object.keys(MASK_PRESETS),
      ),
    )
  for (const option of fieldOptions('pointsPerSide', GENERATOR_FIELDS.pointsPerSide)) {
    command.addOption(option)
  }
  return command
}

/** Where the masks of pictures come from; undefined where flags name no SAM. */
export function maskModelOf(flags: MaskModelFlags): MaskMaker | undefined {
  const { maskModel, maskPreset: preset, pointsPerSide } = flags
  if (maskModel !== undefined) return samMasks(maskModel, { preset, pointsPerSide })
  if (preset !== undefined) throw usage('--mask-preset needs --mask-model.')
  if (pointsPerSide !== undefined) throw usage('--points-per-side needs --mask-model.')
  return undefined
}
