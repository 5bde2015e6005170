import type { Segmentation } from '../result/segmentation.js'
import type { Annotation } from './annotations.js'

/** A class as a data set names it. */
export interface ExportClass {
  /** Display name. */
  readonly name: string
  /** The name and its synonyms. */
  readonly words: readonly string[]
}

/** What the files of a format depend on. */
export interface FormatSettings {
  /** In label order. */
  readonly classes: readonly ExportClass[]
  /** Label of the background, -1 for none. */
  readonly background: number
  /** Share of the pictures that are kept for validation, 0 to 1. */
  readonly validation: number
  /** What stands in front of a picture's path where a format wants addresses. */
  readonly prefix: string
  /** What made the annotations. */
  readonly madeBy: string
  /** Whether the pictures are in the data set. */
  readonly hasPictures: boolean
}

/** A picture whose annotations are known. */
export interface AnnotatedPicture {
  /** Path in the data set below the pictures' folder, with slashes. */
  readonly file: string
  /** In pixels, upright. */
  readonly width: number
  readonly height: number
  readonly annotations: readonly Annotation[]
  readonly segmentation: Segmentation
}

/** A file of a data set. */
export interface PictureFile {
  /** Below the data set's folder, with slashes. */
  readonly path: string
  readonly bytes: Uint8Array
}

/** What is kept of a picture until the data set's final files are written: a line of JSON. */
export interface PictureRecord {
  /** What the picture is called; no two have one name. */
  readonly name: string
  readonly file: string
  readonly width: number
  readonly height: number
  /** Number of annotations. */
  readonly annotations: number
  /** Files that were written for it, below the data set's folder. */
  readonly files: readonly string[]
  /** What the format's final files need to know. */
  readonly data?: unknown
}

/** All pictures of a data set, read as they are asked for. */
export interface ExportedSet {
  readonly count: number
  /** In the order of their names. */
  records(): AsyncIterable<PictureRecord>
}

/** A final file, written as it is made. */
export interface FinalFile {
  readonly path: string
  readonly text: AsyncIterable<string>
}

/** How data sets of a kind are written. */
export interface Format {
  /** For help texts: what it is and who opens it. */
  readonly text: string
  /** What is done with pictures where nothing is said. */
  readonly pictures: 'copy' | 'none'
  /** Whether a file of its own for every picture is called by its name without ending. */
  readonly usesStems: boolean
  /** Path of the picture in the data set. */
  placeOf(file: string, settings: FormatSettings): string
  /** The files of a picture, and what is to be kept of it. */
  write(
    picture: AnnotatedPicture,
    settings: FormatSettings,
  ): Promise<{ readonly files: readonly PictureFile[]; readonly data?: unknown }>
  /** The files of all pictures together. */
  finish(set: ExportedSet, settings: FormatSettings): readonly FinalFile[]
}

/** The classes that are annotated, with their labels. */
export function foreground({
  classes,
  background,
}: Pick<FormatSettings, 'classes' | 'background'>): (ExportClass & { readonly label: number })[] {
  return classes
    .map((entry, label) => ({ ...entry, label }))
    .filter(({ label }) => label !== background)
}

/** A path without its ending. */
export function stem(path: string): string {
  const dot = path.lastIndexOf('.')
  return dot > path.lastIndexOf('/') + 1 ? path.slice(0, dot) : path
}

/** Rounded to a millionth. */
export function round(value: number): number {
  return Math.round(value * 1e6) / 1e6
}

/** A text file that is known as a whole. */
export async function* lines(...texts: readonly string[]): AsyncGenerator<string, void, undefined> {
  for (const text of texts) yield `${text}\n`
}
