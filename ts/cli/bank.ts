import type { Command } from 'commander'
import { Bank, type BankInfo } from '../bank/bank.js'
import { type BuildBankOptions, buildBank } from '../bank/build.js'
import { megabytes } from '../base/units.js'
import { loadModel } from '../model/load.js'
import { addMethodOptions, type MethodFlags, methodOptions } from './method-options.js'
import {
  addModelOptions,
  examplePicture,
  examples,
  type ModelFlags,
  openModel,
  type Run,
  table,
  usage,
} from './shared.js'

/** Options of `declip bank build` as commander gives them. */
interface BuildFlags extends ModelFlags, MethodFlags {
  out: string
  masks?: string
  keysModel?: string
  keepGoing?: boolean
  json?: boolean
}

/** Adds `declip bank`. */
export function addBank(program: Command, run: Run): void {
  const bank = program
    .command('bank')
    .summary('regions of unlabelled pictures that help to name those of others')
    .description('Builds banks of regions and says what is in them; see docs/guides/banks.md.')
  const build = bank
    .command('build')
    .summary('add the pictures of a folder to a bank')
    .description(
      'Adds the pictures of a folder and those below it to a bank, which is made where there is none. Pictures that it has are passed over, so that the same command goes on where it was stopped.',
    )
    .argument('<folder>', 'pictures')
    .requiredOption('--out <file>', 'the bank')
    .requiredOption(
      '--masks <folder>',
      'regions: <name>.npz or <name>.png (a number for each region, 0 for none) for every picture',
    )
    .option(
      '--keys-model <source>',
      "the foundation model that regions are found by; default: --proxy-model's, else the model itself",
    )
    .option('--keep-going', 'leave out pictures that fail')
  addModelOptions(build)
  addMethodOptions(build)
  build
    .optionsGroup('Output:')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      examples('declip bank build photos --masks photos-masks --out photos.bank'),
    )
    .action((folder: string, flags: BuildFlags) => buildCommand(folder, flags, run))
  bank
    .command('info')
    .summary('say what is in a bank')
    .description('Prints what a bank holds and which models made it.')
    .argument('<file>', 'the bank')
    .option('--check', 'read all of it and compare checksums')
    .option('--json', 'print one JSON object')
    .addHelpText('after', examples('declip bank info photos.bank --check'))
    .action((file: string, flags: { check?: boolean; json?: boolean }) =>
      infoCommand(file, flags, run),
    )
  bank.addHelpText(
    'after',
    examples(
      'declip bank build photos --masks photos-masks --out photos.bank',
      'declip bank info photos.bank',
      `declip segment ${examplePicture('table.png')} --classes "background; pizza; coffee" --masks table-masks --bank photos.bank`,
    ),
  )
}

async function buildCommand(folder: string, flags: BuildFlags, run: Run): Promise<void> {
  const { out, masks, keysModel, keepGoing, json } = flags
  if (flags.bank !== undefined) throw usage('--bank is what is asked; --out names what is built.')
  const { signal, progress } = run
  const options = (await methodOptions(flags, [])) as Partial<BuildBankOptions>
  using opened = await openModel(flags, run)
  const keys = keysModel === undefined ? undefined : await loadModel(keysModel, { signal })
  const failed: string[] = []
  using bank = await buildBank(folder, {
    ...options,
    model: opened.model,
    ...(keys && { keys }),
    masks: masks as string,
    out,
    signal,
    onProgress: progress.update,
    ...(keepGoing && {
      onError: (error: Error, name: string) => {
        failed.push(name)
        run.complain(error)
      },
    }),
  })
  progress.clear()
  const { info } = bank
  run.print(json ? JSON.stringify({ bank: out, ...info, failed }) : describeBank(out, info))
}

async function infoCommand(
  file: string,
  { check, json }: { check?: boolean; json?: boolean },
  { signal, progress, print }: Run,
): Promise<void> {
  using bank = await Bank.open(file, { signal })
  if (check) await bank.verify({ signal, onProgress: progress.update })
  progress.clear()
  print(json ? JSON.stringify({ bank: file, ...bank.info }) : describeBank(file, bank.info))
}

function describeBank(file: string, info: BankInfo): string {
  const part = ({ width, model }: BankInfo['keys']) =>
    `${width} numbers a region, by ${model ? `${model.path} (${model.family})` : 'a model that is not told'}`
  const rows: [string, string][] = [
    ['bank', file],
    ['pictures', String(info.pictures)],
    ['regions', String(info.regions)],
    ['size', megabytes(info.bytes)],
    ['keys', part(info.keys)],
    ...info.values.map((values): [string, string] => ['values', part(values)]),
  ]
  if (info.unfinished > 0) {
    rows.push([
      'unfinished',
      `${megabytes(info.unfinished)} of an interrupted build, which are not used`,
    ])
  }
  return table(rows)
}
