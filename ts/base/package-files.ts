/** Where the files lie that are shipped with the package: the native part, models, tables. */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DeclipError } from '../errors.js'

/**
 * The folder of this package's package.json, seen from ts/ and dist/ alike; '' where the code was
 * bundled into another place. DECLIP_ROOT names it for those who must bundle. @internal
 */
export const packageRoot: string = process.env['DECLIP_ROOT'] || findRoot(ownFolder())

/**
 * Path of a file that is shipped with the package.
 *
 * @param parts - below the package's folder
 * @throws DeclipError ERR_DECLIP_ADDON_NOT_FOUND where the code was bundled, which moved it away
 * @internal
 */
export function packagePath(...parts: string[]): string {
  if (packageRoot !== '' && isRoot(packageRoot)) return join(packageRoot, ...parts)
  const what = packageRoot
    ? `DECLIP_ROOT is '${packageRoot}', which is not the folder of an installed declip-native`
    : 'declip-native was bundled, and its other files (native part, models, tables) were not'
  throw new DeclipError(
    'ERR_DECLIP_ADDON_NOT_FOUND',
    `${what}. Keep the package out of the bundle, as with esbuild's --external:declip-native (docs/guides/bundlers.md says how with others), or set DECLIP_ROOT to the folder of the installed package.`,
  )
}

/** Bundlers that write CommonJS leave `import.meta` empty, those that write modules know no `__filename`. */
function ownFolder(): string {
  try {
    return dirname(fileURLToPath(import.meta.url))
  } catch {
    return ''
  }
}

function findRoot(folder: string): string {
  if (folder === '' || isRoot(folder)) return folder
  const parent = dirname(folder)
  return parent === folder ? '' : findRoot(parent)
}

/** dist/ holds a package.json too, which has no name. */
function isRoot(folder: string): boolean {
  try {
    return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).name === 'declip-native'
  } catch {
    return false
  }
}
