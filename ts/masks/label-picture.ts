import { types } from 'node:util'
import type { Call } from '../base/call.js'
import { toPath } from '../base/files.js'
import { describe, invalid } from '../errors.js'
import { decodeIndexPicture, readIndexPicture } from '../image/index-png.js'
import type { LabelMap } from '../image/label-map.js'

/**
 * The number of every pixel of a label picture: an index PNG's indices, a grey picture's values.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG, ERR_DECLIP_IO, ERR_DECLIP_IMAGE, ERR_DECLIP_ABORTED
 * @internal
 */
export async function labelPicture(
  input: string | URL | Uint8Array | LabelMap,
  { signal }: Call,
): Promise<LabelMap> {
  if (typeof input === 'string' || input instanceof URL) {
    return readIndexPicture(toPath('masks', input), { signal })
  }
  if (types.isUint8Array(input)) {
    // The caller may change them while they are decoded.
    return decodeIndexPicture(new Uint8Array(input), 'the label picture', { signal })
  }
  const { data, width, height } = input
  const isLabels = types.isUint8Array(data) || types.isUint16Array(data)
  if (!isLabels || data.length !== width * height || data.length === 0) {
    throw invalid(
      'masks',
      'a label picture { data, width, height } with a Uint8Array or Uint16Array of width * height labels',
      `${isLabels ? `one of ${data.length}` : describe(data)} for ${width} x ${height}`,
    )
  }
  return input
}
