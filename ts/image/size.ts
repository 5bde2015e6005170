import { open } from 'node:fs/promises'
import { ioError } from '../base/files.js'
import { loadSharp, toDecodeError } from './decode.js'

/** In pixels. @internal */
export interface Size {
  readonly width: number
  readonly height: number
}

/**
 * A picture's size by its header, as it lies after its EXIF orientation. No pixel is decoded.
 *
 * @throws DeclipError ERR_DECLIP_IO, ERR_DECLIP_IMAGE
 * @internal
 */
export async function pictureSize(path: string): Promise<Size> {
  const sharp = await loadSharp()
  try {
    const { autoOrient } = await sharp(path, {
      failOn: 'error',
      limitInputPixels: false,
    }).metadata()
    return autoOrient
  } catch (error) {
    const file = await open(path).catch(reason => {
      throw ioError('read', path, reason)
    })
    await file.close()
    throw toDecodeError(path, error)
  }
}
