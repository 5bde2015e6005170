/** The pictures that a command is given, and what happens to those that cannot be used. */
import type { Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { ioError } from '../base/files.js'
import { warnOnce } from '../base/warn.js'
import { DeclipError, type ErrorCode } from '../errors.js'
import { type ImageInput, isAddress, refuseDownload } from '../image/decode.js'
import { PICTURE_ENDING, READ_FORMATS } from '../image/format.js'
import { type Run, usage } from './shared.js'

/** A picture and what it is called. */
export interface Picture {
  /** As given, below the folder that was given, or 'stdin'. */
  readonly name: string
  readonly input: ImageInput
}

/** What commands say of their argument. */
export const PICTURES_ARGUMENT = `pictures (${READ_FORMATS}), folders of pictures, or '-' for standard input`

/** Stands for standard input. */
const STDIN = '-'

/** Errors that would come with every picture. */
const OF_ALL: ReadonlySet<ErrorCode> = new Set([
  'ERR_DECLIP_ABORTED',
  'ERR_DECLIP_ADDON_NOT_FOUND',
  'ERR_DECLIP_DEVICE',
  'ERR_DECLIP_DISPOSED',
  'ERR_DECLIP_LIBTORCH',
  'ERR_DECLIP_NETWORK',
  'ERR_DECLIP_WEIGHTS',
])

/** Pictures of which one that cannot be used is reported and left out, where it is not the only one. */
export class Batch {
  readonly pictures: readonly Picture[]
  /** Those that were given, also those that are left out. */
  readonly total: number
  readonly #complain: Run['complain']
  #leftOut: number

  private constructor(pictures: readonly Picture[], leftOut: number, complain: Run['complain']) {
    this.pictures = pictures
    this.total = pictures.length + leftOut
    this.#leftOut = leftOut
    this.#complain = complain
  }

  /**
   * The pictures of the arguments: files, folders, which stand for the pictures directly in them, and
   * '-' for the one on standard input.
   *
   * @throws DeclipError where none of them can be used
   */
  static async open(given: readonly string[], { complain }: Pick<Run, 'complain'>): Promise<Batch> {
    if (given.filter(argument => argument === STDIN).length > 1) {
      throw usage("'-' stands for one picture on standard input; give it once.")
    }
    const pictures: Picture[] = []
    const errors: unknown[] = []
    for (const argument of given) {
      try {
        pictures.push(...(await expand(argument, error => errors.push(error))))
      } catch (error) {
        errors.push(error)
      }
    }
    if (pictures.length === 0 && errors.length === 1) throw errors[0]
    for (const error of errors) complain(error)
    const batch = new Batch(pictures, errors.length, complain)
    if (pictures.length === 0) batch.finish()
    return batch
  }

  /** Reports a picture that cannot be used. @throws the error where it is not of this picture alone */
  leaveOut({ name }: Picture, error: DeclipError): void {
    if (this.total === 1 || OF_ALL.has(error.code)) throw error
    this.#leftOut += 1
    const { code, message } = error
    const isNamed = message.includes(name)
    this.#complain(isNamed ? error : new DeclipError(code, `${name}: ${message}`, { cause: error }))
  }

  /** @throws DeclipError where a picture was left out */
  finish(): void {
    if (this.#leftOut === 0) return
    const message = `${this.#leftOut} of ${this.total} pictures were left out; the lines above say why.`
    throw new DeclipError('ERR_DECLIP_IMAGE', message)
  }
}

/** The pictures that an argument stands for. */
async function expand(argument: string, onError: (error: DeclipError) => void): Promise<Picture[]> {
  if (argument === STDIN) return [{ name: 'stdin', input: await readStdin() }]
  if (isAddress(argument)) throw refuseDownload(argument)
  if (argument.startsWith('file:')) return [{ name: argument, input: argument }]
  const found = await stat(argument).catch(error => {
    throw ioError('read', argument, error)
  })
  if (!found.isDirectory()) return [{ name: argument, input: argument }]
  const { names, passedOver } = await listFolder(argument)
  const others = describeEndings(passedOver)
  if (names.length === 0) {
    const has = others === '' ? '' : `; it has ${others}`
    throw usage(`The folder '${argument}' has no pictures in it (${READ_FORMATS} are read)${has}.`)
  }
  if (others !== '') warnOnce(`${argument}: ${others} passed over; ${READ_FORMATS} are read.`)
  const pictures: Picture[] = []
  for (const name of names) {
    const path = join(argument, name)
    // What is not UTF-8 arrives with this character in its place, under which there is no file.
    const absent = name.includes('\ufffd') && (await stat(path).catch(error => error as Error))
    if (absent instanceof Error) onError(ioError('read', path, absent))
    else pictures.push({ name: path, input: path })
  }
  return pictures
}

async function readStdin(): Promise<Buffer> {
  if (process.stdin.isTTY) {
    throw usage("'-' reads a picture from standard input, which is a terminal; pipe one into it.")
  }
  return buffer(process.stdin)
}

/**
 * Names of the pictures directly in a folder, in order, and of the files that are none. Hidden files,
 * such as the `._a.jpg` that macOS puts beside `a.jpg`, and folders are neither.
 */
async function listFolder(path: string): Promise<{ names: string[]; passedOver: string[] }> {
  const entries = await readdir(path, { withFileTypes: true }).catch(error => {
    throw ioError('read', path, error)
  })
  const names: string[] = []
  const passedOver: string[] = []
  for (const entry of entries) {
    if (entry.name.startsWith('.') || (await isFolder(path, entry))) continue
    const list = PICTURE_ENDING.test(entry.name) ? names : passedOver
    list.push(entry.name)
  }
  // By code units: the same everywhere, whatever the language of the system.
  return { names: names.sort(), passedOver }
}

async function isFolder(path: string, entry: Dirent): Promise<boolean> {
  if (!entry.isSymbolicLink()) return entry.isDirectory()
  return stat(join(path, entry.name)).then(
    found => found.isDirectory(),
    () => false,
  )
}

/** '3 files (2 .bmp, 1 without an ending)', or nothing. */
function describeEndings(names: readonly string[]): string {
  if (names.length === 0) return ''
  const counts = new Map<string, number>()
  for (const name of names) {
    const ending = extname(name).toLowerCase() || 'without an ending'
    counts.set(ending, (counts.get(ending) ?? 0) + 1)
  }
  const most = [...counts].sort(([, a], [, b]) => b - a)
  const listed = most.slice(0, 5).map(([ending, count]) => `${count} ${ending}`)
  if (most.length > 5) listed.push('...')
  return `${names.length} ${names.length === 1 ? 'file' : 'files'} (${listed.join(', ')})`
}
