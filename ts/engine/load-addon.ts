import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { join, resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { nativePath } from '../base/native-path.js'
import { packagePath } from '../base/package-files.js'
import { megabytes } from '../base/units.js'
import { DeclipError, invalid } from '../errors.js'
import type { NativeAddon } from './addon-types.js'
import { findLibtorch, LIBTORCH_VERSION, libraries } from './libtorch.js'
import { knownWheel } from './libtorch-sources.js'
import { addonPackage, addonPackageName, libtorchPackageName } from './platform-packages.js'
import { applySettings } from './settings.js'

let addon: NativeAddon | undefined
let preloading: Promise<void> | undefined

/**
 * The native part, loaded at the first call. A local build is preferred to the platform package's;
 * DECLIP_ADDON names a file to use instead, as packaged applications and sanitizer builds need.
 *
 * @throws DeclipError ERR_DECLIP_ADDON_NOT_FOUND with everything that was tried,
 * ERR_DECLIP_LIBTORCH when only LibTorch is missing
 * @internal
 */
export function loadAddon(): NativeAddon {
  if (!addon) {
    addon = load(addonPath())
    applySettings(addon)
  }
  return addon
}

/** The native part if it is loaded already. @internal */
export function loadedAddon(): NativeAddon | undefined {
  return addon
}

/**
 * As {@link loadAddon}, but LibTorch's libraries (a third of a second) are loaded by another thread,
 * so that the event loop goes on.
 *
 * @throws DeclipError as {@link loadAddon}
 * @internal
 */
export async function prepareAddon(): Promise<NativeAddon> {
  if (!addon) {
    preloading ??= preloadElsewhere()
    try {
      await preloading
      return loadAddon()
    } finally {
      // Without LibTorch, there may be one at the next call.
      preloading = undefined
    }
  }
  return loadAddon()
}

/** Name of the addon's file, in a build and in a platform package alike. */
const ADDON = 'declip-native.node'

/** The addon's file. @internal */
export function addonPath(root: string = packagePath()): string {
  const named = process.env['DECLIP_ADDON']
  if (named) {
    if (existsSync(named)) return nativePath(resolve(named))
    throw notFound([`DECLIP_ADDON: no such file ${named}`])
  }
  const tried: string[] = []
  const isThere = (file: string) => {
    if (existsSync(file)) return true
    tried.push(`${file}: no such file`)
    return false
  }
  for (const folder of ['build/Release', 'build/Debug']) {
    const file = join(root, folder, ADDON)
    if (isThere(file)) return nativePath(file)
  }
  const packed = addonPackage(root)
  if (!packed) throw notFound([...tried, `${addonPackageName()}: is not installed`])
  const file = join(packed.dir, ADDON)
  if (isThere(file)) return nativePath(file)
  throw notFound(tried)
}

/** As {@link addonPath}; undefined where there is none. @internal */
export function existingAddon(): string | undefined {
  try {
    return addonPath()
  } catch {
    return undefined
  }
}

function load(path: string): NativeAddon {
  const libtorch = findLibtorch({ addon: path })
  const reset = waitBriefly()
  try {
    if (libtorch) preload(libraries(libtorch), DLOPEN_FLAGS)
    return createRequire(path)(path) as NativeAddon
  } catch (error) {
    const message = (error as Error).message
    if (!libtorch && /torch|c10/.test(message)) throw libtorchMissing()
    const tried = [`${path}: ${message}`]
    if (libtorch) tried.push(`with LibTorch in ${libtorch.dir}`)
    throw notFound(tried, error)
  } finally {
    reset()
  }
}

/** Without the loader's own error as cause: that would print below it, and says no more. */
function libtorchMissing(): DeclipError {
  const { bytes } = knownWheel() ?? {}
  const size = bytes ? ` (${megabytes(bytes)} to download)` : ''
  return new DeclipError(
    'ERR_DECLIP_LIBTORCH',
    `LibTorch ${LIBTORCH_VERSION}, which computes, is not on this machine${size}. Get it once: \`npx declip setup\`, or \`await setup()\` in a program, or \`npm install ${libtorchPackageName()}@${LIBTORCH_VERSION}\`. LIBTORCH names a folder that holds its lib/.`,
  )
}

/** RTLD_NODELETE is not among Node's constants. */
const DLOPEN_FLAGS =
  (constants.dlopen.RTLD_NOW ?? 0) | (process.platform === 'darwin' ? 0x80 : 0x1000)

/**
 * Loads LibTorch's libraries by absolute path, so that the addon, which asks for them by name, finds
 * them in the process wherever they lie. They are no addons: Node loads each, says so in an error,
 * and would unload it but for RTLD_NODELETE. What really went wrong shows when the addon is loaded.
 * Self-contained: its text also runs in a worker.
 */
function preload(files: readonly string[], flags: number): void {
  for (const file of files) {
    try {
      process.dlopen({ exports: {} }, file, flags)
    } catch {}
  }
}

/** Whether LibTorch is loaded by the calling thread or a Worker: DECLIP_PRELOAD, else see below. */
function preloadsHere(): boolean {
  const where = process.env['DECLIP_PRELOAD'] || undefined
  if (where !== undefined && where !== 'here' && where !== 'worker') {
    throw invalid('DECLIP_PRELOAD', "'here' or 'worker'", where)
  }
  // Electron does not promise that native libraries may be loaded in its workers.
  return where === undefined ? 'electron' in process.versions : where === 'here'
}

async function preloadElsewhere(): Promise<void> {
  if (preloadsHere()) return
  const libtorch = findLibtorch({ addon: addonPath() })
  if (!libtorch) return
  const code = `const { files, flags } = require('node:worker_threads').workerData
;(${preload})(files, flags)`
  const reset = waitBriefly()
  const workerData = { files: libraries(libtorch), flags: DLOPEN_FLAGS }
  // Whatever fails there, threads that are forbidden included (node --permission), shows again, with
  // its reason, when the addon is loaded here.
  try {
    const worker = new Worker(code, { eval: true, workerData })
    await new Promise<void>(done => worker.once('exit', () => done()).once('error', () => done()))
  } catch {
  } finally {
    reset()
  }
}

/** How OpenMP's threads wait for work, see below; as environment variables. @internal */
export const OPENMP_WAIT = { OMP_WAIT_POLICY: 'passive', GOMP_SPINCOUNT: '1000' }

/**
 * Until the returned function is called, OpenMP is told how to wait: threads that spin for long make
 * the engine several times slower as soon as another program wants a core, and threads that sleep at
 * once are woken a hundred times per picture, up to a fifth of a small model's time on a virtual
 * machine. So they sleep, and libgomp's spin a moment first (some 20 microseconds). It is read once,
 * when the runtime is loaded; what the user set stands, and child processes do not inherit ours.
 */
function waitBriefly(): () => void {
  const names = Object.keys(OPENMP_WAIT)
  if (names.some(name => process.env[name] !== undefined)) return () => {}
  Object.assign(process.env, OPENMP_WAIT)
  return () => {
    for (const name of names) delete process.env[name]
  }
}

function notFound(tried: readonly string[], cause?: unknown): DeclipError {
  const lines = tried.map(line => `\n  - ${line}`).join('')
  const { platform, arch, version } = process
  return new DeclipError(
    'ERR_DECLIP_ADDON_NOT_FOUND',
    `The native part of declip-native could not be loaded on ${platform}-${arch}, Node ${version}. Tried:${lines}\nInstall declip-native without --omit=optional, so that ${addonPackageName()} comes with it; where there is none for this platform, clone the repository and run \`npm run build\`; \`npx declip doctor\` checks what is missing.`,
    cause === undefined ? undefined : { cause },
  )
}
