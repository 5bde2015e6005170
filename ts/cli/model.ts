import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { megabytes } from '../base/units.js'
import { DeclipError } from '../errors.js'
import { cachedModels, removeCached } from '../hub/cached-models.js'
import {
  type DefaultModel,
  defaultModel,
  keepDefaultModel,
  SUGGESTED_MODEL,
  settingsFile,
} from '../hub/default-model.js'
import { BUNDLED_MODEL, parseHubId, resolveSource } from '../hub/resolve-source.js'
import { inspectCheckpoint } from '../model/load.js'
import { agreed, fetchModel } from './download.js'
import { examples, type Run, table, usage } from './shared.js'

interface ModelCommandFlags {
  yes?: boolean
  json?: boolean
}

/** Adds `declip model`. */
export function addModel(program: Command, run: Run): void {
  const command = program
    .command('model')
    .summary('say which models are here and which is the default; change it')
    .description(
      'Lists the models that are here and the one that is used where none is named, and changes both.',
    )
    .addHelpText(
      'after',
      `\nDECLIP_MODEL, where it is set, stands before what 'declip model use' has kept.\n${examples(
        'declip model',
        `declip model use ${SUGGESTED_MODEL}`,
        `declip model use ${BUNDLED_MODEL}`,
        `declip model remove ${SUGGESTED_MODEL}`,
      )}`,
    )
  command
    .command('list', { isDefault: true })
    .description('Lists the bundled model and those in the cache, the default one marked.')
    .option('--json', 'print one JSON object')
    .addHelpText('after', examples('declip model list'))
    .action((flags: ModelCommandFlags) => list(flags, run))
  command
    .command('use')
    .description('Makes a model the default of this user; one on Hugging Face is fetched first.')
    .argument('<source>', 'checkpoint file or folder, hub id, or bundled model')
    .option('--yes', 'do not ask before a download, also on a terminal')
    .addHelpText(
      'after',
      examples(`declip model use ${SUGGESTED_MODEL}`, 'declip model use ./ViT-B-16.pt'),
    )
    .action((source: string, flags: ModelCommandFlags) => use(source, flags, run))
  command
    .command('remove')
    .description("Removes a model from the cache, which Hugging Face's tools share.")
    .argument('<id>', "'owner/name', as `declip model list` prints it")
    .option('--yes', 'do not ask, also on a terminal')
    .addHelpText('after', examples(`declip model remove ${SUGGESTED_MODEL}`))
    .action((id: string, flags: ModelCommandFlags) => remove(id, flags, run))
}

async function list({ json }: ModelCommandFlags, run: Run): Promise<void> {
  const [chosen, cached] = await Promise.all([defaultModel(), cachedModels()])
  const { path } = await resolveSource(BUNDLED_MODEL)
  const bundled = { id: BUNDLED_MODEL, folder: path, bytes: (await stat(path)).size, usable: true }
  const models = [bundled, ...cached]
  if (json) return run.print(JSON.stringify({ default: chosen, models }))
  run.print(`default  ${chosen.source}  (${origin(chosen)})\n`)
  const rows = models.map(({ id, bytes, usable, folder }): [string, string] => {
    const mark = isOf(chosen.source, id) ? '* ' : '  '
    const what = id === BUNDLED_MODEL ? 'bundled: 90 things in drawn art' : folder
    const note = usable ? '' : '  (no whole weights that are read)'
    return [`${mark}${id}`, `${megabytes(bytes).padStart(9)}  ${what}${note}`]
  })
  run.print(table(rows))
}

function origin({ from }: DefaultModel): string {
  if (from === 'environment') return 'by DECLIP_MODEL'
  return from === 'setting' ? `by ${settingsFile()}` : 'none was chosen'
}

/** Whether a source names the model of an id, at any revision. */
function isOf(source: string, id: string): boolean {
  return source === id || parseHubId(source)?.id === id
}

async function use(source: string, flags: ModelCommandFlags, run: Run): Promise<void> {
  const { signal, progress } = run
  const isHere = source === BUNDLED_MODEL || source.startsWith('file:') || (await exists(source))
  if (!isHere && parseHubId(source)) await fetchModel(source, flags, run)
  const { family, textSpace } = await inspectCheckpoint(source, {
    signal,
    onProgress: progress.update,
  })
  progress.clear()
  if (!textSpace) {
    throw new DeclipError(
      'ERR_DECLIP_WEIGHTS',
      `${source} is a vision foundation model (${family}), which knows no words; the default must be a CLIP model. Give this one as --proxy-model with --method proxyclip.`,
    )
  }
  const isPath = isHere && source !== BUNDLED_MODEL && !source.startsWith('file:')
  const kept = isPath ? resolve(source) : source
  await keepDefaultModel(kept)
  run.print(`The default model is ${kept} (kept in ${settingsFile()}).`)
  const named = process.env['DECLIP_MODEL']
  if (named) run.print(`DECLIP_MODEL=${named} stands before it; unset it to use the setting.`)
}

async function remove(id: string, flags: ModelCommandFlags, run: Run): Promise<void> {
  if (id === BUNDLED_MODEL) throw usage(`${BUNDLED_MODEL} is part of the package and stays.`)
  const model = (await cachedModels()).find(cached => cached.id === id)
  const size = megabytes(model?.bytes ?? 0)
  if (model && !flags.yes) {
    const question = `Remove ${id} (${size}) from ${model.folder}, which other programs may use?`
    if (!(await agreed(question, run.signal))) {
      throw new DeclipError('ERR_DECLIP_ABORTED', `Nothing of ${id} was removed.`)
    }
  }
  await removeCached(id)
  run.print(`${id} is removed: ${size} less.`)
  const { source, from } = await defaultModel()
  if (from !== 'bundled' && isOf(source, id)) {
    run.print(
      `It is still the default model, and the next call fetches it again; see declip model use.`,
    )
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
