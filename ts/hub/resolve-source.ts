import { stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { CallOptions } from '../base/call.js'
import { nativePath } from '../base/native-path.js'
import { packagePath } from '../base/package-files.js'
import { aborted, DeclipError, invalid } from '../errors.js'
import { download } from './download.js'
import type { Repository } from './repository.js'
import { WEIGHTS_FILE } from './select-files.js'

/** The model inside the package. */
export const BUNDLED_MODEL = 'words-tiny'

/** Models inside the package, by name: their file below its root. */
const BUNDLED: Readonly<Record<string, string>> = {
  'words-tiny': 'models/words-tiny/model.safetensors',
}

/** @internal */
export function isBundled(name: string): boolean {
  return Object.hasOwn(BUNDLED, name)
}

/** Where a checkpoint lies. */
export interface ResolvedSource {
  /** Absolute or as given, for native code: a weights file, or a folder with config.json and weights. */
  path: string
  /** Bundled name or hub id; its parts may tell the dense mode. */
  name?: string | undefined
  /** As the hub states it. */
  license?: string | undefined
}

/**
 * Finds the file or folder that a checkpoint's name stands for; downloads only for a hub id.
 *
 * @param source path, file URL, name of a bundled model, or hub id `owner/name[@revision][/file]`
 * @throws DeclipError ERR_DECLIP_INVALID_ARG for anything else, ERR_DECLIP_IO for a path that does
 * not exist, ERR_DECLIP_NETWORK when a download fails and nothing is cached
 *
 * @example
 * ```ts
 * const { path } = await resolveSource('openai/clip-vit-base-patch16')
 * ```
 * @internal
 */
export async function resolveSource(
  source: string | URL,
  options: CallOptions = {},
): Promise<ResolvedSource> {
  if (options.signal?.aborted) throw aborted(options.signal)
  const text = source instanceof URL ? source.href : source
  if (typeof text !== 'string' || text === '' || text.includes('\0')) {
    throw invalid('source', ACCEPTED, source)
  }
  if (text.startsWith('file:')) return { path: await existing(pathOf(text)) }
  const bundled = isBundled(text) ? BUNDLED[text] : undefined
  if (bundled !== undefined) return { path: await bundledPath(packagePath(bundled)), name: text }
  const path = atHome(text)
  if (await exists(path)) return { path: nativePath(path) }
  const hint = architectureHint(text)
  if (hint) throw new DeclipError('ERR_DECLIP_INVALID_ARG', hint)
  const repository = parseHubId(text)
  if (repository) return { ...(await download(repository, options)), name: repository.id }
  if (looksLikePath(text)) return { path: await existing(path) }
  throw invalid('source', ACCEPTED, source)
}

/** Whether a source is a bundled model, on this disk, or the id of a repository. @internal */
export async function canBeHad(source: string): Promise<boolean> {
  if (Object.hasOwn(BUNDLED, source) || parseHubId(source)) return true
  return exists(source.startsWith('file:') ? pathOf(source) : atHome(source))
}

function atHome(path: string): string {
  return path.startsWith('~/') ? join(homedir(), path.slice(2)) : path
}

const ACCEPTED = `the path or file URL of a checkpoint file or folder, the bundled model '${BUNDLED_MODEL}', or a Hugging Face id like 'owner/name', 'owner/name@revision' or 'owner/name/weights.pt'`

/** What OpenAI's models are called, and their repositories. */
const OPENAI: Readonly<Record<string, string>> = {
  'ViT-B-32': 'openai/clip-vit-base-patch32',
  'ViT-B-16': 'openai/clip-vit-base-patch16',
  'ViT-L-14': 'openai/clip-vit-large-patch14',
  'ViT-L-14-336': 'openai/clip-vit-large-patch14-336',
}

/** What to do with the name of an architecture, as the libraries clip and open_clip take it. @internal */
export function architectureHint(text: string): string | undefined {
  const name = text
    .replace('/', '-')
    .replace('@', '-')
    .replace(/px$|-quickgelu$/, '')
  const repository = Object.hasOwn(OPENAI, name) ? OPENAI[name] : undefined
  if (repository) {
    return `'${text}' is the name of an architecture. OpenAI's weights of it are '${repository}' on Hugging Face; name that, or the path of a file.`
  }
  if (/^RN\d+(x\d+)?$/.test(name)) {
    return `'${text}' is a ResNet, whose weights are not read; take a ViT, such as '${OPENAI['ViT-B-16']}'.`
  }
  if (/^(ViT-[\w-]+-SigLIP2?|PE-Core-\w+)(-\d+)*$/.test(name)) {
    return `'${text}' is the name of an architecture. open_clip's weights of it are 'timm/${name}' on Hugging Face; name that, or the path of a file.`
  }
  if (!/^(ViT-[A-Za-z]+-\d|EVA0\d-)[\w-]*$/.test(name)) return undefined
  return `'${text}' is the name of an architecture, of which there are several weights; name their repository on Hugging Face, such as 'laion/CLIP-ViT-B-16-laion2B-s34B-b88K', or the path of a file.`
}

/**
 * Reads `owner/name[@revision][/file]`; null for anything else, and for `folder/weights.pt`, which
 * is a path that does not exist rather than a repository.
 */
export function parseHubId(text: string): Repository | null {
  const part = '[A-Za-z0-9](?:[\\w.-]*[A-Za-z0-9_])?'
  const match = new RegExp(`^(${part}/${part})(?:@(${part}))?(?:/(.+))?$`).exec(text)
  const [, id, revision = 'main', file] = match ?? []
  if (id === undefined || /--|\.\./.test(id)) return null
  if (file === undefined) return WEIGHTS_FILE.test(id) ? null : { id, revision }
  return WEIGHTS_FILE.test(file) ? { id, revision, file } : null
}

function looksLikePath(text: string): boolean {
  return /^[.~]?[\\/]|^[A-Za-z]:[\\/]|^\.\.[\\/]/.test(text) || WEIGHTS_FILE.test(text)
}

function pathOf(url: string): string {
  try {
    return fileURLToPath(url)
  } catch (cause) {
    const message = `source is not a usable file URL: ${(cause as Error).message}.`
    throw new DeclipError('ERR_DECLIP_INVALID_ARG', message, { cause })
  }
}

/** @throws DeclipError in a clone that was not built since its model is tracked compressed */
async function bundledPath(path: string): Promise<string> {
  if (await exists(path)) return nativePath(path)
  throw new DeclipError(
    'ERR_DECLIP_IO',
    `The bundled model is not at ${path}; install the package again, or in a clone run \`npm run build\`, which unpacks it.`,
  )
}

async function existing(path: string): Promise<string> {
  if (await exists(path)) return nativePath(path)
  throw new DeclipError(
    'ERR_DECLIP_IO',
    `There is no checkpoint file or folder '${path}'. Check the path; a relative one starts at ${process.cwd()}.`,
  )
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}
