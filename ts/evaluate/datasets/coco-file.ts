/** Files in COCO's format, read for evaluation: what is wrong with them is told, and nothing is guessed. */
import { namedFile, shown } from '../../base/coco-entries.js'
import { inTurns } from '../../base/event-loop.js'
import {
  type JsonFile,
  type JsonItem,
  type JsonRange,
  readJsonLists,
} from '../../base/json-lists.js'
import { DeclipError } from '../../errors.js'

/** Of a picture. A number and a text are never equal, as in pycocotools. */
export type ImageId = number | string

export interface CocoCategory {
  readonly id: number
  readonly name: string
  /** Where the file tells: COCO panoptic. */
  readonly thing?: boolean | undefined
  /** Where the file tells: LVIS. */
  readonly frequency?: 'r' | 'c' | 'f' | undefined
}

export interface CocoImage {
  readonly id: ImageId
  /** Path below the pictures' folder. */
  readonly file: string
  readonly width: number
  readonly height: number
  /** LVIS: ids of categories that are known not to be there, and of those whose objects are not all annotated. */
  readonly negative?: readonly number[] | undefined
  readonly notExhaustive?: readonly number[] | undefined
  /** Why the picture cannot be measured with, if so. */
  problem?: string
}

export interface CocoObject {
  readonly id: number
  readonly category: number
  /** x, y, width, height in pixels. */
  readonly box: readonly [number, number, number, number]
  /** In pixels; undefined where the file does not say. */
  readonly area: number | undefined
  readonly crowd: boolean
  /** 'annotations[7] (id 12)'. */
  readonly name: string
  /** Where the annotation stands, to read its segmentation when it is needed. */
  readonly range: JsonRange
}

/** Pictures with their objects. */
export interface CocoInstances {
  readonly file: JsonFile
  /** By ascending id. */
  readonly categories: readonly CocoCategory[]
  /** In the file's order. */
  readonly images: readonly CocoImage[]
  readonly objects: ReadonlyMap<ImageId, readonly CocoObject[]>
}

export interface CocoSegment {
  readonly id: number
  readonly category: number
  /** x, y, width, height in pixels. */
  readonly box: readonly [number, number, number, number]
  /** 'segment 12 of annotations[7]'. */
  readonly name: string
}

/** Pictures with their segments. */
export interface CocoPanoptic {
  readonly file: JsonFile
  readonly categories: readonly CocoCategory[]
  readonly images: readonly CocoImage[]
  /** Segments and the name of the PNG file, by picture. */
  readonly segments: ReadonlyMap<
    ImageId,
    { readonly png: string; readonly segments: readonly CocoSegment[] }
  >
}

/** What an annotation must say, as far as it is kept. */
interface Raw {
  readonly value: Record<string, unknown>
  readonly name: string
  readonly range: JsonRange
}

/**
 * Reads instances: COCO's or LVIS's.
 *
 * @throws DeclipError ERR_DECLIP_IO for what is no JSON, ERR_DECLIP_INVALID_ARG naming the entry that breaks the file's
 * structure: ids that are missing or stand twice, annotations of no picture
 */
export async function readInstances(path: string, signal?: AbortSignal): Promise<CocoInstances> {
  const raw = await readRaw(path, signal, slim)
  const { file, categories, images } = raw
  const ids = new Set(categories.map(({ id }) => id))
  const byId = new Map(images.map(image => [image.id, image]))
  const objects = new Map<ImageId, CocoObject[]>()
  const taken = new Map<number, string>()
  const strays = new Strays(path)
  await inTurns(raw.annotations, ({ value, name, range }) => {
    const id = annotationId(path, name, value, taken)
    const image = byId.get(value['image_id'] as ImageId)
    if (!image) return strays.add(name, value['image_id'])
    const problem = objectProblem(value, image, ids)
    if (problem !== undefined) {
      image.problem ??= `${path}: ${name} ${problem}.`
      return
    }
    const own = objects.get(image.id) ?? []
    objects.set(image.id, own)
    own.push({
      id,
      category: value['category_id'] as number,
      box: value['bbox'] as unknown as CocoObject['box'],
      area: value['area'] as number | undefined,
      crowd: value['iscrowd'] === 1 || value['iscrowd'] === true,
      name,
      range,
    })
  })
  strays.throw()
  return { file, categories, images, objects }
}

/**
 * Reads panoptic annotations: one per picture, with a PNG file and segments.
 *
 * @throws DeclipError as {@link readInstances}
 */
export async function readPanoptic(path: string, signal?: AbortSignal): Promise<CocoPanoptic> {
  const { file, categories, images, annotations } = await readRaw(path, signal, value => value)
  const ids = new Set(categories.map(({ id }) => id))
  const byId = new Map(images.map(image => [image.id, image]))
  const segments = new Map<ImageId, { png: string; segments: CocoSegment[] }>()
  const strays = new Strays(path)
  await inTurns(annotations, ({ value, name }) => {
    const { image_id, file_name, segments_info } = value
    const image = byId.get(image_id as ImageId)
    if (!image) return strays.add(name, image_id)
    if (!Array.isArray(segments_info) || !isFileName(file_name)) {
      throw broken(path, `${name} must have a "file_name" and a list "segments_info"`)
    }
    if (segments.has(image.id)) {
      throw broken(path, `${name} is a second annotation of image ${shown(image.id)}`)
    }
    const own: CocoSegment[] = []
    const taken = new Set<number>()
    for (const [i, segment] of (segments_info as unknown[]).entries()) {
      const { id, ...rest } = (segment ?? {}) as Record<string, unknown>
      const what = `segments_info[${i}] of ${name}`
      let problem: string | undefined
      if (!Number.isInteger(id) || (id as number) < 1 || (id as number) >= 2 ** 24) {
        problem = `has id ${shown(id)}, which is no colour of a PNG (1 to 16777215)`
      } else if (taken.has(id as number)) problem = `has the id ${shown(id)} of another segment`
      else problem = objectProblem(rest, image, ids)
      if (problem !== undefined) {
        image.problem ??= `${path}: ${what} ${problem}.`
        continue
      }
      taken.add(id as number)
      own.push({
        id: id as number,
        category: rest['category_id'] as number,
        box: rest['bbox'] as unknown as CocoSegment['box'],
        name: `segment ${id} (${what})`,
      })
    }
    segments.set(image.id, { png: file_name, segments: own })
  })
  strays.throw()
  for (const image of images) {
    if (!segments.has(image.id)) {
      image.problem ??= `${path}: image ${shown(image.id)} (${image.file}) has no annotation.`
    }
  }
  return { file, categories, images, segments }
}

/** Whether a file has panoptic segments: told by its first annotation. */
export async function isPanoptic(path: string, signal?: AbortSignal): Promise<boolean> {
  let found = false
  const visit = ({ value, index }: JsonItem) => {
    if (index === 0)
      found = Array.isArray((value as { segments_info?: unknown } | null)?.segments_info)
  }
  await readJsonLists(path, { annotations: visit }, signal)
  return found
}

/** What is kept of an annotation while a file is read; its segmentation may be large. */
function slim({ id, image_id, category_id, bbox, area, iscrowd }: Record<string, unknown>) {
  return { id, image_id, category_id, bbox, area, iscrowd }
}

async function readRaw(
  path: string,
  signal: AbortSignal | undefined,
  keep: (value: Record<string, unknown>) => Record<string, unknown>,
) {
  const images: CocoImage[] = []
  const categories: CocoCategory[] = []
  const annotations: Raw[] = []
  const imageIds = new Map<ImageId, number>()
  const categoryIds = new Map<number, number>()
  const file = await readJsonLists(
    path,
    {
      images: ({ value, index }) => images.push(imageOf(path, value, index, imageIds)),
      categories: ({ value, index }) =>
        categories.push(categoryOf(path, value, index, categoryIds)),
      annotations: ({ value, index, range }) => {
        const name = `annotations[${index}]`
        if (!isObject(value)) throw broken(path, `${name} must be an object`)
        const { id } = value
        annotations.push({
          value: keep(value),
          name: id === undefined ? name : `${name} (id ${shown(id)})`,
          range,
        })
      },
    },
    signal,
  )
  for (const name of ['images', 'annotations', 'categories']) {
    if (!file.members.has(name)) throw broken(path, `it has no list "${name}"`)
  }
  if (images.length === 0) throw broken(path, 'it has no picture')
  categories.sort((a, b) => a.id - b.id)
  return { file, images, categories, annotations }
}

function imageOf(
  path: string,
  value: unknown,
  index: number,
  taken: Map<ImageId, number>,
): CocoImage {
  const name = `images[${index}]`
  if (!isObject(value)) throw broken(path, `${name} must be an object`)
  const { id, width, height, neg_category_ids, not_exhaustive_category_ids } = value
  if (!isId(id)) throw broken(path, `${name} must have an "id", found ${shown(id)}`)
  const other = taken.get(id)
  if (other !== undefined) {
    throw broken(path, `images[${other}] and ${name} have the same id ${shown(id)}`)
  }
  taken.set(id, index)
  const file = namedFile(value)
  if (!isFileName(file)) {
    throw broken(
      path,
      `${name} (id ${shown(id)}) must have a "file_name" or a "coco_url" below the pictures' folder`,
    )
  }
  if (![width, height].every(side => Number.isInteger(side) && (side as number) > 0)) {
    throw broken(
      path,
      `${name} (id ${shown(id)}) must have a "width" and a "height" in pixels, found ${shown(width)} and ${shown(height)}`,
    )
  }
  const image = { id, file, width: width as number, height: height as number }
  const [negative, notExhaustive] = [neg_category_ids, not_exhaustive_category_ids]
  if (negative === undefined && notExhaustive === undefined) return image
  for (const list of [negative, notExhaustive]) {
    if (!(Array.isArray(list) && list.every(Number.isInteger))) {
      throw broken(
        path,
        `${name} (id ${shown(id)}) must have lists of ids "neg_category_ids" and "not_exhaustive_category_ids"`,
      )
    }
  }
  return {
    ...image,
    negative: negative as readonly number[],
    notExhaustive: notExhaustive as readonly number[],
  }
}

function isFileName(name: unknown): name is string {
  if (typeof name !== 'string' || name === '' || name.includes('\0')) return false
  return !name.startsWith('/') && !name.split(/[/\\]/).includes('..')
}

function categoryOf(
  path: string,
  value: unknown,
  index: number,
  taken: Map<number, number>,
): CocoCategory {
  const name = `categories[${index}]`
  if (!isObject(value)) throw broken(path, `${name} must be an object`)
  const { id, name: title, isthing, frequency } = value
  if (!Number.isInteger(id) || typeof title !== 'string' || title.trim() === '') {
    throw broken(
      path,
      `${name} must have an "id" (a whole number) and a "name", found ${shown(id)} and ${shown(title)}`,
    )
  }
  const other = taken.get(id as number)
  if (other !== undefined) {
    throw broken(path, `categories[${other}] and ${name} have the same id ${shown(id)}`)
  }
  taken.set(id as number, index)
  return {
    id: id as number,
    name: title,
    ...(isthing !== undefined && { thing: isthing === 1 || isthing === true }),
    ...(['r', 'c', 'f'].includes(frequency as string) && {
      frequency: frequency as 'r' | 'c' | 'f',
    }),
  }
}

function annotationId(
  path: string,
  name: string,
  { id }: Record<string, unknown>,
  taken: Map<number, string>,
): number {
  if (!Number.isInteger(id)) {
    throw broken(path, `${name} must have an "id" that is a whole number, found ${shown(id)}`)
  }
  const other = taken.get(id as number)
  if (other !== undefined) throw broken(path, `${other} and ${name} have the same id`)
  taken.set(id as number, name)
  return id as number
}

/** Why an annotation of a picture cannot be measured with. */
function objectProblem(
  { category_id, bbox, area }: Record<string, unknown>,
  { id, width, height }: CocoImage,
  categories: ReadonlySet<number>,
): string | undefined {
  if (!categories.has(category_id as number)) {
    return `has category_id ${shown(category_id)}, which is none of the categories`
  }
  const isBox = Array.isArray(bbox) && bbox.length === 4 && bbox.every(Number.isFinite)
  if (!isBox) return `has bbox ${shown(bbox)}; expected [x, y, width, height] in pixels`
  const [x, y, w, h] = bbox as [number, number, number, number]
  if (w <= 0 || h <= 0) return `has bbox ${shown(bbox)}, which has no area`
  if (x >= width || y >= height || x + w <= 0 || y + h <= 0) {
    return `has bbox ${shown(bbox)}, which lies outside image ${shown(id)} of ${width} x ${height} pixels`
  }
  if (area !== undefined && !(Number.isFinite(area) && (area as number) >= 0)) {
    return `has area ${shown(area)}; expected a number of pixels`
  }
  return undefined
}

/** Annotations of pictures that are not there. */
class Strays {
  readonly #path: string
  readonly #names: string[] = []

  constructor(path: string) {
    this.#path = path
  }

  add(name: string, image: unknown): void {
    this.#names.push(`${name} of image ${shown(image)}`)
  }

  throw(): void {
    const [first] = this.#names
    if (first === undefined) return
    const count = this.#names.length
    throw broken(
      this.#path,
      `${first} belongs to no picture of "images"${count > 1 ? ` (so do ${count - 1} more)` : ''}; add the pictures or remove the annotations`,
    )
  }
}

const isId = (id: unknown): id is ImageId =>
  Number.isInteger(id) || (typeof id === 'string' && id !== '')

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function broken(path: string, problem: string): DeclipError {
  return new DeclipError('ERR_DECLIP_INVALID_ARG', `${path}: ${problem}.`)
}
