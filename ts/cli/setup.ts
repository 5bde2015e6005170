import type { Command } from 'commander'
import { resolveLibtorch } from '../engine/libtorch.js'
import { examples, type Run } from './shared.js'

/** Adds `declip setup`. */
export function addSetup(program: Command, run: Run): void {
  program
    .command('setup')
    .summary('get LibTorch, the native library that computes')
    .description(
      'Finds LibTorch on this machine, or downloads it into the cache (DECLIP_CACHE) and verifies it. Needed once.',
    )
    .option('--libtorch <folder>', 'check and use this LibTorch instead of downloading')
    .addHelpText('after', examples('declip setup'))
    .action(async (flags: { libtorch?: string }) => {
      const { signal, progress } = run
      const found = await resolveLibtorch({
        dir: flags.libtorch,
        download: true,
        signal,
        onProgress: progress.update,
      })
      run.print(`LibTorch is ready: ${found.dir} (${found.origin})`)
      if (flags.libtorch !== undefined) run.print(`Set LIBTORCH=${found.dir} so that it is used.`)
    })
}
