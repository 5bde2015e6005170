/** The packages beside this one that hold what depends on the platform: the addon, and LibTorch. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { packageRoot } from '../base/package-files.js'
import { DeclipError, type ErrorCode } from '../errors.js'

/** A platform package that is installed. @internal */
export interface PlatformPackage {
  name: string
  dir: string
  version: string
}

/** `linux-x64`, `linux-x64-musl`, `darwin-arm64`, `win32-x64`, ... @internal */
export function platformName(): string {
  const { platform, arch } = process
  return `${platform}-${arch}${isMusl() ? '-musl' : ''}`
}

/** Name of the package that holds this platform's addon. @internal */
export function addonPackageName(): string {
  return `@declip-native/${platformName()}`
}

/** Name of the package that holds this platform's LibTorch. @internal */
export function libtorchPackageName(): string {
  return `@declip-native/libtorch-${platformName()}`
}

/**
 * The package of this platform's addon, which has the version of this one; null where it is not
 * installed. @throws DeclipError ERR_DECLIP_ADDON_NOT_FOUND where it is another's @internal
 */
export function addonPackage(root: string = packageRoot): PlatformPackage | null {
  const found = findPackage(addonPackageName(), root)
  const own = found && versionIn(join(root, 'package.json'))
  if (found && own && found.version !== own) throw misfit(found, own, 'ERR_DECLIP_ADDON_NOT_FOUND')
  return found
}

/**
 * The package of this platform's LibTorch, of version `release` (or `release-1`, where it was packed
 * anew); null where it is not installed. @throws DeclipError ERR_DECLIP_LIBTORCH where it is another
 * @internal
 */
export function libtorchPackage(
  release: string,
  root: string = packageRoot,
): PlatformPackage | null {
  const found = findPackage(libtorchPackageName(), root)
  if (found && found.version.replace(/-.*/, '') !== release) {
    throw misfit(found, release, 'ERR_DECLIP_LIBTORCH')
  }
  return found
}

/** A package as Node finds it from this one's folder, wherever npm, pnpm or yarn put it. */
function findPackage(name: string, root: string): PlatformPackage | null {
  if (root === '') return null
  let file: string
  try {
    file = createRequire(join(root, 'package.json')).resolve(`${name}/package.json`)
  } catch {
    return null
  }
  return { name, dir: dirname(file), version: versionIn(file) }
}

function versionIn(file: string): string {
  return String(JSON.parse(readFileSync(file, 'utf8')).version)
}

function misfit(found: PlatformPackage, wanted: string, code: ErrorCode): DeclipError {
  const { name, version, dir } = found
  return new DeclipError(
    code,
    `${name} ${version} in ${dir} does not fit this declip-native, which needs ${wanted}. Run \`npm install ${name}@${wanted}\`.`,
  )
}

let musl: boolean | undefined

/** Whether this Linux program runs on musl, as Alpine's do, and not on glibc. */
function isMusl(): boolean {
  if (process.platform !== 'linux') return false
  musl ??= isMuslProgram(process.execPath) ?? hasNoGlibc()
  return musl
}

/** Longest part of a program that is read to find its loader's name, in bytes. */
const HEAD = 2048

/**
 * Whether a program is loaded by musl's loader, which its first bytes name (ELF's PT_INTERP); null
 * where they name none or cannot be read. @internal
 */
export function isMuslProgram(path: string): boolean | null {
  const head = Buffer.alloc(HEAD)
  try {
    const file = openSync(path, 'r')
    try {
      readSync(file, head, 0, HEAD, 0)
    } finally {
      closeSync(file)
    }
  } catch {
    return null // Node's permission model
  }
  const loader = /\/ld-(musl|linux)[\w.-]*\.so\.\d/.exec(head.toString('latin1'))
  return loader && loader[1] === 'musl'
}

/** Node's own word; programs of other runtimes without such a report count as glibc's. */
function hasNoGlibc(): boolean {
  const report = process.report as (NodeJS.ProcessReport & { excludeNetwork?: boolean }) | undefined
  if (!report) return false
  const { excludeNetwork = false } = report
  report.excludeNetwork = true // or it asks for the names of all connected hosts
  try {
    const { header } = report.getReport() as { header?: { glibcVersionRuntime?: string } }
    return header !== undefined && header.glibcVersionRuntime === undefined
  } finally {
    report.excludeNetwork = excludeNetwork
  }
}
