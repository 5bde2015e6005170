import { coco } from './coco.js'
import type { Format } from './format.js'
import { geojson } from './geojson.js'
import { labelStudio } from './label-studio.js'
import { masks } from './masks.js'
import { yolo } from './yolo.js'

/** The formats by their names; {@link Format} says what each has to tell. */
export const FORMATS = {
  coco,
  yolo,
  masks,
  geojson,
  'label-studio': labelStudio,
} as const satisfies Readonly<Record<string, Format>>

/** What a data set may be written as. */
export type ExportFormat = keyof typeof FORMATS

/** All of them. */
export const EXPORT_FORMATS = Object.freeze(Object.keys(FORMATS) as ExportFormat[])
