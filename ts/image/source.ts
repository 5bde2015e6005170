import { stat } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { types } from 'node:util'
import type { Tensor } from '../engine/tensor.js'
import { DeclipError } from '../errors.js'
import {
  copyOut,
  type DecodedImage,
  type ImageInput,
  loadImage,
  loadNative,
  type NativeImage,
} from './decode.js'

/** A picture that is being decoded, and that can be had again as it was. @internal */
export interface Picture {
  readonly decoded: Promise<NativeImage>
  /**
   * The pixels once more, in memory of their own. Of encoded bytes the copy is kept, of pixels and of
   * objects that encode themselves the decoded picture; files are read again.
   *
   * @throws DeclipError ERR_DECLIP_IMAGE for a file that was changed since
   */
  again(): Promise<DecodedImage>
}

/**
 * Starts decoding; bytes and pixels are copied before it returns.
 *
 * @internal
 */
export function openImage(
  input: Exclude<ImageInput, Tensor>,
  options: { signal?: AbortSignal | undefined } = {},
): Picture {
  if (typeof input === 'string' || input instanceof URL) return openFile(input, options)
  if (types.isUint8Array(input) || types.isAnyArrayBuffer(input)) {
    const bytes = new Uint8Array(input.byteLength)
    // A detached buffer has no bytes, which the decoder reports.
    if (bytes.length > 0) bytes.set(types.isUint8Array(input) ? input : new Uint8Array(input))
    return { decoded: quiet(loadNative(bytes, options)), again: () => loadImage(bytes) }
  }
  const decoded = quiet(loadNative(input, options))
  if (input instanceof Blob) return { decoded, again: () => loadImage(input) }
  return { decoded, again: async () => copyOut(await decoded) }
}

function openFile(input: string | URL, options: { signal?: AbortSignal | undefined }): Picture {
  const seen = stampOf(input)
  return {
    decoded: quiet(loadNative(input, options)),
    again: async () => {
      if ((await seen) !== (await stampOf(input))) {
        throw new DeclipError(
          'ERR_DECLIP_IMAGE',
          `The picture '${input}' was changed after it was segmented, so it cannot be drawn on; pass the picture as it was: overlay: { image }.`,
        )
      }
      return loadImage(input)
    },
  }
}

/** Changes when a file is written or replaced; undefined where there is none. */
async function stampOf(input: string | URL): Promise<string | undefined> {
  try {
    const path = /^file:/i.test(String(input)) ? fileURLToPath(input) : (input as string)
    const { size, mtimeNs, ino } = await stat(path, { bigint: true })
    return `${size} ${mtimeNs} ${ino}`
  } catch {
    return undefined
  }
}

/** Whoever waits for it sees the rejection; until then nobody has to. */
function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}
