/**
 * The cache that Hugging Face's own tools share:
 *
 *   models--OWNER--NAME/refs/REVISION           the commit a branch or tag stood at
 *                       blobs/ID                a file's content under its SHA-256 or Git id
 *                       snapshots/COMMIT/FILE   link to its blob
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { isCommit, type Repository } from './repository.js'
import { isTransformersConfig, needsConfig, selectFiles, shardsOf } from './select-files.js'

/** HF_HUB_CACHE, else the folder `hub` in HF_HOME, as huggingface_hub has it. */
export function cacheFolder(): string {
  const env = process.env
  const named = env['HF_HUB_CACHE'] || env['HUGGINGFACE_HUB_CACHE']
  if (named) return named
  const cache = env['XDG_CACHE_HOME'] || join(homedir(), '.cache')
  return join(env['HF_HOME'] || join(cache, 'huggingface'), 'hub')
}

/** The folder of a repository in the cache. */
export function repositoryFolder(id: string): string {
  return join(cacheFolder(), `models--${id.replace('/', '--')}`)
}

/** Nothing of what was asked for is in the cache. */
export class NotCached extends Error {}

/**
 * What an earlier download left: the path of a folder or weights file. Where nothing says at which
 * commit `main` stood, the only whole snapshot is taken.
 *
 * @throws Error that says what is missing
 */
export async function cachedSnapshot(root: string, repository: Repository): Promise<string> {
  const { revision, file } = repository
  const commit = isCommit(revision) ? revision : await readRef(root, revision)
  if (commit !== null) return wholeSnapshot(join(root, 'snapshots', commit), file)
  const commits = await readdir(join(root, 'snapshots')).catch(() => [])
  if (commits.length === 0) throw new NotCached('it is not in the cache')
  const found = new Map<string, string>()
  let reason: unknown
  for (const name of commits) {
    try {
      found.set(name, await wholeSnapshot(join(root, 'snapshots', name), file))
    } catch (error) {
      reason = error
    }
  }
  const [only] = found.values()
  if (only === undefined) throw reason
  if (found.size === 1 && revision === 'main') return only
  const names = [...found.keys()].map(name => `${repository.id}@${name}`).join(', ')
  const ref = join(root, 'refs', revision)
  throw new Error(
    `it is in the cache, but ${ref} does not say which commit is meant; name ${names}`,
  )
}

/** The commit a branch or tag stood at; null where that is not known. */
async function readRef(root: string, revision: string): Promise<string | null> {
  const text = await readFile(join(root, 'refs', revision), 'utf8').catch(() => '')
  return isCommit(text.trim()) ? text.trim() : null
}

async function wholeSnapshot(folder: string, file: string | undefined): Promise<string> {
  const names = await readdir(folder, { recursive: true }).catch(() => null)
  if (names === null) throw new NotCached('it is not in the cache')
  const paths = names.map(name => name.replaceAll('\\', '/'))
  const config = needsConfig(paths, file)
    ? await readFile(join(folder, 'config.json'), 'utf8').catch(() => '')
    : ''
  const { files, main } = selectFiles(paths, file, isTransformersConfig(config))
  for (const name of files) {
    await present(folder, name)
    for (const shard of await shardsOf(join(folder, name))) await present(folder, shard)
  }
  return join(folder, main)
}

async function present(folder: string, name: string): Promise<void> {
  await stat(join(folder, name)).catch(() => {
    throw new Error(`${name} is missing in ${folder}`)
  })
}
