import { types } from 'node:util'
import type { Call } from '../base/call.js'
import { DeclipError, invalid } from '../errors.js'
import type { LabelMap } from '../image/label-map.js'

/**
 * The label of every pixel of a label picture: an index PNG's indices, a grey one's values.
 *
 * @throws DeclipError ERR_DECLIP_INVALID_ARG, ERR_DECLIP_IO, ERR_DECLIP_IMAGE
 * @internal
 */
export async function labelPicture(
  input: string | URL | Uint8Array | LabelMap,
  _call: Call,
): Promise<LabelMap> {
  if (typeof input === 'string' || input instanceof URL || types.isUint8Array(input)) {
    throw new DeclipError('ERR_DECLIP_IMAGE', 'Label pictures in files are not read yet.')
  }
  const { data, width, height } = input
  const isLabels = types.isUint8Array(data) || types.isUint16Array(data)
  if (!isLabels || data.length !== width * height || data.length === 0) {
    throw invalid(
      'masks',
      'a label picture { data, width, height } with a Uint8Array or Uint16Array of width * height labels',
      isLabels ? `one of ${data.length} for ${width} x ${height}` : data,
    )
  }
  return input
}
