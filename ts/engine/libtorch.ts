/**
 * Finds LibTorch, the native library of PyTorch that the addon runs on. It is too large for the npm
 * package, so it lies in a cache that `declip setup` fills once; nothing else downloads it.
 */
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { homedir, hostname } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { CallOptions } from '../base/call.js'
import { nativePath } from '../base/native-path.js'
import { aborted, DeclipError } from '../errors.js'
import { fetchSource, type LibtorchSource, officialSources } from './libtorch-sources.js'
import { libtorchPackage, libtorchPackageName } from './platform-packages.js'

/** The release the addon is built against. */
export const LIBTORCH_VERSION = '2.13.0'
/** The release that a CUDA build of the addon is built against. @internal */
export const CUDA_LIBTORCH_VERSION = '2.14.1'

/** A usable LibTorch. */
export interface Libtorch {
  /** The folder that holds lib/. */
  readonly dir: string
  /** Where it was found. */
  readonly origin: 'explicit' | 'beside the addon' | 'platform package' | 'cache' | 'download'
}

/** Where to look. */
export interface FindOptions {
  /** A LibTorch folder that must be used; default: the environment variable LIBTORCH. */
  dir?: string | undefined
  /** The cache folder; default: DECLIP_CACHE, else `declip` in the system's cache folder. */
  cache?: string | undefined
  /** Path of the addon: a folder `libtorch` beside it is used, as packaged applications need. */
  addon?: string | undefined
  /** The folder that platform packages are looked for from; default: this package's. @internal */
  root?: string | undefined
}

/** Options of {@link resolveLibtorch}. */
export interface ResolveOptions extends FindOptions, CallOptions {
  /** Downloads LibTorch into the cache if it is nowhere else. Default false. */
  download?: boolean | undefined
  /** Where to download from, in order; default: the official archive, then the PyTorch wheel. @internal */
  sources?: readonly LibtorchSource[] | undefined
}

/** What was tried, one line each. */
type Attempts = string[]

/**
 * Finds LibTorch on this disk and, if asked, downloads it into the cache.
 *
 * @throws DeclipError ERR_DECLIP_LIBTORCH with every place that was tried; ERR_DECLIP_ABORTED
 *
 * @example
 * ```ts
 * const { dir } = await resolveLibtorch({ download: true })
 * ```
 */
export async function resolveLibtorch(options: ResolveOptions = {}): Promise<Libtorch> {
  const attempts: Attempts = []
  const found = look(options, attempts)
  if (found) return found
  if (!options.download) throw notFound(attempts)
  const target = cachedLibtorch(options.cache)
  const dir = await withLock(`${target}.lock`, options.signal, async () => {
    // Another process may have filled the cache while this one waited.
    if (!existsSync(target)) await fill(target, options, attempts)
    return target
  })
  return { dir, origin: 'download' }
}

/**
 * Finds LibTorch on this disk, or returns null. @throws DeclipError ERR_DECLIP_LIBTORCH when a
 * folder was named that is none. @internal
 */
export function findLibtorch(options: FindOptions = {}): Libtorch | null {
  return look(options, [])
}

/** DECLIP_CACHE, else the folder that the system keeps for caches. @internal */
export function cacheFolder(): string {
  const env = process.env
  if (env['DECLIP_CACHE']) return resolve(env['DECLIP_CACHE'])
  if (process.platform === 'darwin') return join(homedir(), 'Library/Caches/declip')
  if (process.platform === 'win32') {
    return join(env['LOCALAPPDATA'] ?? join(homedir(), 'AppData/Local'), 'declip/cache')
  }
  return join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'declip')
}

/**
 * The libraries to load before the addon, in order, by absolute path. Those of NVIDIA are found by
 * LibTorch's own: beside them in an archive, in the folder `nvidia` beside `torch` where wheels were
 * installed. @internal
 */
export function libraries({ dir }: Libtorch): string[] {
  const names = ['c10', 'torch_cpu', ...(isCudaLibtorch(dir) ? ['c10_cuda', 'torch_cuda'] : [])]
  return names.map(name => nativePath(join(dir, 'lib', libraryName(name))))
}

/** Whether a LibTorch folder holds a CUDA build. @internal */
export function isCudaLibtorch(dir: string): boolean {
  return existsSync(join(dir, 'lib', libraryName('torch_cuda')))
}

function libraryName(name: string): string {
  if (process.platform === 'win32') return `${name}.dll`
  return `lib${name}${process.platform === 'darwin' ? '.dylib' : '.so'}`
}

function look({ dir, cache, addon, root }: FindOptions, attempts: Attempts): Libtorch | null {
  const named = dir ?? process.env['LIBTORCH']
  if (named) {
    const problem = problemOf(named)
    if (!problem) return { dir: resolve(named), origin: 'explicit' }
    throw notFound([`${dir === undefined ? 'LIBTORCH' : 'the folder given'}: ${problem}`])
  }
  attempts.push('LIBTORCH: not set')
  if (addon) {
    const beside = join(dirname(addon), 'libtorch')
    const problem = problemOf(beside)
    // By its real path: a link's libraries would look for NVIDIA's beside the link.
    if (!problem) return { dir: realpathSync(beside), origin: 'beside the addon' }
    attempts.push(problem)
  }
  const packed = libtorchPackage(LIBTORCH_VERSION, root)
  const misfit = packed ? problemOf(packed.dir) : `${libtorchPackageName()}: is not installed`
  if (packed && !misfit) return { dir: packed.dir, origin: 'platform package' }
  if (misfit) attempts.push(misfit)
  const cached = cachedLibtorch(cache)
  const problem = problemOf(cached)
  if (!problem) return { dir: cached, origin: 'cache' }
  attempts.push(problem)
  return null
}

/** Why a folder is no LibTorch that fits, or null. */
function problemOf(dir: string): string | null {
  if (!existsSync(dir)) return `${dir}: no such folder`
  const library = join('lib', libraryName('torch_cpu'))
  if (!existsSync(join(dir, library))) return `${dir}: has no ${library}`
  const version = versionOf(dir)
  const wanted = isCudaLibtorch(dir) ? CUDA_LIBTORCH_VERSION : LIBTORCH_VERSION
  const release = wanted.split('.').slice(0, 2).join('.')
  if (version === null || version.startsWith(`${release}.`)) return null
  return `${dir}: is LibTorch ${version}, ${release} is needed`
}

/** The version in LibTorch's own header; null where only the libraries were kept. */
function versionOf(dir: string): string | null {
  try {
    const header = readFileSync(join(dir, 'include/torch/headeronly/version.h'), 'utf8')
    const part = (name: string) =>
      new RegExp(`define TORCH_VERSION_${name} (\\d+)`).exec(header)?.[1]
    return `${part('MAJOR')}.${part('MINOR')}.${part('PATCH')}`
  } catch {
    return null
  }
}

function cachedLibtorch(cache = cacheFolder()): string {
  return join(cache, `libtorch-${LIBTORCH_VERSION}-cpu-${process.platform}-${process.arch}`)
}

/** Fills `target` from the first source that works: into a folder beside it, renamed when whole. */
async function fill(target: string, options: ResolveOptions, attempts: Attempts): Promise<void> {
  const { signal, onProgress } = options
  const sources = options.sources ?? officialSources(LIBTORCH_VERSION)
  if (sources.length === 0)
    attempts.push(`no download is known for ${process.platform}-${process.arch}`)
  const staging = `${target}.part`
  for (const source of sources) {
    try {
      await rm(staging, { recursive: true, force: true })
      await fetchSource(source, staging, { cache: dirname(target), signal, onProgress })
      const problem = problemOf(staging)
      if (problem) throw new Error(problem)
      await rename(staging, target)
      return
    } catch (error) {
      if (signal?.aborted) throw aborted(signal)
      attempts.push(`${source.name}: ${(error as Error).message}`)
    } finally {
      await rm(staging, { recursive: true, force: true })
    }
  }
  throw notFound(attempts)
}

function notFound(attempts: Attempts): DeclipError {
  const tried = attempts.map(line => `\n  - ${line}`).join('')
  return new DeclipError(
    'ERR_DECLIP_LIBTORCH',
    `LibTorch ${LIBTORCH_VERSION} was not found. Tried:${tried}\nRun \`npx declip setup\` to download it, or unpack LibTorch ${LIBTORCH_VERSION} and set LIBTORCH to the folder that holds its lib/.`,
  )
}

/** Runs `work` while no other process does; the lock file names its holder. */
async function withLock<T>(
  path: string,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  await mkdir(dirname(path), { recursive: true })
  for (;;) {
    if (signal?.aborted) throw aborted(signal)
    try {
      const lock = await open(path, 'wx')
      await lock.writeFile(`${process.pid} ${hostname()}`)
      await lock.close()
      break
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') {
        throw new DeclipError(
          'ERR_DECLIP_IO',
          `The cache cannot be written: ${(error as Error).message}. Set DECLIP_CACHE to a folder that can.`,
          { cause: error },
        )
      }
      if (await isAbandoned(path)) await rm(path, { force: true })
      else await setTimeout(200)
    }
  }
  try {
    return await work()
  } finally {
    await rm(path, { force: true })
  }
}

/** True if the process that holds a lock is gone; on another machine, if it has held it for an hour. */
async function isAbandoned(path: string): Promise<boolean> {
  const text = await readFile(path, 'utf8').catch(() => '')
  const age = await stat(path).then(
    ({ mtimeMs }) => Date.now() - mtimeMs,
    () => 0,
  )
  const [pid, host] = text.split(' ')
  // Created but not yet written, or left so by a crash.
  if (!pid || !host) return age > 10_000
  if (host !== hostname()) return age > 3_600_000
  try {
    process.kill(Number(pid), 0)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}
