import type { Command } from 'commander'
import type { FieldInfo } from '../train/field-list.js'
import { type TrainProgress, train } from '../train/train.js'
import { examples, type Run, usage } from './shared.js'

/** Options of `declip train` as commander gives them. */
interface TrainFlags {
  config?: string
  fields?: boolean
  resume?: boolean
  set: string[]
}

/** How often a line is printed where there is no terminal, in milliseconds. */
const LINE_EVERY = 10_000

/** Adds `declip train`. */
export function addTrain(program: Command, run: Run): void {
  program
    .command('train')
    .summary('train a model as a JSON file says')
    .description(
      'Trains a model: CLIPSelf, DeCLIP, region-text or contrastive. Every field of the file is in docs/guides/training.md.',
    )
    .option('--config <file>', 'the configuration; its relative paths start at its folder')
    .option('--resume', 'go on with the run in the folder `out`, bit for bit')
    .option(
      '--set <name=value>',
      'change a field, such as schedule.rate=1e-4; may be given again',
      (change: string, before: string[]) => [...before, change],
      [],
    )
    .option('--fields', 'list the fields of a configuration, with defaults')
    .addHelpText(
      'after',
      `${examples('declip train --config train.json', 'declip train --config train.json --resume')}

Ctrl-C ends the run after the running step, saves its state and exits with 130; a second one exits at once.`,
    )
    .action((flags: TrainFlags) => trainCommand(flags, run))
}

async function trainCommand(flags: TrainFlags, run: Run): Promise<void> {
  const { signal, progress, print } = run
  const { config, resume, set } = flags
  if (flags.fields) {
    const { fieldList } = await import('../train/field-list.js')
    for (const field of fieldList()) print(describeField(field))
    return
  }
  if (config === undefined) {
    throw usage(
      '--config is missing: the JSON file that says what to train; --fields lists what it holds.',
    )
  }
  const { readConfig } = await import('../train/config.js')
  const stopping = () => print('Stopping after this step; Ctrl-C again exits at once.')
  signal.addEventListener('abort', stopping, { once: true })
  progress.update({ step: 'load', done: 0, total: 0 })
  let printed = performance.now()
  const started = await readConfig(config, set)
  const result = await train(started, {
    signal,
    resume,
    onProgress: at => {
      progress.update({ step: describeStep(at), done: at.step, total: at.steps })
      if (process.stderr.isTTY || performance.now() - printed < LINE_EVERY) return
      printed = performance.now()
      print(`step ${at.step} of ${at.steps}: ${describeStep(at)}`)
    },
  })
  progress.clear()
  print(`  ${result.steps} steps done`)
  print(`  model    ${result.model}`)
  if (result.average) print(`  average  ${result.average}`)
  print(`  log      ${result.log}`)
  print(`  losses   ${result.plot}`)
}

/** 'loss 1.234, 120 images/s, 3 min left'. */
export function describeStep(at: TrainProgress): string {
  const skipped = at.skipped > 0 ? `, ${at.skipped} skipped` : ''
  return `loss ${at.loss.toPrecision(4)}, ${at.picturesPerSecond} images/s, ${timeLeft(at.secondsLeft)} left${skipped}`
}

/** '45 s', '12 min', '3 h 20 min'. */
export function timeLeft(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`
  const minutes = Math.round(seconds / 60)
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

function describeField({ name, value, range, text }: FieldInfo): string {
  const given = value === '' || value === 'required' ? value : `default ${value}`
  const facts = [range, given].filter(fact => fact !== '').join('; ')
  return `${name}${facts === '' ? '' : ` (${facts})`}\n    ${text}`
}
