import { coco } from './coco.js'
import type { Format } from './format.js'
import { geojson } from './geojson.js'
import { labelStudio } from './label-studio.js'
import { masks } from './masks.js'
import { yolo } from './yolo.js'

/** What a data set may be written as. */
export type ExportFormat = 'coco' | 'yolo' | 'masks' | 'geojson' | 'label-studio'

/** The formats by their names; {@link Format} says what each has to tell. */
export const FORMATS = {
  coco,
  yolo,
  masks,
  geojson,
  'label-studio': labelStudio,
} as const satisfies Readonly<Record<ExportFormat, Format>>

/** All of them. */
export const EXPORT_FORMATS = Object.freeze(Object.keys(FORMATS) as ExportFormat[])
