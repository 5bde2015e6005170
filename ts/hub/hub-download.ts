/**
 * Brings a model repository into the cache that Hugging Face's own tools share (HF_HUB_CACHE):
 *
 *   models--OWNER--NAME/refs/REVISION           the commit a branch or tag stood at
 *                       blobs/ID                a file's content under its SHA-256 or Git id
 *                       snapshots/COMMIT/FILE   link to its blob
 *
 * `downloadFileToCacheDir` of @huggingface/hub writes the same layout, but prints on stdout and
 * neither resumes, verifies nor reports progress; so its listing and transfer are used here and the
 * writing is done below. A transfer grows a file beside its blob that only this call knows, and is
 * renamed once its digest is right.
 */
import { createHash, randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import {
  copyFile,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream } from 'node:stream/web'
import { setTimeout } from 'node:timers/promises'
import type { CallOptions } from '../base/call.js'
import { writeFileAtomic } from '../base/files.js'
import { warnOnce } from '../base/warn.js'
import { aborted, DeclipError } from '../errors.js'

/** A repository on the hub. */
export interface Repository {
  /** 'owner/name'. */
  id: string
  /** Branch, tag or commit. */
  revision: string
  /** The one weights file to take; without it the usual names are looked for. */
  file?: string | undefined
}

/** A repository on this disk. */
export interface Snapshot {
  /** Folder of config and weights, or the weights file where no folder layout applies. */
  path: string
  license?: string | undefined
}

/** Small files that say how weights are to be used. */
const COMPANIONS = [
  'config.json',
  'preprocessor_config.json',
  'open_clip_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'vocab.json',
  'merges.txt',
  'special_tokens_map.json',
]

/** Weights of a folder with a config.json, the preferred first. */
const FOLDER_WEIGHTS = [
  'model.safetensors',
  'model.safetensors.index.json',
  'pytorch_model.bin',
  'pytorch_model.bin.index.json',
]

/** Weights that stand alone. */
const FILE_WEIGHTS = ['open_clip_model.safetensors', 'open_clip_pytorch_model.bin']

/** How a weights file may end. */
export const WEIGHTS_FILE = /\.(safetensors|pt|pth|bin|ckpt)$/

const COMMIT = /^[0-9a-f]{40}$/
const DIGEST = /^([0-9a-f]{40}|[0-9a-f]{64})$/
const ATTEMPTS = 5
/** A transfer that has not grown for this long has died, in ms. */
const STALE = 600_000

type Hub = typeof import('@huggingface/hub')

/** Where and how requests go. */
interface Access {
  hubUrl: string
  fetch: typeof fetch
  accessToken?: string
}

/** A file of the repository: its digest and size in bytes. */
interface RemoteFile {
  path: string
  size: number
  digest: string
}

/** Downloads what is missing of a repository and says where it lies. */
export async function download(
  repository: Repository,
  { signal, onProgress }: CallOptions = {},
): Promise<Snapshot> {
  const hub = await import('@huggingface/hub')
  const { id, revision } = repository
  const root = join(hub.getHFHubCachePath(), hub.getRepoFolderName({ type: 'model', name: id }))
  if (isOffline()) {
    const cached = await cachedSnapshot(root, repository)
    if (cached) return cached
    throw new DeclipError(
      'ERR_DECLIP_NETWORK',
      `${id} is not in the cache (${root}) and HF_HUB_OFFLINE is set. Unset it once to download the model, or pass the path of a file or folder.`,
    )
  }
  const hubUrl = (process.env['HF_ENDPOINT'] || hub.HUB_URL).replace(/\/+$/, '')
  try {
    const access: Access = {
      hubUrl,
      fetch: (input, init) => fetch(input, signal ? { ...init, signal } : init),
      ...(await accessToken()),
    }
    const info = await hub.modelInfo({
      ...access,
      name: id,
      revision,
      additionalFields: ['sha', 'cardData'],
    })
    if (!COMMIT.test(info.sha)) throw new Error(`the answer names no commit but '${info.sha}'`)
    const path = await fetchSnapshot(hub, access, root, repository, info.sha, {
      signal,
      onProgress,
    })
    if (revision !== info.sha) {
      const ref = join(root, 'refs', revision)
      await mkdir(dirname(ref), { recursive: true })
      await writeFileAtomic(ref, Buffer.from(info.sha))
    }
    const license = info.cardData?.license
    return typeof license === 'string' ? { path, license } : { path }
  } catch (error) {
    if (signal?.aborted) throw aborted(signal)
    if (error instanceof DeclipError) throw error
    const status = (error as { statusCode?: number }).statusCode ?? 500
    const cached = status >= 500 && !isDiskError(error) && (await cachedSnapshot(root, repository))
    if (!cached) throw networkError(error, repository, hubUrl)
    warnOnce(
      `${hubUrl} could not be reached (${reasonOf(error)}); using the copy of ${id} in the cache.`,
    )
    return cached
  }
}

/**
 * Which files of a listing are needed, weights last, and what the loader is to be pointed at ('' for
 * the folder). An index counts as weights here; the shards it names follow later.
 */
export function selectFiles(
  names: readonly string[],
  file?: string,
): { files: string[]; main: string } {
  const companions = COMPANIONS.filter(name => names.includes(name))
  if (file !== undefined) {
    if (!names.includes(file)) {
      const others = names.filter(name => WEIGHTS_FILE.test(name))
      throw noWeights(`has no file '${file}'`, others)
    }
    return { files: [...companions, file], main: file }
  }
  const inFolder = FOLDER_WEIGHTS.find(name => names.includes(name))
  if (inFolder && names.includes('config.json'))
    return { files: [...companions, inFolder], main: '' }
  const known = FILE_WEIGHTS.find(name => names.includes(name))
  if (known) return { files: [...companions, known], main: known }
  const candidates = names.filter(name => !name.includes('/') && WEIGHTS_FILE.test(name))
  const [only] = candidates
  if (only === undefined) throw noWeights('has no weights that this package reads', candidates)
  if (candidates.length > 1) throw noWeights('has several weights files', candidates)
  return { files: [...companions, only], main: only }
}

function noWeights(what: string, candidates: readonly string[]): DeclipError {
  const shown = candidates.slice(0, 20).join(', ')
  const hint = shown
    ? `Name one as owner/name/file: ${shown}.`
    : 'Files ending in .safetensors, .pt, .pth, .bin or .ckpt are looked for.'
  return new DeclipError('ERR_DECLIP_WEIGHTS', `The repository ${what}. ${hint}`)
}

/** HF_HUB_OFFLINE, spelled as huggingface_hub accepts it. */
function isOffline(): boolean {
  const value = process.env['HF_HUB_OFFLINE'] ?? process.env['TRANSFORMERS_OFFLINE'] ?? ''
  return /^(1|on|yes|true)$/i.test(value)
}

/** HF_TOKEN, else what `hf auth login` stored. */
async function accessToken(): Promise<{ accessToken?: string }> {
  const env = process.env
  const cache = env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache')
  const stored = env['HF_TOKEN_PATH'] ?? join(env['HF_HOME'] ?? join(cache, 'huggingface'), 'token')
  const token = env['HF_TOKEN'] || (await readFile(stored, 'utf8').catch(() => '')).trim()
  return token ? { accessToken: token } : {}
}

/** What an earlier download left, or null when weights are missing. */
async function cachedSnapshot(
  root: string,
  { revision, file }: Repository,
): Promise<Snapshot | null> {
  try {
    const commit = COMMIT.test(revision)
      ? revision
      : (await readFile(join(root, 'refs', revision), 'utf8')).trim()
    const folder = join(root, 'snapshots', commit)
    const names = await readdir(folder, { recursive: true })
    const { files, main } = selectFiles(
      names.map(name => name.replaceAll('\\', '/')),
      file,
    )
    for (const name of files) {
      for (const shard of await shardsOf(join(folder, name))) await stat(join(folder, shard))
      await stat(join(folder, name))
    }
    return { path: join(folder, main) }
  } catch {
    return null
  }
}

async function fetchSnapshot(
  hub: Hub,
  access: Access,
  root: string,
  { id, file }: Repository,
  commit: string,
  { signal, onProgress }: CallOptions,
): Promise<string> {
  const listing = new Map<string, RemoteFile>()
  const repo = { type: 'model', name: id } as const
  const recursive = file?.includes('/') ?? false
  for await (const entry of hub.listFiles({ ...access, repo, revision: commit, recursive })) {
    if (entry.type !== 'file' || !isPlainPath(entry.path)) continue
    const digest = entry.lfs?.oid ?? entry.oid ?? ''
    if (DIGEST.test(digest)) listing.set(entry.path, { path: entry.path, size: entry.size, digest })
  }
  const { files, main } = selectFiles([...listing.keys()], file)
  const snapshot = join(root, 'snapshots', commit)
  let total = files.reduce((sum, name) => sum + (listing.get(name)?.size ?? 0), 0)
  let done = 0
  const report = (bytes: number) => {
    done += bytes
    onProgress?.({ step: 'download', done, total })
  }
  report(0)
  // An index appends its shards to the list while it is walked.
  for (const name of files) {
    const remote = listing.get(name)
    if (!remote) {
      const message = `The index of ${id} names ${name}, which the repository does not have.`
      throw new DeclipError('ERR_DECLIP_WEIGHTS', message)
    }
    const blob = join(root, 'blobs', remote.digest)
    if (await exists(blob)) report(remote.size)
    else await fetchBlob({ hub, access, id, commit, remote, blob, report, signal })
    await link(blob, join(snapshot, name))
    const shards = await shardsOf(join(snapshot, name))
    files.push(...shards)
    total += shards.reduce((sum, shard) => sum + (listing.get(shard)?.size ?? 0), 0)
  }
  return join(snapshot, main)
}

/** The shards that an index file names; none for any other file. */
async function shardsOf(path: string): Promise<string[]> {
  if (!path.endsWith('.index.json')) return []
  try {
    const { weight_map: map } = JSON.parse(await readFile(path, 'utf8')) as { weight_map: object }
    const shards = [...new Set(Object.values(map))]
    if (shards.every(shard => isPlainPath(shard) && WEIGHTS_FILE.test(shard))) return shards
    throw new TypeError(
      `weight_map names files that are no weights: ${shards.slice(0, 5).join(', ')}`,
    )
  } catch (cause) {
    const message = `${path} is no index of safetensors or PyTorch files: ${(cause as Error).message}.`
    throw new DeclipError('ERR_DECLIP_WEIGHTS', message, { cause })
  }
}

/** Names come from the hub and are joined to a folder: nothing may lead out of it, on any system. */
function isPlainPath(path: unknown): path is string {
  return typeof path === 'string' && path.split('/').every(part => /^[\w][\w.+ -]*$/.test(part))
}

interface Transfer {
  hub: Hub
  access: Access
  id: string
  commit: string
  remote: RemoteFile
  blob: string
  report: (bytes: number) => void
  signal: AbortSignal | undefined
}

/** Fetches one file, resuming what an interrupted transfer left. */
async function fetchBlob(transfer: Transfer): Promise<void> {
  const { hub, access, id, commit, remote, blob, report, signal } = transfer
  await mkdir(dirname(blob), { recursive: true })
  const part = await claimPart(blob)
  let counted = 0
  try {
    for (let attempt = 1; ; attempt += 1) {
      try {
        let size = (await stat(part)).size
        if (size > remote.size) {
          await truncate(part, 0)
          size = 0
        }
        report(size - counted)
        counted = size
        if (size < remote.size) {
          const repo = { type: 'model', name: id } as const
          const source = await hub.downloadFile({
            ...access,
            repo,
            path: remote.path,
            revision: commit,
            xet: false,
          })
          if (!source) throw new Error(`${remote.path} is listed but missing`)
          const counter = new Transform({
            transform(chunk: Buffer, _encoding, callback) {
              counted += chunk.length
              report(chunk.length)
              callback(null, chunk)
            },
          })
          const rest = size > 0 ? source.slice(size, remote.size) : source
          const bytes = Readable.fromWeb(rest.stream() as ReadableStream)
          await pipeline(bytes, counter, createWriteStream(part, { flags: 'a' }))
        }
        await verify(part, remote)
        await rename(part, blob)
        return
      } catch (error) {
        if (signal?.aborted || isPermanent(error) || attempt === ATTEMPTS) throw error
        await setTimeout(100 * 2 ** attempt, undefined, signal ? { signal } : {})
      }
    }
  } catch (error) {
    await rename(part, `${blob}.declip`).catch(() => undefined)
    throw error
  }
}

/** Wrong access, a missing file, or this disk: trying again changes nothing. */
function isPermanent(error: unknown): boolean {
  const { statusCode } = error as { statusCode?: number }
  if (statusCode !== undefined) return statusCode < 500 && statusCode !== 408 && statusCode !== 429
  return isDiskError(error)
}

/** fetch wraps the errors of sockets, so a bare system error comes from the file system. */
function isDiskError(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).syscall !== undefined
}

/** A file to write to that no other process or call writes to: a leftover, or a new one. */
async function claimPart(blob: string): Promise<string> {
  const own = `${blob}.${randomBytes(6).toString('hex')}.declip`
  for (const name of await readdir(dirname(blob))) {
    if (!name.startsWith(`${basename(blob)}.`) || !name.endsWith('.declip')) continue
    const leftover = join(dirname(blob), name)
    const released = leftover === `${blob}.declip`
    try {
      if (!released && Date.now() - (await stat(leftover)).mtimeMs < STALE) continue
      await rename(leftover, own)
      return own
    } catch {
      // Another call took it first.
    }
  }
  await writeFile(own, '', { flag: 'wx' })
  return own
}

/** Large files carry their SHA-256, small ones Git's SHA-1 of a header and the content. */
async function verify(part: string, { path, size, digest }: RemoteFile): Promise<void> {
  const hash = createHash(digest.length === 64 ? 'sha256' : 'sha1')
  if (digest.length === 40) hash.update(`blob ${size}\0`)
  await pipeline(createReadStream(part), hash)
  if (hash.digest('hex') === digest) return
  const received = (await stat(part)).size
  if (received >= size) await truncate(part, 0)
  throw new Error(
    received < size
      ? `the transfer of ${path} ended after ${received} of ${size} bytes`
      : `${path} arrived damaged: its digest is not ${digest}`,
  )
}

async function link(blob: string, path: string): Promise<void> {
  if (await exists(path)) return
  await mkdir(dirname(path), { recursive: true })
  await rm(path, { force: true })
  try {
    await symlink(relative(dirname(path), blob), path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return
    // Windows without the right to make links.
    const temporary = `${path}.${randomBytes(6).toString('hex')}`
    await copyFile(blob, temporary)
    await rename(temporary, path)
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

function reasonOf(error: unknown): string {
  const cause = (error as Error).cause
  const inner = cause instanceof Error && cause.message ? cause : error
  return inner instanceof Error ? inner.message : String(inner)
}

function networkError(error: unknown, { id, revision }: Repository, hubUrl: string): DeclipError {
  const { statusCode: status } = error as { statusCode?: number }
  const options = { cause: error }
  if (isDiskError(error)) {
    const advice = 'Free space, or set HF_HUB_CACHE to another folder.'
    const message = `${id} could not be written to the cache: ${reasonOf(error)}. ${advice}`
    return new DeclipError('ERR_DECLIP_IO', message, options)
  }
  let message = `${id} could not be downloaded from ${hubUrl}: ${reasonOf(error)}. What has arrived is kept: try again, set HF_ENDPOINT to a mirror, or pass the path of a file or folder.`
  if (status === 401 || status === 403) {
    message = `${hubUrl} refused access to ${id} (status ${status}). If the name is right, accept the model's terms at ${hubUrl}/${id} and set HF_TOKEN.`
  } else if (status === 404) {
    message = `${hubUrl} has no model ${id} with revision '${revision}', and there is no such file or folder here. Check the spelling; a private model needs HF_TOKEN.`
  } else if (status === 429) {
    message = `${hubUrl} asks for fewer requests (status 429). Wait a few minutes, or set HF_TOKEN.`
  }
  return new DeclipError('ERR_DECLIP_NETWORK', message, options)
}
