import { readdir, stat } from 'node:fs/promises'
import { extname, join, relative } from 'node:path'
import { ioError } from '../../../base/files.js'
import { PICTURE_ENDING } from '../../../image/format.js'
import { fileSource } from './files.js'
import { LeftOut } from './left-out.js'
import type { Source } from './source.js'

/**
 * The pictures of a folder and of the folders in it, ordered by their paths. Names that begin with a
 * dot, such as the `._a.jpg` that macOS puts beside `a.jpg`, are no pictures, nor is what is in
 * folders of such names or in `__MACOSX`.
 *
 * @throws DeclipError ERR_DECLIP_IO, ERR_DECLIP_INVALID_ARG if there is none
 */
export async function openFolder(path: string): Promise<Source> {
  const leftOut = new LeftOut()
  const pictures: string[] = []
  for (const name of await filesBelow(path, leftOut)) {
    if (/(^|\/)(\.|__MACOSX\/)/.test(name)) continue
    if (name.includes('\ufffd')) leftOut.add('names that are not UTF-8', join(path, name))
    else if (PICTURE_ENDING.test(name)) pictures.push(name)
    else leftOut.add(`files ${endingOf(name)}`, join(path, name))
  }
  // By code units: the same everywhere, whatever the language of the system.
  pictures.sort((a, b) => (a < b ? -1 : 1))
  const items = pictures.map(name => ({ name, picture: join(path, name), regions: [] }))
  return fileSource(items, { path, needs: { caption: false, boxes: 'none' }, leftOut })
}

function endingOf(name: string): string {
  const ending = extname(name)
  return ending === '' ? 'without an ending' : `that end in ${ending.toLowerCase()}`
}

/** Names below a folder with / between their parts; links to files are files. */
async function filesBelow(path: string, leftOut: LeftOut): Promise<string[]> {
  try {
    const entries = await readdir(path, { recursive: true, withFileTypes: true })
    const names: string[] = []
    for (const entry of entries) {
      const whole = join(entry.parentPath, entry.name)
      if (entry.isDirectory()) continue
      if (entry.isSymbolicLink() && (await isFolder(whole))) {
        leftOut.add('links to folders, which are not followed', whole)
        continue
      }
      names.push(relative(path, whole).replaceAll('\\', '/'))
    }
    return names
  } catch (error) {
    throw ioError('read', path, error)
  }
}

function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    found => found.isDirectory(),
    () => false,
  )
}
