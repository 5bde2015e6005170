/** A picture and its label file. */
import { DeclipError } from '../../errors.js'
import { readIndexPicture } from '../../image/index-png.js'
import type { LabelMap } from '../../image/label-map.js'
import { pictureSize } from '../../image/size.js'
import type { DatasetPicture, SemanticTruth } from './dataset.js'
import { type LabelTable, toLabels } from './label-table.js'

/** Reads the values of a label file. */
export type ReadValues = (path: string, signal?: AbortSignal) => Promise<LabelMap>

/** Of PNG and grey TIFF files. */
export const readPicture: ReadValues = (path, signal) => readIndexPicture(path, { signal })

/**
 * A picture whose label file is read, compared in size and converted when it is asked for.
 *
 * @param missing - why there is nothing to read, if so
 */
export function labelledPicture(
  id: string,
  image: string,
  labels: string,
  table: LabelTable,
  read: ReadValues,
  missing?: string,
): DatasetPicture<'semantic'> {
  return {
    id,
    image,
    truth: async signal => {
      if (missing !== undefined) throw new DeclipError('ERR_DECLIP_IO', missing)
      return readTruth(image, labels, table, read, signal)
    },
  }
}

async function readTruth(
  image: string,
  labels: string,
  table: LabelTable,
  read: ReadValues,
  signal: AbortSignal | undefined,
): Promise<SemanticTruth> {
  const [size, values] = await Promise.all([pictureSize(image), read(labels, signal)])
  checkSize(image, size, labels, values)
  return toLabels(values, table, labels)
}

interface Size {
  readonly width: number
  readonly height: number
}

/** @throws DeclipError ERR_DECLIP_INVALID_ARG where labels are of another size than their picture */
export function checkSize(image: string, size: Size, labels: string, own: Size): void {
  if (size.width === own.width && size.height === own.height) return
  throw new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `${labels} is ${own.width} x ${own.height} pixels, its picture ${image} is ${size.width} x ${size.height}; labels must be of their picture's size. Check that both are of one release and that neither was resized.`,
  )
}
