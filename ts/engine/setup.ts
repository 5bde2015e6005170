/** Brings LibTorch onto a machine that has none: the only code that downloads it. */
import { mkdir, readdir, rename, rm, statfs } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import type { Progress } from '../base/call.js'
import { checkCall } from '../base/call.js'
import { isDiskError } from '../base/http-file.js'
import { withLock } from '../base/lock.js'
import { megabytes } from '../base/units.js'
import { aborted, DeclipError, invalid } from '../errors.js'
import {
  cachedLibtorch,
  cacheFolder,
  type FindOptions,
  findLibtorch,
  LIBTORCH_VERSION,
  type Libtorch,
  lookAlsoIn,
  problemOf,
} from './libtorch.js'
import { type Archive, fetchArchive } from './libtorch-fetch.js'
import { builtInSources, checkFrom, type LibtorchSource, namedSource } from './libtorch-sources.js'
import { unpackLibtorch } from './libtorch-unpack.js'
import { existingAddon } from './load-addon.js'
import { libtorchPackageName, platformName } from './platform-packages.js'

/** Options of {@link setup}. */
export interface SetupOptions {
  /**
   * Where to take LibTorch from: path or URL of an archive (PyTorch's wheel, LibTorch's zip, or the npm
   * package `@declip-native/libtorch-...` as a .tgz), or a folder or a URL that ends in a slash, such as
   * a mirror of PyTorch's index, that holds the wheel which is taken by default. A URL may hold user
   * and password. Default: PyTorch's index, then the same wheel by the user's own pip.
   */
  from?: string | URL | undefined
  /**
   * What the archive of `from` must hash to, in hexadecimal. Default: the checksum that is known for its
   * file name; an archive of another name is taken as it is, and the result says what it hashed to.
   */
  sha256?: string | undefined
  /**
   * The folder that LibTorch is kept in; this process then also looks there. Default: DECLIP_CACHE, else
   * `declip` in the system's cache folder.
   */
  cache?: string | undefined
  /** Stops it; what has arrived of a download stays in the cache, and the next call goes on there. */
  signal?: AbortSignal | undefined
  /** Told how many bytes of 'download' and 'unpack' are done; 'wait' while another process does it. */
  onProgress?: ((progress: Progress) => void) | undefined
  /** Told what would be downloaded or unpacked before it is; may return false, or a promise of it, to refuse. */
  onPlan?: ((plan: SetupPlan) => unknown) | undefined
}

/** What {@link setup} is about to do. */
export interface SetupPlan {
  /** The archive: a URL without login, a path, or pip's requirement. */
  readonly from: string
  /** Size of the archive in bytes; undefined where only its server knows. */
  readonly bytes: number | undefined
  /** What the libraries take on disk in bytes; undefined where only the archive knows. */
  readonly unpacked: number | undefined
  /** What the archive must hash to, in hexadecimal; undefined where it is taken as it is. */
  readonly sha256: string | undefined
  /** Where they will lie. */
  readonly dir: string
  /** Why each source before this one did not work; empty for the first. */
  readonly failures: readonly string[]
}

/** What {@link setup} found or made. */
export interface SetupResult extends Libtorch {
  /** Of the archive that was unpacked, in hexadecimal; undefined where LibTorch was there already. */
  readonly sha256?: string | undefined
}

/** Also what builds and tests need. @internal */
export interface InternalSetupOptions extends SetupOptions, Pick<FindOptions, 'root' | 'headers'> {
  sources?: readonly LibtorchSource[] | undefined
}

/**
 * Makes sure that LibTorch is on this machine: where it is, says so; else downloads (or takes from
 * `from`) an archive, checks it, and unpacks the libraries into the cache. Nothing else of this package
 * downloads LibTorch. Proxies of HTTPS_PROXY and NO_PROXY are honoured.
 *
 * @throws DeclipError ERR_DECLIP_LIBTORCH where no source worked, with the reason of each;
 * ERR_DECLIP_IO where the cache cannot be written or has too little room, or `from` cannot be read;
 * ERR_DECLIP_ABORTED; ERR_DECLIP_INVALID_ARG
 *
 * @example
 * ```ts
 * const { dir } = await setup({
 *   onProgress: ({ step, done, total }) => console.log(step, Math.round((100 * done) / total), '%'),
 * })
 * ```
 */
export async function setup(options: SetupOptions = {}): Promise<SetupResult> {
  checkOptions(options)
  return setupLibtorch(options)
}

/** As {@link setup}, for builds and tests. @internal */
export async function setupLibtorch(options: InternalSetupOptions): Promise<SetupResult> {
  const { signal, headers = false, root } = options
  if (signal?.aborted) throw aborted(signal)
  const cache = resolve(options.cache ?? cacheFolder())
  if (options.cache !== undefined) lookAlsoIn(cache)
  const addon = headers ? undefined : existingAddon()
  const find = { addon, headers, root, ...(options.cache === undefined ? {} : { cache }) }
  const found = findLibtorch(find)
  if (found) return found
  const { from, sha256 } = options
  const sources =
    from === undefined ? (options.sources ?? builtInSources()) : [await namedSource(from, sha256)]
  if (sources.length === 0) throw noSource()
  const target = cachedLibtorch(cache, headers)
  try {
    await mkdir(cache, { recursive: true })
    const onWait = () => options.onProgress?.({ step: 'wait', done: 0, total: 0 })
    return await withLock(`${target}.lock`, { signal, onWait }, async () => {
      // Another process may have filled the cache while this one waited.
      return findLibtorch(find) ?? (await fill(target, sources, options))
    })
  } catch (error) {
    if (!isDiskError(error)) throw error
    // What Node says where it may make no folder on a read-only disk.
    const { code, message } = error as NodeJS.ErrnoException
    const reason = code === 'ENOENT' ? 'the folder cannot be made there' : message
    throw new DeclipError(
      'ERR_DECLIP_IO',
      `LibTorch cannot be kept in ${cache}: ${reason}. Choose another folder: DECLIP_CACHE, or the option cache.`,
      { cause: error },
    )
  }
}

function checkOptions(options: SetupOptions): void {
  checkCall(options)
  const { from, sha256, cache, onPlan } = options
  if (from !== undefined) checkFrom(from)
  if (sha256 !== undefined && !/^[\da-f]{64}$/i.test(String(sha256))) {
    throw invalid('sha256', '64 hexadecimal digits', sha256)
  }
  if (sha256 !== undefined && from === undefined) {
    throw invalid('sha256', 'given together with from', sha256)
  }
  if (cache !== undefined && (typeof cache !== 'string' || cache === '')) {
    throw invalid('cache', 'the path of a folder', cache)
  }
  if (onPlan !== undefined && typeof onPlan !== 'function') {
    throw invalid('onPlan', 'a function', onPlan)
  }
}

/** Fills `target` from the first source that works. */
async function fill(
  target: string,
  sources: readonly LibtorchSource[],
  options: InternalSetupOptions,
): Promise<SetupResult> {
  const { signal, onPlan, headers = false } = options
  const failures: string[] = []
  for (const source of sources) {
    const { bytes, unpacked, sha256 } = source
    const sizes = { bytes, unpacked: headers ? undefined : unpacked }
    const plan = { from: nameOf(source), ...sizes, sha256, dir: target, failures: [...failures] }
    if ((await onPlan?.(plan)) === false) {
      throw new DeclipError('ERR_DECLIP_ABORTED', 'LibTorch was not downloaded: onPlan refused it.')
    }
    try {
      return { dir: target, origin: 'cache', sha256: await fillFrom(source, target, options) }
    } catch (error) {
      if (signal?.aborted) throw aborted(signal)
      if (error instanceof DeclipError || isDiskError(error)) throw error
      failures.push(`${nameOf(source)}: ${(error as Error).message}`)
    }
  }
  throw allFailed(failures, options)
}

/** Unpacks into a folder beside `target`, renamed when whole. Returns the archive's SHA-256. */
async function fillFrom(
  source: LibtorchSource,
  target: string,
  { signal, onProgress, headers = false }: InternalSetupOptions,
): Promise<string> {
  const folder = dirname(target)
  const { kind, bytes = 0, unpacked = 0 } = source
  let needed = (kind === 'file' ? 0 : bytes) + unpacked
  const onSize = (size: number) => {
    needed = size
    return requireRoom(folder, needed)
  }
  const staging = `${target}.${process.pid}.part`
  let archive: Archive | undefined
  try {
    await requireRoom(folder, needed)
    await removeLeftovers(target)
    archive = await fetchArchive(source, { folder, signal, onProgress })
    await unpackLibtorch(archive.path, staging, { headers, signal, onProgress, onSize })
    const problem = problemOf(staging, headers)
    if (problem) throw new Error(problem.replace(`${staging}: `, 'what was unpacked '))
    await rm(target, { recursive: true, force: true }) // what is there is no LibTorch
    await rename(staging, target)
    return archive.sha256
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw code === 'ENOSPC' || code === 'EDQUOT'
      ? noRoom(folder, needed, 'the disk is full', error)
      : error
  } finally {
    await rm(staging, { recursive: true, force: true })
    await archive?.remove()
  }
}

/** What processes left that were ended while they unpacked. */
async function removeLeftovers(target: string): Promise<void> {
  const start = `${basename(target)}.`
  for (const name of await readdir(dirname(target))) {
    const isOne = name.startsWith(start) && /^\d+\.part$/.test(name.slice(start.length))
    if (isOne) await rm(join(dirname(target), name), { recursive: true, force: true })
  }
}

/** @throws DeclipError ERR_DECLIP_IO where a folder's disk has fewer bytes left */
async function requireRoom(folder: string, bytes: number): Promise<void> {
  const disk = await statfs(folder).catch(() => null)
  const free = disk ? disk.bavail * disk.bsize : Number.POSITIVE_INFINITY
  if (free < bytes) throw noRoom(folder, bytes, `${megabytes(free)} are free`)
}

function noRoom(folder: string, bytes: number, found: string, cause?: unknown): DeclipError {
  const needed = bytes > 0 ? megabytes(bytes) : 'more room'
  return new DeclipError(
    'ERR_DECLIP_IO',
    `LibTorch needs ${needed} in ${folder}; ${found}. Make room, or choose another folder: DECLIP_CACHE, or the option cache.`,
    cause === undefined ? undefined : { cause },
  )
}

function nameOf(source: LibtorchSource): string {
  if (source.kind === 'file') return source.path
  if (source.kind === 'pip') return `${source.file} by ${source.command.join(' ')}`
  const url = new URL(source.url)
  url.username = url.password = ''
  return url.href
}

const OTHER_WAYS = `\`from\` (declip setup --from) names an archive on disk or a mirror; LIBTORCH names a folder of an unpacked LibTorch ${LIBTORCH_VERSION}.`

function allFailed(failures: readonly string[], { from }: SetupOptions): DeclipError {
  const reasons = failures.map(line => `\n  - ${line}`).join('')
  const advice =
    from === undefined
      ? `Check the network and its proxy (HTTPS_PROXY). Other ways: \`npm install ${libtorchPackageName()}@${LIBTORCH_VERSION}\` brings it from npm's registry; ${OTHER_WAYS}`
      : 'Give an archive of LibTorch for this platform, and the sha256 that its publisher states.'
  return new DeclipError(
    'ERR_DECLIP_LIBTORCH',
    `LibTorch ${LIBTORCH_VERSION} could not be had. Tried:${reasons}\n${advice}`,
  )
}

function noSource(): DeclipError {
  return new DeclipError(
    'ERR_DECLIP_LIBTORCH',
    `No download of LibTorch ${LIBTORCH_VERSION} whose checksum is known exists for ${platformName()}. Other ways: ${OTHER_WAYS}`,
  )
}
