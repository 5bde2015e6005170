import { DeclipError } from '../errors.js'
import { stem } from './format.js'

/**
 * What pictures are called in a data set: their names, but where several differ in their endings alone and every
 * one is to have a file of its name without ending, the ending becomes part of it ('a.jpg' and 'a.png' are
 * 'a_jpg.jpg' and 'a_png.png').
 *
 * @param names - paths with slashes, no two the same
 */
export function fileNames(names: readonly string[], usesStems: boolean): Map<string, string> {
  if (!usesStems) return new Map(names.map(name => [name, name]))
  const sharing = new Map<string, number>()
  for (const name of names) sharing.set(key(name), (sharing.get(key(name)) ?? 0) + 1)
  const taken = new Set(sharing.keys())
  const files = new Map<string, string>()
  for (const name of [...names].sort()) {
    const ending = name.slice(stem(name).length)
    let file = name
    if ((sharing.get(key(name)) ?? 0) > 1) {
      file = `${stem(name)}_${ending.slice(1)}${ending}`
      while (taken.has(key(file))) file = `${stem(file)}_${ending}`
      taken.add(key(file))
    }
    files.set(name, file)
  }
  return files
}

/** Equal for names that some file systems take for the same. */
function key(name: string): string {
  return stem(name).toLowerCase()
}

/**
 * A name as a path below a folder.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG for what would lead elsewhere
 */
export function checkName(name: unknown): string {
  const fits =
    typeof name === 'string' &&
    name !== '' &&
    !name.includes('\0') &&
    !/^([a-z]:)?[/\\]/i.test(name) &&
    name.split(/[/\\]/).every(part => part !== '' && part !== '.' && part !== '..')
  if (fits) return name
  throw new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `A picture's name must be a path below the data set's folder, received ${JSON.stringify(name)}.`,
  )
}
