/** The pictures of a folder, and what is passed over in it. */
import type { Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { extname, join, resolve } from 'node:path'
import { ioError } from '../base/files.js'
import type { DeclipError } from '../errors.js'
import { PICTURE_ENDING } from '../image/format.js'

/** How folders are looked through. */
export interface Walk {
  /** Also the folders below; links to folders are not followed. */
  readonly recursive: boolean
  /** Absolute paths of folders below that are not looked into: those that outputs go to. */
  readonly avoid: ReadonlySet<string>
}

/** What was found in a folder. */
export interface FolderContents {
  /** Paths below the folder, sorted by code units: the same everywhere, whatever the system's language. */
  readonly pictures: string[]
  readonly passedOver: PassedOver
  /** Folders below that cannot be read. */
  readonly errors: DeclipError[]
}

/** Counts of what is no picture. */
export class PassedOver {
  readonly #endings = new Map<string, number>()
  #files = 0
  #folders = 0

  addFile(name: string): void {
    const ending = extname(name).toLowerCase() || 'without an ending'
    this.#endings.set(ending, (this.#endings.get(ending) ?? 0) + 1)
    this.#files += 1
  }

  addFolder(): void {
    this.#folders += 1
  }

  get files(): number {
    return this.#files
  }

  get folders(): number {
    return this.#folders
  }

  /** '3 files (2 .bmp, 1 without an ending) and 1 folder', or nothing. */
  toString(): string {
    const parts: string[] = []
    if (this.#files > 0) {
      const most = [...this.#endings].sort(([, a], [, b]) => b - a)
      const listed = most.slice(0, 5).map(([ending, count]) => `${count} ${ending}`)
      if (most.length > 5) listed.push('...')
      parts.push(`${this.#files} ${this.#files === 1 ? 'file' : 'files'} (${listed.join(', ')})`)
    }
    if (this.#folders > 0) {
      parts.push(`${this.#folders} ${this.#folders === 1 ? 'folder' : 'folders'}`)
    }
    return parts.join(' and ')
  }
}

/**
 * Lists a folder. Hidden files and folders, such as the `._a.jpg` that macOS puts beside `a.jpg`, are
 * neither pictures nor passed over.
 *
 * @throws DeclipError ERR_DECLIP_IO where it cannot be read
 */
export async function listFolder(path: string, walk: Walk): Promise<FolderContents> {
  const pictures: string[] = []
  const passedOver = new PassedOver()
  const errors: DeclipError[] = []
  const visit = async (below: string): Promise<void> => {
    const folder = join(path, below)
    for (const entry of await entriesOf(folder)) {
      const name = below === '' ? entry.name : `${below}/${entry.name}`
      if (await isFolder(folder, entry)) {
        if (walk.avoid.has(resolve(path, name))) continue
        if (walk.recursive && !entry.isSymbolicLink()) {
          await visit(name).catch(error => errors.push(error as DeclipError))
        } else passedOver.addFolder()
      } else if (PICTURE_ENDING.test(entry.name)) pictures.push(name)
      else passedOver.addFile(entry.name)
    }
  }
  await visit('')
  return { pictures: pictures.sort(), passedOver, errors }
}

/** Entries, those that are hidden only when asked for. @throws DeclipError ERR_DECLIP_IO */
export async function entriesOf(folder: string, hidden = false): Promise<Dirent[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(error => {
    throw ioError('read', folder, error)
  })
  return entries.filter(({ name }) => hidden || !name.startsWith('.'))
}

/** Whether an entry is a folder or a link to one. */
export async function isFolder(folder: string, entry: Dirent): Promise<boolean> {
  if (!entry.isSymbolicLink()) return entry.isDirectory()
  return stat(join(folder, entry.name)).then(
    found => found.isDirectory(),
    () => false,
  )
}
