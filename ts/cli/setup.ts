import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { Progress } from '../base/call.js'
import { megabytes } from '../base/units.js'
import { cacheFolder, LIBTORCH_VERSION } from '../engine/libtorch.js'
import { type SetupPlan, setup } from '../engine/setup.js'
import { examples, type Run } from './shared.js'

interface SetupFlags {
  from?: string
  sha256?: string
  cache?: string
}

/** Adds `declip setup`. */
export function addSetup(program: Command, run: Run): void {
  program
    .command('setup')
    .summary('get LibTorch, the native library that computes')
    .description(
      'Finds LibTorch on this machine, or downloads it into the cache (DECLIP_CACHE) and verifies it. Needed once, and not at all where its npm package is installed.',
    )
    .option(
      '--from <archive>',
      'take it from this file, folder, URL or mirror (URL with a slash at its end)',
    )
    .option('--sha256 <digest>', 'what the archive of --from must hash to')
    .option('--cache <folder>', 'keep it there; set DECLIP_CACHE to it for later runs')
    .addHelpText(
      'after',
      examples(
        'declip setup',
        'declip setup --from https://mirror.example/pytorch/whl/cpu/',
        'declip setup --from libtorch-shared-with-deps-2.13.0+cpu.zip',
      ),
    )
    .action((flags: SetupFlags) => setupCommand(flags, run))
}

async function setupCommand(flags: SetupFlags, run: Run): Promise<void> {
  const { signal, progress } = run
  const say = (line: string) => {
    progress.clear()
    process.stderr.write(`declip: ${line}\n`)
  }
  let plan: SetupPlan | undefined
  const onPlan = (next: SetupPlan) => {
    plan = next
    for (const failure of next.failures.slice(-1)) say(failure)
    say(describePlan(next))
  }
  const onProgress = process.stderr.isTTY ? progress.update : tenths(say)
  const { dir, origin, sha256 } = await setup({ ...flags, signal, onPlan, onProgress })
  progress.clear()
  run.print(`LibTorch ${LIBTORCH_VERSION} is ready: ${dir} (${origin})`)
  if (sha256 === undefined && flags.from !== undefined) {
    run.print('It was there before, so --from was not used.')
  }
  if (sha256 !== undefined) {
    const checked = plan?.sha256 !== undefined
    run.print(
      `sha256 of the archive: ${sha256}${checked ? ', as expected' : ', compared with nothing: --sha256 would check it'}`,
    )
  }
  if (origin === 'cache' && flags.cache && resolve(flags.cache) !== cacheFolder()) {
    run.print(`Set DECLIP_CACHE=${resolve(flags.cache)}, so that it is found.`)
  }
}

/** What will be fetched and what it takes, on one line. */
export function describePlan({ from, bytes, unpacked, dir }: SetupPlan): string {
  const size = bytes === undefined ? '' : ` (${megabytes(bytes)})`
  const takes = unpacked === undefined ? '' : `, ${megabytes(unpacked)}`
  return `LibTorch ${LIBTORCH_VERSION} from ${from}${size} into ${dir}${takes}`
}

/** Says each step and each tenth of it once. */
export function tenths(say: (line: string) => void): (progress: Progress) => void {
  let last = ''
  return ({ step, done, total }) => {
    const tenth = total > 0 ? Math.floor((10 * done) / total) : 0
    const key = `${step} ${tenth}`
    if (key === last) return
    last = key
    say(total > 0 ? `${step} ${10 * tenth} % of ${megabytes(total)}` : (STEPS[step] ?? step))
  }
}

const STEPS: Readonly<Record<string, string>> = { wait: 'waiting for another process that sets up' }
