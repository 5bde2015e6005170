/** What is in the cache, and out of it again. */
import { lstat, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ioError } from '../base/files.js'
import { DeclipError } from '../errors.js'
import { cachedSnapshot, cacheFolder, repositoryFolder } from './cached.js'

/** A model repository in the cache. */
export interface CachedModel {
  /** 'owner/name'. */
  readonly id: string
  readonly folder: string
  /** On the disk. */
  readonly bytes: number
  /** Whether it holds whole weights in a layout that is read. */
  readonly usable: boolean
}

/** The model repositories in the cache, by name. @internal */
export async function cachedModels(): Promise<CachedModel[]> {
  const names = await readdir(cacheFolder()).catch(() => [])
  const ids = names.flatMap(name => /^models--(.+)$/.exec(name)?.[1]?.replace('--', '/') ?? [])
  return Promise.all(ids.sort().map(describeModel))
}

/**
 * Removes a model repository, all of its revisions, from the cache.
 *
 * @throws DeclipError ERR_DECLIP_IO where it is not there or cannot be removed
 * @internal
 */
export async function removeCached(id: string): Promise<void> {
  const folder = repositoryFolder(id)
  if ((await cachedModels()).every(model => model.id !== id)) {
    throw new DeclipError(
      'ERR_DECLIP_IO',
      `${id} is not in the cache (${cacheFolder()}); \`declip model list\` says what is.`,
    )
  }
  await rm(folder, { recursive: true }).catch(error => {
    throw ioError('write', folder, error)
  })
}

async function describeModel(id: string): Promise<CachedModel> {
  const folder = repositoryFolder(id)
  const usable = await cachedSnapshot(folder, { id, revision: 'main' }).then(
    () => true,
    () => false,
  )
  return { id, folder, bytes: await sizeOf(folder), usable }
}

/** Bytes of the files below a folder; links weigh nothing. */
async function sizeOf(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true }).catch(() => [])
  let bytes = 0
  for (const entry of entries) {
    const found = await lstat(join(folder, entry)).catch(() => null)
    if (found?.isFile()) bytes += found.size
  }
  return bytes
}
