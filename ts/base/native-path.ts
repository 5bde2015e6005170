import { existsSync } from 'node:fs'
import { DeclipError } from '../errors.js'

/**
 * A path as code that is not JavaScript can open it. In Electron the application's files lie in an archive,
 * `app.asar`, that only JavaScript sees as a folder; those that were left out of it, and that alone can be
 * opened natively, lie in the folder `app.asar.unpacked` beside it and are seen under both paths.
 *
 * @throws DeclipError ERR_DECLIP_IO for a file that is inside the archive
 * @internal
 */
export function nativePath(path: string): string {
  for (const { index } of path.matchAll(/\.asar(?=[\\/])/g)) {
    const end = index + '.asar'.length
    const unpacked = `${path.slice(0, end)}.unpacked${path.slice(end)}`
    if (existsSync(unpacked)) return unpacked
    if (existsSync(path) && !isThereWithoutArchives(path)) {
      throw new DeclipError(
        'ERR_DECLIP_IO',
        `${path} lies inside the archive ${path.slice(0, end)}, where only JavaScript can read it. Have it unpacked when the application is packaged (asarUnpack; docs/guides/electron.md).`,
      )
    }
  }
  return path
}

/** A folder can be called `x.asar` too; Electron has a switch that makes it see what the system sees. */
function isThereWithoutArchives(path: string): boolean {
  const electron = process as NodeJS.Process & { noAsar?: boolean | undefined }
  const before = electron.noAsar
  electron.noAsar = true
  try {
    return existsSync(path)
  } finally {
    if (before === undefined) delete electron.noAsar
    else electron.noAsar = before
  }
}
