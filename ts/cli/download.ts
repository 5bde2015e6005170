import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import { megabytes } from '../base/units.js'
import { aborted } from '../errors.js'
import { SUGGESTED_MODEL } from '../hub/default-model.js'
import { type DownloadPlan, download } from '../hub/download.js'
import { architectureHint, parseHubId } from '../hub/resolve-source.js'
import { examples, type Run, table, usage } from './shared.js'

interface DownloadFlags {
  yes?: boolean
  json?: boolean
}

/** Adds `declip download`. */
export function addDownload(program: Command, run: Run): void {
  program
    .command('download')
    .summary('fetch a model from Hugging Face into the cache')
    .description(
      "Fetches a model into the cache that Hugging Face's tools share, after showing its licence and size.",
    )
    .argument('<id>', "'owner/name', 'owner/name@revision' or 'owner/name/weights.pt'")
    .option('--yes', 'do not ask, also on a terminal')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      examples(
        `declip download ${SUGGESTED_MODEL}`,
        'declip download openai/clip-vit-large-patch14 --yes',
      ),
    )
    .action((id: string, flags: DownloadFlags) => downloadCommand(id, flags, run))
}

async function downloadCommand(id: string, flags: DownloadFlags, run: Run): Promise<void> {
  const { plan, path } = await fetchModel(id, flags, run)
  if (flags.json) return run.print(JSON.stringify({ ...plan, path }))
  run.print(`${id} is ready: ${path}`)
  run.print(`Make it the default with \`declip model use ${id}\`, or name it: --model ${id}`)
}

/**
 * Fetches a model after its licence and size were shown and, on a terminal, agreed to.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG for what is no hub id, and as `download`
 */
export async function fetchModel(
  id: string,
  flags: DownloadFlags,
  run: Run,
): Promise<{ plan: DownloadPlan | undefined; path: string }> {
  const hint = architectureHint(id)
  if (hint) throw usage(hint)
  const repository = parseHubId(id)
  if (!repository) {
    throw usage(
      `download takes a Hugging Face id like 'owner/name' or 'owner/name/weights.pt', received '${id}'.`,
    )
  }
  const { signal, progress } = run
  let plan: DownloadPlan | undefined
  const { path } = await download(repository, {
    signal,
    onProgress: progress.update,
    onPlan: async found => {
      plan = found
      if (found.missing === 0) return true
      progress.clear()
      process.stderr.write(`${describePlan(found)}\n`)
      return flags.yes || agreed('Download it?', signal)
    },
  })
  progress.clear()
  return { plan, path }
}

/** Whether the user agrees; yes where there is no terminal to ask at, since the command says so. */
export async function agreed(question: string, signal: AbortSignal): Promise<boolean> {
  const { stdin: input, stderr: output } = process
  if (!input.isTTY || !output.isTTY) return true
  const terminal = createInterface({ input, output })
  // The terminal is in raw mode, where Ctrl-C is a key.
  terminal.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  try {
    return !/^\s*n/i.test(await terminal.question(`${question} [Y/n] `, { signal }))
  } catch {
    output.write('\n')
    if (signal.aborted) throw aborted(signal)
    return false // Ctrl-D: the input has ended without an answer
  } finally {
    terminal.close()
  }
}

/** What a download will bring, as aligned lines. */
export function describePlan(plan: DownloadPlan): string {
  const { id, commit, license, licenseUrl, gated, files, bytes, missing, folder } = plan
  const here = missing < bytes ? `, ${megabytes(missing)} of them not here yet` : ''
  const terms = license ?? "not stated; see the model's page"
  const access: [string, string][] = gated
    ? [['access', "on request, asked for on the model's page; HF_TOKEN says who you are"]]
    : []
  return `${id}\n${table([
    ['licence', licenseUrl ? `${terms} (${licenseUrl})` : terms],
    ...access,
    ['size', `${megabytes(bytes)} in ${files} ${files === 1 ? 'file' : 'files'}${here}`],
    ['commit', commit],
    ['into', folder],
  ])}`
}
