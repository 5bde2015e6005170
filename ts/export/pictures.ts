import { randomBytes } from 'node:crypto'
import { constants, copyFile, link, mkdir, rename, rm, symlink } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { ioError, toPath, writeFileAtomic } from '../base/files.js'
import { DeclipError } from '../errors.js'
import type { ImageInput } from '../image/decode.js'

/**
 * 'copy': a copy, which takes no room on file systems that share blocks; 'link': another name of the same
 * file, on the same disk; 'symlink': a reference to its path; 'none': pictures stay where they are.
 */
export type PictureWay = 'copy' | 'link' | 'symlink' | 'none'

/** All of them. @internal */
export const PICTURE_WAYS = ['copy', 'link', 'symlink', 'none'] as const satisfies PictureWay[]

/**
 * Puts a picture into a data set, whole or not at all.
 *
 * @throws DeclipError ERR_DECLIP_IO, or ERR_DECLIP_INVALID_ARG for what is neither a file nor an encoded picture
 */
export async function putPicture(
  image: ImageInput,
  target: string,
  way: Exclude<PictureWay, 'none'>,
): Promise<void> {
  await mkdir(dirname(target), { recursive: true }).catch(error => {
    throw ioError('write', target, error)
  })
  if (image instanceof Uint8Array) return writeFileAtomic(target, image)
  if (image instanceof Blob) {
    return writeFileAtomic(target, new Uint8Array(await image.arrayBuffer()))
  }
  if (typeof image !== 'string' && !(image instanceof URL)) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      "Only files and encoded pictures can be put into a data set; pass a path or encoded bytes, or pictures: 'none'.",
    )
  }
  const source = resolve(toPath('image', image))
  const temporary = join(dirname(target), `.declip-${randomBytes(8).toString('hex')}.tmp`)
  try {
    if (way === 'copy') await copyFile(source, temporary, constants.COPYFILE_FICLONE)
    else if (way === 'link') await link(source, temporary)
    else await symlink(source, temporary)
    await rename(temporary, target)
  } catch (error) {
    await rm(temporary, { force: true })
    const { code } = error as NodeJS.ErrnoException
    if (way === 'link' && (code === 'EXDEV' || code === 'EPERM')) {
      throw new DeclipError(
        'ERR_DECLIP_IO',
        `${source} cannot have a second name at ${target}, which is on another disk or one without such names; copy pictures instead.`,
        { cause: error },
      )
    }
    throw ioError('write', target, error)
  } finally {
    // rename() does nothing where both are names of one file already
    await rm(temporary, { force: true })
  }
}
