/** The pictures that a command is given. */
import { lstat, readFile, stat } from 'node:fs/promises'
import { basename, isAbsolute, join, parse, relative, resolve, sep } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { ahead } from '../base/ahead.js'
import { ioError } from '../base/files.js'
import { warnOnce } from '../base/warn.js'
import { DeclipError, toDeclipError } from '../errors.js'
import type { ImageInput } from '../image/decode.js'
import { PICTURE_ENDING, READ_FORMATS } from '../image/format.js'
import { isAddress, refuseDownload } from '../image/held.js'
import { listFolder, PassedOver, type Walk } from './folders.js'
import { expandPattern, isPattern } from './glob.js'
import { usage } from './shared.js'

/** A picture and what it is called. */
export interface Picture {
  /** As given, below the folder that was given, or 'stdin'. */
  readonly name: string
  /** What outputs are called after and parts are made by, with slashes: see {@link Search.recursive}. */
  readonly place: string
  readonly input: ImageInput
}

/** What was given and cannot be used. */
export interface Unusable {
  readonly name: string
  readonly place: string
  readonly error: DeclipError
}

/** How pictures are looked for. */
export interface Search {
  /** File with further names, or '-' for standard input. */
  readonly from?: string | undefined
  /**
   * Folders stand for all pictures below them. The place of a picture is then its path below the folder or
   * pattern that was given, of one that was named itself below the working folder, and outside of that
   * below the root; without it the file's name.
   */
  readonly recursive?: boolean | undefined
  /** Absolute paths of folders that are not looked into. */
  readonly avoid?: ReadonlySet<string> | undefined
}

/** What a command is given. */
export interface Found {
  readonly pictures: Picture[]
  readonly unusable: Unusable[]
}

/** What commands say of their argument. */
export const PICTURES_ARGUMENT = `pictures (${READ_FORMATS}), folders of pictures, patterns like "**/*.jpg", or '-' for standard input`

/** Stands for standard input. */
const STDIN = '-'
/** Names that are looked up at a time. */
const LOOKUPS = 32

/**
 * The pictures of arguments and of a list: files, folders, patterns that no shell has replaced, and '-'
 * for the one on standard input.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG where nothing was named, ERR_DECLIP_IO for a list that
 * cannot be read
 */
export async function findPictures(given: readonly string[], search: Search): Promise<Found> {
  const { from } = search
  const fromStdin = given.filter(argument => argument === STDIN).length + Number(from === STDIN)
  if (fromStdin > 1) throw usage("'-' stands for standard input, which is read once; give it once.")
  if (given.length === 0 && from === undefined) {
    throw usage('Pictures are missing; name files or folders, or give --from <list>.')
  }
  const listed = from === undefined ? [] : await readList(from)
  const arguments_ = [
    ...given.map(text => ({ text, patterns: true })),
    ...listed.map(text => ({ text, patterns: false })),
  ]
  const found: Found = { pictures: [], unusable: [] }
  const expanded = ahead(
    arguments_.values(),
    ({ text, patterns }) => expand(text, patterns, search),
    { limit: LOOKUPS },
  )
  for await (const { item, result } of expanded) {
    if (result.status === 'fulfilled') {
      found.pictures.push(...result.value.pictures)
      found.unusable.push(...result.value.unusable)
    } else {
      const { text: name } = item
      found.unusable.push({
        name,
        place: placeOf(name, search),
        error: toDeclipError(result.reason),
      })
    }
  }
  return found
}

/** The names of a list: between NULs where there is one, else on lines. */
export async function readList(from: string): Promise<string[]> {
  let text: string
  if (from === STDIN) {
    if (process.stdin.isTTY) {
      throw usage(
        "'--from -' reads names from standard input, which is a terminal; pipe them into it.",
      )
    }
    text = (await buffer(process.stdin)).toString()
  } else {
    text = await readFile(from, 'utf8').catch(error => {
      throw ioError('read', from, error)
    })
  }
  const names = text.includes('\0') ? text.split('\0') : text.split(/\r?\n/)
  return names.filter(name => name !== '')
}

async function expand(argument: string, patterns: boolean, search: Search): Promise<Found> {
  if (argument === STDIN && patterns)
    return one({ name: 'stdin', place: 'stdin', input: await readStdin() })
  if (isAddress(argument)) throw refuseDownload(argument)
  const file = (name: string) => one({ name, place: placeOf(name, search), input: name })
  if (argument.startsWith('file:')) return file(argument)
  const there = await stat(argument).catch(error => error as NodeJS.ErrnoException)
  if (there instanceof Error) {
    if (patterns && there.code === 'ENOENT' && isPattern(argument))
      return byPattern(argument, search)
    throw ioError('read', argument, there)
  }
  return there.isDirectory() ? inFolder(argument, '', search) : file(argument)
}

function one(picture: Picture): Found {
  return { pictures: [picture], unusable: [] }
}

async function readStdin(): Promise<Buffer> {
  if (process.stdin.isTTY) {
    throw usage("'-' reads a picture from standard input, which is a terminal; pipe one into it.")
  }
  return buffer(process.stdin)
}

/** @param below - path of the folder below a pattern's base, with which places begin */
async function inFolder(folder: string, below: string, search: Search): Promise<Found> {
  const { recursive = false, avoid = new Set<string>() } = search
  const walk: Walk = { recursive, avoid }
  const { pictures: paths, passedOver, errors } = await listFolder(folder, walk)
  if (paths.length === 0 && errors.length === 0) {
    const has = `${passedOver}` === '' ? '' : `; it has ${passedOver}`
    const hint = passedOver.folders > 0 && !recursive ? '. --recursive looks into its folders' : ''
    throw usage(
      `The folder '${folder}' has no pictures in it (${READ_FORMATS} are read)${has}${hint}.`,
    )
  }
  tellOf(passedOver, folder, recursive)
  const found: Found = {
    pictures: [],
    unusable: errors.map(error => ({ name: folder, place: folder, error })),
  }
  for (const path of paths) {
    const name = join(folder, path)
    const place = recursive ? [below, path].filter(part => part !== '').join('/') : basename(path)
    // What is not UTF-8 arrives with this character in its place, under which there is no file.
    const absent = path.includes('\ufffd') && (await stat(name).catch(error => error as Error))
    if (absent instanceof Error) {
      found.unusable.push({ name, place, error: ioError('read', name, absent) })
    } else found.pictures.push({ name, place, input: name })
  }
  return found
}

async function byPattern(pattern: string, search: Search): Promise<Found> {
  const { recursive = false, avoid } = search
  const { base, paths } = await expandPattern(pattern, avoid)
  const found: Found = { pictures: [], unusable: [] }
  const passedOver = new PassedOver()
  for (const path of paths) {
    const name = join(base, path)
    const there = await stat(name).catch(() => undefined)
    if (there?.isDirectory() && (await lstat(name)).isSymbolicLink()) passedOver.addFolder()
    else if (there?.isDirectory()) {
      const { pictures, unusable } = await inFolder(name, path, search)
      found.pictures.push(...pictures)
      found.unusable.push(...unusable)
    } else if (PICTURE_ENDING.test(path)) {
      found.pictures.push({ name, place: recursive ? path : basename(path), input: name })
    } else passedOver.addFile(path)
  }
  if (found.pictures.length + found.unusable.length === 0) {
    const others = passedOver.files === 0 ? '' : ` (${READ_FORMATS} are read); ${passedOver} do`
    throw new DeclipError(
      'ERR_DECLIP_IO',
      `No picture matches '${pattern}'${others}; check the pattern.`,
    )
  }
  tellOf(passedOver, pattern, recursive)
  return found
}

/** Says what was no picture, and why. */
function tellOf(passedOver: PassedOver, where: string, recursive: boolean): void {
  const { files, folders } = passedOver
  if (files + folders === 0) return
  const reasons = [
    ...(files > 0 ? [`${READ_FORMATS} are read`] : []),
    ...(folders > 0 && recursive ? ['links to folders are not followed'] : []),
    ...(folders > 0 && !recursive ? ['--recursive looks into folders'] : []),
  ]
  warnOnce(`${where}: ${passedOver} passed over; ${reasons.join('; ')}.`)
}

/** See {@link Search.recursive}. */
function placeOf(name: string, { recursive = false }: Search): string {
  const path = pathOf(name)
  if (!recursive) return basename(path)
  const absolute = resolve(path)
  const below = relative(process.cwd(), absolute)
  const isOutside = isAbsolute(below) || below === '..' || below.startsWith(`..${sep}`)
  const place = isOutside ? relative(parse(absolute).root, absolute) : below
  return place.split(sep).join('/')
}

function pathOf(name: string): string {
  try {
    return name.startsWith('file:') ? fileURLToPath(name) : name
  } catch {
    return name
  }
}
