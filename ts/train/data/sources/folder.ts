import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ioError } from '../../../base/files.js'
import { fileSource } from './files.js'
import type { Source } from './source.js'

const PICTURE = /\.(jpe?g|png|webp|avif|tiff?|gif)$/i

/**
 * The pictures of a folder and of the folders in it, ordered by their paths.
 *
 * @throws DeclipError ERR_DECLIP_IO, ERR_DECLIP_INVALID_ARG if there is none
 */
export async function openFolder(path: string): Promise<Source> {
  let names: string[]
  try {
    names = await readdir(path, { recursive: true })
  } catch (error) {
    throw ioError('read', path, error)
  }
  // By code units: the same everywhere, whatever the language of the system.
  const pictures = names
    .filter(name => PICTURE.test(name))
    .map(name => name.replaceAll('\\', '/'))
    .sort((a, b) => (a < b ? -1 : 1))
  const items = pictures.map(name => ({ name, picture: join(path, name), regions: [] }))
  return fileSource(items, `data.path: there is no picture in ${path}.`)
}
