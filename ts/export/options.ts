import type { Fields } from '../base/field.js'
import { field, flag, fraction, kind, oneOf } from '../base/field.js'
import { DETECT_FIELDS } from '../detect/options.js'
import type { DeclipError } from '../errors.js'
import type { ImageInput } from '../image/decode.js'
import type { SegmentOptions } from '../segment/options.js'
import { EXPORT_FORMATS, type ExportFormat } from './formats.js'
import { PICTURE_WAYS, type PictureWay } from './pictures.js'

/** A picture and what it is called in the data set. */
export interface NamedImage {
  readonly image: ImageInput
  /** A path with slashes and an ending, such as 'street/1.jpg'; no two pictures have the same. */
  readonly name: string
}

/** Options of {@link exportDataset}. */
export interface ExportOptions extends SegmentOptions {
  /** Format of the data set. */
  to: ExportFormat
  /** Folder of the data set. */
  out: string | URL
  /** One annotation per class of a picture instead of one per object. Default: false. */
  semantic?: boolean | undefined
  /** Objects of fewer pixels are left out: a whole number of at least 0. Default: a five-hundredth of the picture's. */
  minArea?: number | undefined
  /** How pictures come into the data set. Default: 'copy', of geojson and label-studio 'none'. */
  pictures?: PictureWay | undefined
  /** 'yolo': share of the pictures that are kept for validation: a number from 0 to 1. Default: 0.2. */
  validation?: number | undefined
  /** 'label-studio': what stands in front of a picture's name in its address. Default: '/data/local-files/?d='. */
  prefix?: string | undefined
  /** Only the i-th of n parts of the pictures, by a hash of their names: 'i/n'. Default: all. */
  shard?: string | undefined
  /** Goes on with a data set that is there, for the pictures that it does not have yet. Default: false. */
  skipExisting?: boolean | undefined
  /** Removes a data set that is there, and what was written for it. Default: false. */
  overwrite?: boolean | undefined
  /** Told of every picture that was annotated. */
  onPicture?: ((done: { name: string; annotations: number }) => void) | undefined
  /**
   * Told of a picture that failed, which is then left out; without it the first failure ends the export. What
   * cannot be written always does.
   */
  onError?: ((error: DeclipError, name: string) => void) | undefined
}

/** What {@link exportDataset} gives. */
export interface ExportResult {
  /** Pictures in the data set, those of earlier runs included. */
  readonly pictures: number
  /** Pictures that were annotated by this call. */
  readonly done: number
  /** Pictures that were in the data set already. */
  readonly skipped: number
  /** Pictures that failed. */
  readonly failed: number
  /** The files that tell of all pictures; of a part none, which {@link mergeExports} makes. */
  readonly files: readonly string[]
}

/** See {@link ExportOptions}. @internal */
export const EXPORT_FIELDS = {
  to: field(oneOf(EXPORT_FORMATS), 'Format of the data set'),
  semantic: field(flag, 'One annotation per class of a picture instead of one per object', 'false'),
  minArea: DETECT_FIELDS.minArea,
  pictures: field(
    oneOf(PICTURE_WAYS),
    'How pictures come into the data set',
    "'copy', of geojson and label-studio 'none'",
  ),
  validation: field(fraction, "'yolo': share of the pictures that are kept for validation", '0.2'),
  prefix: field(
    kind<string>('text', value => typeof value === 'string'),
    "'label-studio': what stands in front of a picture's name in its address",
    "'/data/local-files/?d='",
  ),
  skipExisting: field(
    flag,
    'Goes on with a data set that is there, for the pictures that it does not have yet',
    'false',
  ),
  overwrite: field(flag, 'Removes a data set that is there, and what was written for it', 'false'),
} as const satisfies Fields
