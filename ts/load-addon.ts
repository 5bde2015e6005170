import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { join, resolve } from 'node:path'
import { DeclipError } from './errors.js'
import { findLibtorch, LIBTORCH_VERSION, type Libtorch, libraries } from './libtorch.js'
import type { NativeAddon } from './native.js'
import { packageRoot } from './package-root.js'

/** Ships no types. */
const nodeGypBuild = createRequire(import.meta.url)('node-gyp-build') as {
  path(root: string): string
}

let addon: NativeAddon | undefined

/**
 * The native part, loaded at the first call. A local build is preferred to the prebuilt one;
 * DECLIP_ADDON names a file to use instead, as packaged applications and sanitizer builds need.
 *
 * @throws DeclipError ERR_DECLIP_ADDON_NOT_FOUND with everything that was tried,
 * ERR_DECLIP_LIBTORCH when only LibTorch is missing
 * @internal
 */
export function loadAddon(): NativeAddon {
  addon ??= load(addonPath())
  return addon
}

/** The addon's file. @internal */
export function addonPath(root: string = packageRoot): string {
  const named = process.env['DECLIP_ADDON']
  if (named) {
    if (existsSync(named)) return resolve(named)
    throw notFound([`DECLIP_ADDON: no such file ${named}`])
  }
  try {
    return nodeGypBuild.path(root)
  } catch (error) {
    const { platform, arch } = process
    const folders = ['build/Release', 'build/Debug', `prebuilds/${platform}-${arch}`]
    throw notFound(
      folders.map(folder => `${join(root, folder)}: no .node file that fits`),
      error,
    )
  }
}

function load(path: string): NativeAddon {
  const libtorch = findLibtorch({ addon: path })
  if (libtorch) preload(libtorch)
  try {
    return createRequire(path)(path) as NativeAddon
  } catch (error) {
    const message = (error as Error).message
    if (!libtorch && /torch|c10/.test(message)) {
      throw new DeclipError(
        'ERR_DECLIP_LIBTORCH',
        `LibTorch ${LIBTORCH_VERSION} is not on this machine. Run \`npx declip setup\` once to download it, or set LIBTORCH to the folder that holds its lib/.`,
        { cause: error },
      )
    }
    const tried = [`${path}: ${message}`]
    if (libtorch) tried.push(`with LibTorch in ${libtorch.dir}`)
    throw notFound(tried, error)
  }
}

/**
 * Loads LibTorch's libraries by absolute path, so that the addon, which asks for them by name, finds
 * them in the process wherever they lie. They are no addons: Node loads each, says so in an error,
 * and would unload it but for RTLD_NODELETE. What really went wrong shows when the addon is loaded.
 */
function preload(libtorch: Libtorch): void {
  const { RTLD_NOW } = constants.dlopen
  const RTLD_NODELETE = process.platform === 'darwin' ? 0x80 : 0x1000
  for (const library of libraries(libtorch)) {
    try {
      process.dlopen({ exports: {} }, library, (RTLD_NOW ?? 0) | RTLD_NODELETE)
    } catch {}
  }
}

function notFound(tried: readonly string[], cause?: unknown): DeclipError {
  const lines = tried.map(line => `\n  - ${line}`).join('')
  const { platform, arch, version } = process
  return new DeclipError(
    'ERR_DECLIP_ADDON_NOT_FOUND',
    `The native part of declip-native could not be loaded on ${platform}-${arch}, Node ${version}. Tried:${lines}\nInstall a release that has a prebuild for this platform, or clone the repository and run \`npm run build\`; \`npx declip doctor\` checks what is missing.`,
    cause === undefined ? undefined : { cause },
  )
}
