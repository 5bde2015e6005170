/** Where the files of COCO-like sets lie. */
import { readdir } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { DeclipError } from '../../errors.js'
import type { CocoImage } from './coco-file.js'
import { count, findRoot, isFile, missingNote, some } from './files.js'

/** Where a COCO folder may be below the one that is given. */
export const COCO_ROOTS = ['', 'coco', 'coco2017'] as const

/**
 * The first annotation file that is there.
 *
 * @param names - paths below a root, the likeliest first
 * @throws DeclipError ERR_DECLIP_IO naming what was looked for
 */
export function findAnnotations(
  data: string,
  roots: readonly string[],
  names: readonly string[],
): Promise<{ root: string; path: string }> {
  const first = async (root: string) => {
    for (const name of names) {
      const path = join(root, name)
      if (await isFile(path)) return { root, path }
    }
    return undefined
  }
  return findRoot(data, roots, first, `annotation file (${names.join(' or ')})`)
}

/** Files that an annotation file names. */
export interface Located {
  /** Folder that the names begin in. */
  readonly folder: string
  /** Names without a file. */
  readonly missing: ReadonlySet<string>
}

/**
 * The first of some folders that has any of the files.
 *
 * @throws DeclipError ERR_DECLIP_IO where none has
 */
export async function locate(
  what: string,
  folders: readonly string[],
  names: readonly string[],
): Promise<Located> {
  const below = new Set(names.map(name => posix.dirname(name)))
  for (const folder of folders) {
    const there = new Set<string>()
    for (const part of below) {
      const files = await readdir(join(folder, part)).catch(() => [] as string[])
      for (const file of files) there.add(part === '.' ? file : `${part}/${file}`)
    }
    const missing = new Set(names.filter(name => !there.has(name)))
    if (missing.size < names.length) return { folder, missing }
  }
  throw new DeclipError(
    'ERR_DECLIP_IO',
    `data: the ${what} (${some(names, 2)}) are not there. Looked in ${folders.join(', ')}.`,
  )
}

/** Sentences about files that are missing and pictures that cannot be measured with. */
export function notesOn(
  images: readonly CocoImage[],
  missing: ReadonlySet<string>,
  what: string,
): string[] {
  const notes: string[] = []
  if (missing.size > 0) notes.push(missingNote([...missing], what))
  const problems = images.flatMap(({ problem }) => problem ?? [])
  const [first] = problems
  if (first !== undefined) {
    notes.push(
      `${count(problems.length, 'picture has', 'pictures have')} annotations that cannot be measured with. ${first}`,
    )
  }
  return notes
}
