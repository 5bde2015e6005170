/** Folders and lists of a data set. */
import type { Dirent } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ioError } from '../../base/files.js'
import { aborted, DeclipError } from '../../errors.js'

/** Deeper folders are not looked into: a link may lead back. */
const DEEPEST = 16

/**
 * Files below a folder, as paths with slashes in the order of their code units: the same on every machine. Links are
 * followed. What is hidden, such as the `._a.png` that macOS puts beside `a.png`, is left out.
 *
 * @returns undefined where there is no such folder
 * @throws DeclipError ERR_DECLIP_IO for a folder that cannot be read
 */
export async function filesBelow(
  folder: string,
  signal?: AbortSignal,
): Promise<string[] | undefined> {
  if (!(await isFolder(folder))) return undefined
  const names: string[] = []
  const visit = async (below: string, depth: number): Promise<void> => {
    if (signal?.aborted) throw aborted(signal)
    const path = join(folder, below)
    const entries = await readdir(path, { withFileTypes: true }).catch(error => {
      throw ioError('read', path, error)
    })
    for (const entry of entries) {
      if (entry.name.startsWith('.') || entry.name === '__MACOSX') continue
      const name = below === '' ? entry.name : `${below}/${entry.name}`
      if (!(await leadsToFolder(path, entry))) names.push(name)
      else if (depth < DEEPEST) await visit(name, depth + 1)
    }
  }
  await visit('', 0)
  return names.sort(byCodeUnits)
}

export const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

async function leadsToFolder(folder: string, entry: Dirent): Promise<boolean> {
  return entry.isSymbolicLink() ? isFolder(join(folder, entry.name)) : entry.isDirectory()
}

export function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    found => found.isDirectory(),
    () => false,
  )
}

export function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    found => found.isFile(),
    () => false,
  )
}

/**
 * The stems in a list file, one on a line; blank lines are passed over.
 *
 * @throws DeclipError ERR_DECLIP_IO, or ERR_DECLIP_INVALID_ARG naming the line of what is no stem or stands twice
 */
export async function readStems(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch(error => {
    throw ioError('read', path, error)
  })
  const stems = new Map<string, number>()
  for (const [i, line] of text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .entries()) {
    const stem = line.trim()
    if (stem === '') continue
    if (/[\s\0]/.test(stem) || stem.startsWith('/') || stem.split('/').includes('..')) {
      throw listProblem(
        path,
        i,
        `'${stem.slice(0, 60)}' is no stem; expected the name of one picture without folder and ending`,
      )
    }
    const first = stems.get(stem)
    if (first !== undefined) {
      throw listProblem(
        path,
        i,
        `'${stem}' stands on line ${first + 1} too, and would count twice; remove one of them`,
      )
    }
    stems.set(stem, i)
  }
  if (stems.size === 0) {
    throw new DeclipError('ERR_DECLIP_INVALID_ARG', `${path} names no picture.`)
  }
  return [...stems.keys()]
}

function listProblem(path: string, line: number, problem: string): DeclipError {
  return new DeclipError('ERR_DECLIP_INVALID_ARG', `${path}, line ${line + 1}: ${problem}.`)
}

/** '1 picture', '2 pictures'. */
export function count(n: number, one: string, many = `${one}s`): string {
  return `${n} ${n === 1 ? one : many}`
}

/** 'a, b, c and 4 more'. */
export function some(names: readonly string[], most = 3): string {
  const more = names.length - most
  return more > 0 ? `${names.slice(0, most).join(', ')} and ${more} more` : names.join(', ')
}

/** '2 label files are missing: a.png, b.png.' */
export function missingNote(names: readonly string[], what: string): string {
  return `${count(names.length, what)} ${names.length === 1 ? 'is' : 'are'} missing: ${some(names)}.`
}

/**
 * The folder of a data set.
 *
 * @param roots - below the folder that was given, where the set may lie: '' for the folder itself
 * @param holds - whether the set lies there
 * @param wanted - what it is told by, for the message
 * @throws DeclipError ERR_DECLIP_IO naming what was looked for
 */
export async function findRoot<T>(
  data: string,
  roots: readonly string[],
  holds: (root: string) => Promise<T | undefined>,
  wanted: string,
): Promise<T> {
  if (!(await isFolder(data))) {
    throw new DeclipError(
      'ERR_DECLIP_IO',
      `data: there is no folder ${data}; give the data set's folder or the one that holds it.`,
    )
  }
  for (const root of roots) {
    const found = await holds(join(data, root))
    if (found !== undefined) return found
  }
  const places = roots.map(root => join(data, root))
  throw new DeclipError(
    'ERR_DECLIP_IO',
    `data: found no ${wanted}. Looked below ${places.join(', ')}. Give the data set's folder or the one that holds it; docs/guides/datasets.md has the folders of every set.`,
  )
}
