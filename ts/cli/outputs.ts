/** Where the files that commands write for pictures go. */
import { mkdir, stat } from 'node:fs/promises'
import { basename, dirname, extname, join, parse, resolve, sep } from 'node:path'
import { ioError } from '../base/files.js'
import type { Picture } from './pictures.js'
import { usage } from './shared.js'

/** A kind of file that is written for every picture. */
export interface Target<Kind extends string = string> {
  readonly kind: Kind
  /** The flag that says where, without dashes. */
  readonly flag: string
  /** With the dot. */
  readonly extension: string
  /** The name in a folder, with {name}. */
  readonly inFolder: string
  /** What was given. */
  readonly given: string | undefined
}

/** Paths of the files of one picture. */
export type Outputs<Kind extends string = string> = Partial<Record<Kind, string>>

/**
 * The files of every picture. A target is a file name, a folder (one that exists, ends in a slash, or
 * has no extension), or a pattern in which {name} stands for the picture's place without its ending and
 * {file} for the same with it.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG where two files would have one name, a picture would be
 * overwritten, or the extension is not that of the format
 */
export async function planOutputs<Kind extends string>(
  pictures: readonly Pick<Picture, 'name' | 'place'>[],
  targets: readonly Target<Kind>[],
): Promise<Outputs<Kind>[]> {
  const plan: Outputs<Kind>[] = pictures.map(() => ({}))
  const taken = new Map(pictures.map(({ name }) => [sameFile(name), 'a picture that is read']))
  for (const target of targets) {
    const { kind, flag, extension, given } = target
    if (given === undefined) continue
    const pattern = await patternOf(target, given)
    if (extname(pattern) !== extension) {
      throw usage(`--${flag} writes ${extension} files, received '${given}'.`)
    }
    if (pictures.length > 1 && !/\{(name|file)\}/.test(pattern)) {
      throw usage(
        `--${flag} must be a folder or contain {name} when there are several pictures, received '${given}'.`,
      )
    }
    pictures.forEach(({ name, place }, i) => {
      const { dir, name: stem } = parse(place)
      const path = pattern
        .replaceAll('{name}', () => join(dir, stem))
        .replaceAll('{file}', () => join(place))
      const holder = taken.get(sameFile(path))
      if (holder) {
        throw usage(
          `--${flag} of '${name}' would be ${path}, which is ${holder}; choose another. --recursive keeps folders apart, {file} instead of {name} pictures that differ in their ending.`,
        )
      }
      taken.set(sameFile(path), `the --${flag} of '${name}'`)
      const outputs = plan[i]
      if (outputs) outputs[kind] = path
    })
  }
  return plan
}

/** Absolute paths of the folders below which nothing but outputs is expected. */
export async function outputFolders(targets: readonly Target[]): Promise<Set<string>> {
  const folders = new Set<string>()
  for (const target of targets) {
    if (target.given === undefined) continue
    const pattern = await patternOf(target, target.given)
    const [fixed = ''] = pattern.split(/\{(?:name|file)\}/)
    if (fixed === pattern) continue
    folders.add(resolve(fixed.endsWith('/') || fixed.endsWith(sep) ? fixed : dirname(fixed)))
  }
  return folders
}

/** Makes the folder that a file is to be written to. @throws DeclipError ERR_DECLIP_IO */
export async function makeFolderOf(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true }).catch(error => {
    throw ioError('write', path, error)
  })
}

async function patternOf({ inFolder }: Target, given: string): Promise<string> {
  return (await isFolder(given)) ? join(given, inFolder) : given
}

async function isFolder(target: string): Promise<boolean> {
  if (target.endsWith('/') || target.endsWith(sep)) return true
  return stat(target).then(
    found => found.isDirectory(),
    () => extname(basename(target)) === '',
  )
}

/** Equal for paths that name one file: capitals do not count where file systems usually ignore them. */
function sameFile(path: string): string {
  const absolute = resolve(path)
  const ignoresCase = process.platform === 'darwin' || process.platform === 'win32'
  return ignoresCase ? absolute.toLowerCase() : absolute
}
