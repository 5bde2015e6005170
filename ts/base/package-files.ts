import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of this package's package.json, seen from ts/, dist/esm/ and dist/cjs/ alike. @internal */
export const packageRoot: string = findRoot(dirname(fileURLToPath(import.meta.url)))

function findRoot(folder: string): string {
  const parent = dirname(folder)
  return isRoot(folder) || parent === folder ? folder : findRoot(parent)
}

/** dist/cjs holds a package.json too, which has no name. */
function isRoot(folder: string): boolean {
  try {
    return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).name === 'declip-native'
  } catch {
    return false
  }
}

/**
 * Path of a file that is shipped with the package.
 *
 * @param name - file name inside `assets/`
 * @internal
 */
export function assetPath(name: string): string {
  return join(packageRoot, 'assets', name)
}
