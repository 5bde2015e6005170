/**
 * Brings a model repository into the cache that Hugging Face's own tools share (HF_HUB_CACHE).
 *
 * Their library for JavaScript writes the same layout, but prints on stdout, refuses tokens and
 * servers that mirrors have, and neither resumes nor verifies; so two questions to the hub
 * (repository.ts) and one way to fetch a file (base/http-file.ts) do it here.
 */
import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { CallOptions } from '../base/call.js'
import { writeFileAtomic } from '../base/files.js'
import { HttpError } from '../base/http.js'
import { isDiskError } from '../base/http-file.js'
import { warnOnce } from '../base/warn.js'
import { aborted, DeclipError } from '../errors.js'
import { exists, fetchBlob, link, TransferError } from './blobs.js'
import { cachedSnapshot, NotCached, repositoryFolder } from './cached.js'
import { gatedMessage, isGatedAnswer } from './gated.js'
import {
  type About,
  aboutRepository,
  fileUrl,
  type Hub,
  hubOfEnvironment,
  listFiles,
  type RemoteFile,
  type Repository,
} from './repository.js'
import { isTransformersConfig, needsConfig, selectFiles, shardsOf } from './select-files.js'

/** What a download would bring. */
export interface DownloadPlan {
  /** 'owner/name'. */
  readonly id: string
  readonly commit: string
  /** As the model card states it. */
  readonly license: string | undefined
  /** Where the licence can be read, if it is none that all know. */
  readonly licenseUrl: string | undefined
  /** Whether its authors give access on request only; a token of the account that has it is needed. */
  readonly gated: boolean
  readonly files: number
  /** Of all files, in bytes. */
  readonly bytes: number
  /** Of those that are not in the cache, in bytes. */
  readonly missing: number
  /** Where they will lie. */
  readonly folder: string
}

/** Options of {@link download}. */
export interface DownloadOptions extends CallOptions {
  /** Told what is to be fetched before it is; false refuses it. */
  onPlan?: ((plan: DownloadPlan) => boolean | Promise<boolean>) | undefined
}

/** A repository on this disk. */
export interface Snapshot {
  /** Folder of config and weights, or the weights file where no folder layout applies. */
  path: string
  license?: string | undefined
}

/**
 * Downloads what is missing of a repository and says where it lies.
 *
 * @throws DeclipError ERR_DECLIP_NETWORK where the hub cannot be reached or refuses and nothing is
 * cached, ERR_DECLIP_WEIGHTS where it has no weights, ERR_DECLIP_IO for the cache, ERR_DECLIP_ABORTED
 */
export async function download(
  repository: Repository,
  options: DownloadOptions = {},
): Promise<Snapshot> {
  const { id, revision } = repository
  const { signal } = options
  const root = repositoryFolder(id)
  if (isOffline()) {
    try {
      return { path: await cachedSnapshot(root, repository) }
    } catch (cause) {
      const why =
        cause instanceof NotCached
          ? `is not in the cache (${root}) and HF_HUB_OFFLINE is set`
          : `cannot be taken from the cache, and HF_HUB_OFFLINE is set: ${(cause as Error).message.replace(/\.$/, '')}`
      const message = `${id} ${why}. Unset it once to download the model, or pass the path of a file or folder.`
      throw new DeclipError('ERR_DECLIP_NETWORK', message, { cause })
    }
  }
  const hub = await hubOfEnvironment()
  let about: About | undefined
  try {
    about = await aboutRepository(hub, repository, { signal })
    const { commit, license } = about
    const path = await fetchSnapshot(hub, root, repository, about, options)
    if (revision !== commit) {
      const ref = join(root, 'refs', revision)
      await mkdir(dirname(ref), { recursive: true })
      await writeFileAtomic(ref, Buffer.from(commit))
    }
    return license === undefined ? { path } : { path, license }
  } catch (error) {
    if (signal?.aborted) throw aborted(signal)
    if (error instanceof DeclipError) throw error
    const status = statusOf(error)
    const refused = status >= 400 && status < 500
    const cached =
      !refused && !isDiskError(error) && (await cachedSnapshot(root, repository).catch(() => null))
    if (!cached) throw networkError(error, repository, hub, about?.gated ?? false)
    warnOnce(
      `${hub.url} could not be reached (${(error as Error).message}); using the copy of ${id} in the cache.`,
    )
    return { path: cached }
  }
}

/** HF_HUB_OFFLINE, spelled as huggingface_hub accepts it. */
function isOffline(): boolean {
  const value = process.env['HF_HUB_OFFLINE'] ?? process.env['TRANSFORMERS_OFFLINE'] ?? ''
  return /^(1|on|yes|true)$/i.test(value)
}

async function fetchSnapshot(
  hub: Hub,
  root: string,
  { id, file }: Repository,
  about: About,
  { signal, onProgress, onPlan }: DownloadOptions,
): Promise<string> {
  const { commit } = about
  const recursive = file?.includes('/') ?? false
  const listing = await listFiles(hub, id, commit, recursive, { signal })
  const fetched = async (name: string, remote: RemoteFile, onBytes: (bytes: number) => void) => {
    const blob = join(root, 'blobs', remote.digest)
    const url = fileUrl(hub, id, commit, name)
    const { headers } = hub
    if (!(await exists(blob))) await fetchBlob(url, remote, blob, { headers, signal, onBytes })
    return blob
  }
  const names = [...listing.keys()]
  const config = needsConfig(names, file) ? listing.get('config.json') : undefined
  const text = config && (await readFile(await fetched(config.path, config, () => {}), 'utf8'))
  const { files, main } = selectFiles(names, file, isTransformersConfig(text ?? ''))
  const snapshot = join(root, 'snapshots', commit)
  if (onPlan) {
    const sizes = await sizesOf(root, listing, files)
    const plan = { id, ...about, ...sizes, folder: root }
    if (!(await onPlan(plan))) {
      throw new DeclipError('ERR_DECLIP_ABORTED', `Nothing of ${id} was downloaded.`)
    }
  }
  let total = files.reduce((sum, name) => sum + (listing.get(name)?.size ?? 0), 0)
  let whole = 0
  let shown = 0
  const report = (bytes: number) => {
    // A damaged file is fetched again: what is shown never goes back.
    shown = Math.max(shown, whole + bytes)
    onProgress?.({ step: 'download', done: shown, total })
  }
  report(0)
  // An index appends its shards to the list while it is walked.
  for (const name of files) {
    const remote = listing.get(name)
    if (!remote) {
      const message = `The index of ${id} names ${name}, which the repository does not have.`
      throw new DeclipError('ERR_DECLIP_WEIGHTS', message)
    }
    const blob = await fetched(name, remote, report)
    whole += remote.size
    report(0)
    await link(blob, join(snapshot, name))
    for (const shard of await shardsOf(join(snapshot, name))) {
      files.push(shard)
      total += listing.get(shard)?.size ?? 0
    }
  }
  return join(snapshot, main)
}

/** How much there is to fetch. Shards, which their index names once it is here, go by their names. */
async function sizesOf(
  root: string,
  listing: ReadonlyMap<string, RemoteFile>,
  files: readonly string[],
): Promise<Pick<DownloadPlan, 'files' | 'bytes' | 'missing'>> {
  const stems = files.flatMap(name => /^(.+)\.index\.json$/.exec(name)?.[1] ?? [])
  const shards = [...listing.keys()].filter(name =>
    stems.includes(name.replace(/-\d+-of-\d+(?=\.)/, '')),
  )
  const wanted = [...files, ...shards.filter(name => !files.includes(name))]
  let [bytes, missing] = [0, 0]
  for (const name of wanted) {
    const { size = 0, digest = '' } = listing.get(name) ?? {}
    bytes += size
    if (!(await exists(join(root, 'blobs', digest)))) missing += size
  }
  return { files: wanted.length, bytes, missing }
}

function networkError(
  error: unknown,
  { id, revision }: Repository,
  hub: Hub,
  gated: boolean,
): DeclipError {
  const { url } = hub
  const options = { cause: error }
  const reason = error instanceof Error ? error.message : String(error)
  if (isDiskError(error)) {
    const advice = 'Free space, or set HF_HUB_CACHE to another folder.'
    const message = `${id} could not be written to the cache: ${reason}. ${advice}`
    return new DeclipError('ERR_DECLIP_IO', message, options)
  }
  const status = statusOf(error)
  const inTransfer = error instanceof TransferError
  const kept = inTransfer && error.kept ? 'What has arrived is kept: try again' : 'Try again'
  let message = `${id} could not be downloaded from ${url}: ${reason}. ${kept}, set HF_ENDPOINT to a mirror, or pass the path of a file or folder.`
  if ((status === 401 || status === 403) && (gated || isGatedAnswer(reason))) {
    message = gatedMessage(hub, id, status)
  } else if (status === 401 || status === 403) {
    message = `${url} refused access to ${id} (status ${status}). If the name is right, accept the model's terms at ${url}/${id} and set HF_TOKEN.`
  } else if (status === 404 && !inTransfer) {
    message = `${url} has no model ${id} with revision '${revision}', and there is no such file or folder here. Check the spelling; a private model needs HF_TOKEN.`
  } else if (status === 429) {
    message = `${url} asks for fewer requests (status 429). Wait a few minutes, or set HF_TOKEN.`
  }
  return new DeclipError('ERR_DECLIP_NETWORK', message, options)
}

/** Of the answer that ended a download; 0 where there was none. */
function statusOf(error: unknown): number {
  return error instanceof HttpError || error instanceof TransferError ? error.status : 0
}
