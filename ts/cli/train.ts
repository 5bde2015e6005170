import type { Command } from 'commander'
import type { FieldInfo } from '../train/field-list.js'
import { processGroupFromEnvironment } from '../train/process-group.js'
import { train } from '../train/train.js'
import type { TrainProgress } from '../train/types.js'
import { isLaunched, launch, tellLauncher, withoutOption } from './launch.js'
import { examples, type Run, usage, whole } from './shared.js'

/** Options of `declip train` as commander gives them. */
interface TrainFlags {
  config?: string
  fields?: boolean
  resume?: boolean
  set: string[]
  nproc?: number
  timeout?: number
}

/** How often a line is printed where there is no terminal, in milliseconds. */
const LINE_EVERY = 10_000

/** Adds `declip train`. */
export function addTrain(program: Command, run: Run): void {
  program
    .command('train')
    .summary('train a model as a JSON file says')
    .description(
      'Trains a model: CLIPSelf, DeCLIP, region-text, contrastive, or a detector (fvit). Every field of the file is in docs/guides/training.md.',
    )
    .option('--config <file>', 'the configuration; its relative paths start at its folder')
    .option('--resume', 'go on with the run in the folder `out`, bit for bit')
    .option(
      '--set <name=value>',
      'change a field, such as schedule.rate=1e-4; may be given again',
      (change: string, before: string[]) => [...before, change],
      [],
    )
    .option('--nproc <n>', 'processes of this machine that train together', whole(1))
    .option('--timeout <seconds>', 'how long a process waits for the others, 600', whole(1))
    .option('--fields', 'list the fields of a configuration, with defaults')
    .addHelpText(
      'after',
      `${examples('declip train --config train.json', 'declip train --config train.json --resume', 'declip train --config train.json --nproc 2')}

Under a launcher such as torchrun, each process takes its place from RANK, WORLD_SIZE, MASTER_ADDR,
MASTER_PORT and LOCAL_RANK.

Ctrl-C ends the run after the running step, saves its state and exits with 130; a second one exits at once.`,
    )
    .action((flags: TrainFlags) => trainCommand(flags, run))
}

async function trainCommand(flags: TrainFlags, run: Run): Promise<void> {
  const { signal, progress, print } = run
  const { config, nproc = 1, timeout } = flags
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
  const group = processGroupFromEnvironment()
  const launched = isLaunched()
  if (!launched && (!group || group.rank === 0)) {
    const stopping = () => print('Stopping after this step; Ctrl-C again exits at once.')
    signal.addEventListener('abort', stopping, { once: true })
    progress.update({ step: 'load', done: 0, total: 0 })
  }
  if (nproc > 1) {
    if (group) throw usage('--nproc starts processes, but WORLD_SIZE says that a launcher has.')
    const args = withoutOption(process.argv.slice(1), '--nproc')
    return launch({ processes: nproc, args, signal, onProgress: shower(run), print })
  }
  if (launched) {
    process.once('disconnect', () => process.exit(1))
    process.channel?.unref()
  }
  const { readConfig } = await import('../train/config.js')
  const result = await train(await readConfig(config, flags.set), {
    signal,
    resume: flags.resume,
    processGroup: group && { ...group, timeoutMs: timeout && timeout * 1000 },
    ...(group && group.rank > 0 ? {} : { onProgress: launched ? tellLauncher : shower(run) }),
  })
  progress.clear()
  if (group && group.rank > 0) return
  print(`  ${result.steps} steps done`)
  print(`  model    ${result.model}`)
  if (result.average) print(`  average  ${result.average}`)
  if (result.best) print(`  best     ${result.best}`)
  print(`  log      ${result.log}`)
  print(`  losses   ${result.plot}`)
}

/** Shows how far a run is: a bar on a terminal, else a line now and then. */
function shower({ progress, print }: Run): (at: TrainProgress) => void {
  let printed = performance.now()
  return at => {
    if (at.evaluation) print(describeEvaluation(at))
    if (process.stderr.isTTY) {
      return progress.update({ step: describeStep(at), done: at.step, total: at.steps })
    }
    if (performance.now() - printed < LINE_EVERY) return
    printed = performance.now()
    print(`step ${at.step} of ${at.steps}: ${describeStep(at)}`)
  }
}

/** 'loss 1.234, 120 images/s, 3 min left'. */
export function describeStep(at: TrainProgress): string {
  const skipped = at.skipped > 0 ? `, ${at.skipped} skipped` : ''
  return `loss ${at.loss.toPrecision(4)}, ${at.picturesPerSecond} images/s, ${timeLeft(at.secondsLeft)} left${skipped}`
}

/** 'step 500: ap50.novel 21.3, ap50.base 40.1', in points. */
export function describeEvaluation({ step, evaluation = {} }: TrainProgress): string {
  const figures = Object.entries(evaluation).map(
    ([name, value]) => `${name} ${(100 * value).toFixed(1)}`,
  )
  return `step ${step}: ${figures.slice(0, 4).join(', ') || 'nothing could be measured'}`
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
