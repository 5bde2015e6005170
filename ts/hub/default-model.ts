import { mkdir, readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { ioError, writeFileAtomic } from '../base/files.js'
import { warnOnce } from '../base/warn.js'
import { DeclipError, describe } from '../errors.js'
import { BUNDLED_MODEL, canBeHad } from './resolve-source.js'

/** The model that calls use which name none. */
export interface DefaultModel {
  /** What {@link loadModel} takes. */
  readonly source: string
  /** The variable DECLIP_MODEL, the setting of `declip model use`, or neither. */
  readonly from: 'environment' | 'setting' | 'bundled'
}

/** Code of the warning that the bundled model is used without having been named. */
export const BUNDLED_MODEL_WARNING = 'DECLIP_BUNDLED_MODEL'

/** Of a model for photographs that is small, known to all and free to use. */
export const SUGGESTED_MODEL = 'openai/clip-vit-base-patch16'

/**
 * The model that is used where none is named: DECLIP_MODEL, else what `declip model use` has kept,
 * else the bundled one.
 *
 * @throws DeclipError ERR_DECLIP_IO where the settings cannot be read, ERR_DECLIP_INVALID_ARG where
 * they are damaged
 * @internal
 */
export async function defaultModel(): Promise<DefaultModel> {
  const named = process.env['DECLIP_MODEL']
  if (named) return { source: named, from: 'environment' }
  const { model } = await readSettings()
  if (model !== undefined) return { source: model, from: 'setting' }
  return { source: BUNDLED_MODEL, from: 'bundled' }
}

/**
 * The source that was named, else the default one; warns once where that is the bundled model, which
 * gives nonsense for photographs.
 *
 * @throws DeclipError ERR_DECLIP_IO where the default is a file that is gone, and as {@link defaultModel}
 * @internal
 */
export async function sourceOrDefault<T extends string | URL>(
  named: T | undefined,
): Promise<T | string> {
  if (named !== undefined) return named
  const { source, from } = await defaultModel()
  if (from === 'bundled') warnOnce(BUNDLED_MODEL_USED, BUNDLED_MODEL_WARNING)
  else if (!(await canBeHad(source))) {
    const where = from === 'environment' ? 'DECLIP_MODEL' : settingsFile()
    const message = `The default model ${describe(source)}, which ${where} names, is not there. Name another, or choose one with \`npx declip model use\`.`
    throw new DeclipError('ERR_DECLIP_IO', message)
  }
  return source
}

const BUNDLED_MODEL_USED =
  `No model was named, so the bundled ${BUNDLED_MODEL} is used. It knows 90 things in drawn art like emoji ` +
  `(listed by \`npx declip info ${BUNDLED_MODEL}\`) and guesses wrong on photographs. For these: ` +
  `\`npx declip model use ${SUGGESTED_MODEL}\`. Name it to use it without this warning: DECLIP_MODEL=${BUNDLED_MODEL}.`

/**
 * Keeps a model as the default for this user.
 *
 * @param source - what {@link loadModel} takes; a relative path is kept as an absolute one by the caller
 * @throws DeclipError ERR_DECLIP_IO
 * @internal
 */
export async function keepDefaultModel(source: string): Promise<void> {
  const path = settingsFile()
  // A file that is damaged is written anew, the other settings of one that is not are kept.
  const others = await readSettings().catch(() => ({}))
  const text = `${JSON.stringify({ ...others, model: source }, null, 2)}\n`
  await mkdir(dirname(path), { recursive: true }).catch(error => {
    throw ioError('write', path, error)
  })
  await writeFileAtomic(path, Buffer.from(text))
}

/** Where settings are kept: the system's folder for them, or below XDG_CONFIG_HOME. @internal */
export function settingsFile(): string {
  const { platform, env } = process
  const folder = env['XDG_CONFIG_HOME']
    ? resolve(env['XDG_CONFIG_HOME'])
    : platform === 'darwin'
      ? join(homedir(), 'Library/Application Support')
      : platform === 'win32'
        ? (env['APPDATA'] ?? join(homedir(), 'AppData/Roaming'))
        : join(homedir(), '.config')
  return join(folder, 'declip', 'config.json')
}

/** The settings, none where there is no file, no home, or no right to look there. */
async function readSettings(): Promise<{ model?: string }> {
  let path: string
  let text: string
  try {
    path = settingsFile()
    text = await readFile(path, 'utf8')
  } catch {
    return {}
  }
  const damaged = (why: string, cause?: unknown) =>
    new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `The settings in ${path} are damaged: ${why}. \`declip model use ${BUNDLED_MODEL}\` writes them anew.`,
      { cause },
    )
  let settings: unknown
  try {
    settings = JSON.parse(text)
  } catch (cause) {
    throw damaged('this is not JSON', cause)
  }
  if (typeof settings !== 'object' || settings === null) throw damaged('this is no object')
  const { model } = settings as { model?: unknown }
  if (model !== undefined && (typeof model !== 'string' || model === '')) {
    throw damaged(`model must be a name or path, found ${describe(model)}`)
  }
  return settings as { model?: string }
}
