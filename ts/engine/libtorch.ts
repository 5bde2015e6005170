/**
 * Finds LibTorch, the native library of PyTorch that the addon runs on. It is too large for the npm
 * package, so it comes by a platform package or lies in a cache that `setup()` fills once.
 */
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { nativePath } from '../base/native-path.js'
import { packageRoot } from '../base/package-files.js'
import { DeclipError } from '../errors.js'
import { libtorchPackage, libtorchPackageName, platformName } from './platform-packages.js'

/** The release the addon is built against. */
export const LIBTORCH_VERSION = '2.13.0'
/** The release that a CUDA build of the addon is built against. @internal */
export const CUDA_LIBTORCH_VERSION = '2.14.1'

/** A usable LibTorch. */
export interface Libtorch {
  /** The folder that holds lib/. */
  readonly dir: string
  /** Where it was found; 'explicit' where LIBTORCH names it. */
  readonly origin: 'explicit' | 'beside the addon' | 'platform package' | 'cache'
}

/** Where to look. */
export interface FindOptions {
  /** A LibTorch folder that must be used; default: the environment variable LIBTORCH. */
  dir?: string | undefined
  /** The cache folder; default: the one of an earlier `setup()`, then `cacheFolder()`. */
  cache?: string | undefined
  /** Path of the addon: a folder `libtorch` beside it is used, as packaged applications need. */
  addon?: string | undefined
  /** The folder that platform packages are looked for from; default: this package's. */
  root?: string | undefined
  /** Only one with headers, as a build from source needs. Default false. */
  headers?: boolean | undefined
}

/**
 * Finds LibTorch on this disk, or returns null. `tried` receives a line for each place without it.
 *
 * @throws DeclipError ERR_DECLIP_LIBTORCH when a folder was named that is none, or a platform package
 * does not fit
 * @internal
 */
export function findLibtorch(options: FindOptions = {}, tried: string[] = []): Libtorch | null {
  const { addon, root = packageRoot, headers = false } = options
  const named = options.dir ?? process.env['LIBTORCH']
  if (named) {
    const problem = problemOf(named, headers)
    if (!problem) return { dir: resolve(named), origin: 'explicit' }
    const which = options.dir === undefined ? 'LIBTORCH' : 'the folder given'
    throw new DeclipError(
      'ERR_DECLIP_LIBTORCH',
      `${which} names no LibTorch that can be used: ${problem}. Name the folder that holds its lib/${headers ? ' and include/' : ''}, or unset it.`,
    )
  }
  tried.push('LIBTORCH: not set')
  const packed = libtorchPackage(LIBTORCH_VERSION, root)
  if (!packed) tried.push(`${libtorchPackageName()}: is not installed`)
  for (const [origin, dir] of places(addon, packed?.dir, options.cache)) {
    const problem = problemOf(dir, headers)
    // By its real path: a link's libraries would look for NVIDIA's beside the link.
    if (!problem) return { dir: realpathSync(dir), origin }
    tried.push(problem)
  }
  return null
}

/** One by one: where a runtime forbids to ask for the user's home, the first ones do without. */
function* places(
  addon: string | undefined,
  packed: string | undefined,
  cache: string | undefined,
): Generator<[Libtorch['origin'], string]> {
  if (addon) yield ['beside the addon', join(dirname(addon), 'libtorch')]
  if (packed) yield ['platform package', packed]
  for (const folder of cachesToLookIn(cache)) {
    for (const headers of [false, true]) yield ['cache', cachedLibtorch(folder, headers)]
  }
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

/** The folder of a cache that LibTorch is kept in; one with headers has another. @internal */
export function cachedLibtorch(cache: string, headers: boolean): string {
  return join(cache, `libtorch-${LIBTORCH_VERSION}-cpu-${platformName()}${headers ? '-dev' : ''}`)
}

let chosenCache: string | undefined

/** Makes this process look into a cache before the usual one. @internal */
export function lookAlsoIn(cache: string): void {
  chosenCache = cache
}

function cachesToLookIn(cache: string | undefined): string[] {
  if (cache !== undefined) return [cache]
  return chosenCache === undefined ? [cacheFolder()] : [chosenCache, cacheFolder()]
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

/** Why a folder is no LibTorch that fits, or null. @internal */
export function problemOf(dir: string, headers = false): string | null {
  if (!existsSync(dir)) return `${dir}: no such folder`
  const library = join('lib', libraryName('torch_cpu'))
  if (!existsSync(join(dir, library))) return `${dir}: has no ${library}`
  if (headers && !existsSync(join(dir, 'include/ATen/ATen.h'))) {
    return `${dir}: has no headers (include/ATen), which a build needs`
  }
  const misfit = otherRelease(versionOf(dir), isCudaLibtorch(dir))
  return misfit && `${dir}: ${misfit}`
}

/** Why a release is not the one that is needed, or null; one that is not known passes. @internal */
export function otherRelease(version: string | null, cuda = false): string | null {
  const release = (cuda ? CUDA_LIBTORCH_VERSION : LIBTORCH_VERSION).split('.').slice(0, 2).join('.')
  if (version === null || version.startsWith(`${release}.`)) return null
  return `is LibTorch ${version}, ${release} is needed`
}

/** The header that says which release it is. @internal */
export const VERSION_HEADER = 'include/torch/headeronly/version.h'

/** The version in LibTorch's own header; null where only the libraries were kept. */
function versionOf(dir: string): string | null {
  try {
    const header = readFileSync(join(dir, VERSION_HEADER), 'utf8')
    const part = (name: string) =>
      new RegExp(`define TORCH_VERSION_${name} (\\d+)`).exec(header)?.[1]
    return `${part('MAJOR')}.${part('MINOR')}.${part('PATCH')}`
  } catch {
    return null
  }
}
