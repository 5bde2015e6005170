import { join } from 'node:path'
import { packageRoot } from './package-root.js'

/**
 * Path of a file that is shipped with the package.
 *
 * @param name - file name inside `assets/`
 * @internal
 */
export function assetPath(name: string): string {
  return join(packageRoot, 'assets', name)
}
