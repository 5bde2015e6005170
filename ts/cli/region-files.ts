/** Files that say which regions of pictures are meant. */
import { stat } from 'node:fs/promises'
import { basename, parse } from 'node:path'
import { ioError } from '../base/files.js'
import { DeclipError, describe } from '../errors.js'
import type { MaskShape } from '../masks/pack-shapes.js'
import type { MaskFunction, MaskPicture, MaskProvider } from '../masks/provider.js'
import type { Box } from '../model/boxes.js'
import { parseJson, readText } from '../train/data/sources/text.js'
import type { Picture } from './pictures.js'

/** The regions of one kind, picture by picture. */
export interface RegionFile<Regions> {
  /** @throws DeclipError ERR_DECLIP_IMAGE where the file does not know the picture */
  of(picture: Pick<Picture, 'name' | 'place'>): Promise<Regions>
}

/** What {@link RegionFile} is asked by. */
type Table<Region> = ReadonlyMap<string, Region[]> | Region[]

/** What errors call JSON that was given in place of a file. */
const INLINE = 'the list'

/** Whether it is a list, not the name of a file. */
const isInline = (given: string): boolean => given.trimStart().startsWith('[')

/**
 * Boxes from JSON, a file or the text of a list: a list of [x1, y1, x2, y2] for every picture; an object of such lists by file name; or COCO's
 * annotations or results, whose `bbox` is x, y, width and height.
 *
 * @throws DeclipError ERR_DECLIP_IO, ERR_DECLIP_INVALID_ARG naming file and place
 */
export async function readBoxFile(path: string): Promise<RegionFile<Box[]>> {
  return fileOf(path, await tableOf(path, boxFrom))
}

/**
 * Masks: what {@link MaskProvider} takes by its path (a folder, an `.npz` file, a label picture); or JSON as of
 * {@link readBoxFile} with COCO's run lengths or polygons, or with annotations or results that have a `segmentation`.
 *
 * @throws DeclipError as {@link readBoxFile}
 */
export async function readMaskFile(path: string): Promise<RegionFile<MaskProvider>> {
  if (isJson(path)) return fileOf(path, await tableOf(path, shapeFrom))
  await stat(path).catch(error => {
    throw ioError('read', path, error)
  })
  return { of: async () => path }
}

/**
 * The same for calls that take the provider of all pictures.
 *
 * @throws DeclipError as {@link readBoxFile}
 */
export async function readMaskProvider(path: string): Promise<MaskProvider> {
  const file = await readMaskFile(path)
  if (!isJson(path)) return path
  const of = ({ path: picture = 'stdin' }: MaskPicture) =>
    file.of({ name: picture, place: picture })
  return of as MaskFunction
}

const isJson = (given: string): boolean => isInline(given) || /\.json$/i.test(given)

function boxFrom(entry: unknown, place: string): Box {
  const isNumbers = (value: unknown): value is [number, number, number, number] =>
    Array.isArray(value) && value.length === 4 && value.every(Number.isFinite)
  if (isNumbers(entry)) return entry
  const { bbox } = (entry ?? {}) as { bbox?: unknown }
  if (isNumbers(bbox)) {
    const [x, y, width, height] = bbox
    return [x, y, x + width, y + height]
  }
  throw wrong(place, "[x1, y1, x2, y2] or an object with COCO's bbox", entry)
}

function shapeFrom(entry: unknown, place: string): MaskShape {
  if (Array.isArray(entry)) return entry as MaskShape
  const { counts, segmentation } = (entry ?? {}) as { counts?: unknown; segmentation?: unknown }
  if (counts !== undefined) return entry as MaskShape
  if (typeof segmentation === 'object' && segmentation !== null) return segmentation as MaskShape
  throw wrong(
    place,
    "COCO's run lengths { size, counts }, polygons, or an object with segmentation",
    entry,
  )
}

async function tableOf<Region>(
  given: string,
  read: (entry: unknown, place: string) => Region,
): Promise<Table<Region>> {
  const path = isInline(given) ? INLINE : given
  const json = parseJson(path, isInline(given) ? given : await readText(given))
  const each = (list: readonly unknown[], place: string) =>
    list.map((entry, i) => read(entry, `${place} ${i}`))
  if (Array.isArray(json)) {
    const isResults = json.length > 0 && json.every(entry => idOf(entry) !== undefined)
    return isResults
      ? grouped(json, `${path}: entry`, new Map(), read)
      : each(json, `${path}: entry`)
  }
  if (typeof json !== 'object' || json === null) {
    throw wrong(path, 'a list, an object of lists by file name, or COCO annotations', json)
  }
  const { images, annotations } = json as { images?: unknown; annotations?: unknown }
  if (Array.isArray(images) && Array.isArray(annotations)) {
    return grouped(annotations, `${path}: annotation`, namesOf(path, images), read)
  }
  const entries = Object.entries(json as Record<string, unknown>)
  return new Map(
    entries.map(([name, list]) => {
      if (!Array.isArray(list)) throw wrong(`${path}: '${name}'`, 'a list of regions', list)
      return [name, each(list, `${path}: '${name}', entry`)]
    }),
  )
}

const idOf = (entry: unknown): unknown => (entry as { image_id?: unknown } | null)?.image_id

/** File names of COCO's pictures by id. */
function namesOf(path: string, images: readonly unknown[]): Map<unknown, string> {
  return new Map(
    images.map((image, i) => {
      const { id, file_name } = (image ?? {}) as { id?: unknown; file_name?: unknown }
      if (id !== undefined && typeof file_name === 'string') return [id, file_name]
      throw wrong(`${path}: image ${i}`, 'an object with id and file_name', image)
    }),
  )
}

/** Annotations under their pictures' names; where these are not told, under their ids. */
function grouped<Region>(
  list: readonly unknown[],
  place: string,
  names: ReadonlyMap<unknown, string>,
  read: (entry: unknown, place: string) => Region,
): Map<string, Region[]> {
  const table = new Map<string, Region[]>([...names.values()].map(name => [name, []]))
  for (const [i, entry] of list.entries()) {
    const id = idOf(entry)
    const name = names.size > 0 ? names.get(id) : String(id)
    if (name === undefined) throw wrong(`${place} ${i}`, 'of a picture among images', id)
    const regions = table.get(name) ?? []
    table.set(name, regions)
    regions.push(read(entry, `${place} ${i}`))
  }
  return table
}

/** Looks a picture up by its name as given, its place, its file's name, or the number or text that this begins with. */
function fileOf<Region>(path: string, table: Table<Region>): RegionFile<Region[]> {
  return {
    of: async ({ name, place }) => {
      if (!(table instanceof Map)) return table as Region[]
      const file = basename(place)
      const stem = parse(file).name
      const keys = [name, place, file, stem, ...(/^\d+$/.test(stem) ? [String(Number(stem))] : [])]
      const key = keys.find(one => table.has(one))
      if (key !== undefined) return table.get(key) as Region[]
      throw new DeclipError(
        'ERR_DECLIP_IMAGE',
        `${path} has no regions of ${name}: it knows ${table.size} pictures, such as ${describe(table.keys().next().value)}.`,
      )
    },
  }
}

function wrong(place: string, expected: string, got: unknown): DeclipError {
  const shown = Array.isArray(got) ? JSON.stringify(got).slice(0, 80) : describe(got)
  return new DeclipError('ERR_DECLIP_INVALID_ARG', `${place} must be ${expected}, found ${shown}.`)
}
