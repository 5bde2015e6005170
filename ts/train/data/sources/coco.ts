import { dirname } from 'node:path'
import { namedFile, shown } from '../../../base/coco-entries.js'
import { type JsonFile, type JsonRange, readJsonLists } from '../../../base/json-lists.js'
import { DeclipError } from '../../../errors.js'
import type { MaskShape } from '../../../masks/pack-shapes.js'
import { fileSource, fromFolder } from './files.js'
import { LeftOut } from './left-out.js'
import { boxProblem, isUsable } from './regions.js'
import type { Category, DetectorNeeds, Item, Needs, Region, Source } from './source.js'
import { parseJson, readText } from './text.js'

interface Picture {
  id?: unknown
  file_name?: unknown
  coco_url?: unknown
}

interface Annotation {
  image_id?: unknown
  category_id?: unknown
  bbox?: unknown
  iscrowd?: unknown
  /** Of a detector's data. */
  range?: JsonRange
  isShaped?: boolean
}

/** Of pictures and categories. A number and a text are never equal, as in pycocotools. */
type Id = number | string

/**
 * A COCO-style JSON file: pictures, and boxes as proposals or with labels. LVIS names pictures by
 * `coco_url`, of which the last two parts count. DeCLIP's plain list of objects with `image` is read too.
 * Labels are ranked by category id (CLIPSelf, training/data.py).
 *
 * Boxes of crowds and such as are no box are left out, and so are annotations of no picture.
 *
 * @param folder - where file names start; default: the file's folder
 * @throws DeclipError ERR_DECLIP_IO, ERR_DECLIP_INVALID_ARG for another structure
 */
export async function openCoco(
  path: string,
  folder: string | undefined,
  needs: Needs,
): Promise<Source> {
  const { detector } = needs
  const file = detector ? await readObjects(path) : undefined
  const json = file?.json ?? parseJson(path, await readText(path))
  const root = folder ?? dirname(path)
  const leftOut = new LeftOut()
  if (Array.isArray(json)) {
    const items = json.map((entry, i) => item(path, `entry ${i}`, root, entry?.image, []))
    const usable = items.filter(item => isUsable(item, needs, leftOut, `${item.name} of ${path}`))
    return fileSource(usable, { path, needs, leftOut })
  }
  const { images, annotations = [], categories = [] } = (json ?? {}) as Record<string, unknown>
  if (![images, annotations, categories].every(Array.isArray)) {
    throw structure(path, 'it must have lists "images" and, for boxes, "annotations", "categories"')
  }
  const pictures = (images as (Picture | null)[]).map((picture, i) => ({
    id: picture?.id,
    name: nameOf(path, i, picture),
  }))
  const names = classNames(path, categories as unknown[])
  const learned = detector && chooseClasses(path, names, categories as unknown[], detector)
  const boxes = needs.boxes === 'none' ? [] : (annotations as (Annotation | null)[])
  const regions = group(path, pictures, boxes, { names, needs, learned }, leftOut)
  const items = pictures
    .map(({ id, name }, i) =>
      item(path, `images[${i}]`, root, name, regions.get(id as Id)?.regions ?? []),
    )
    .filter((item, i) => isUsable(item, needs, leftOut, `images[${i}] of ${path}, ${item.name}`))
  return fileSource(items, {
    path,
    needs,
    leftOut,
    classes: learned?.classes ?? [...names.values()],
    novel: learned?.novel,
    shapes: file && (regions => shapesOf(file.read, regions)),
  })
}

/** A file that may be larger than a text can be: of an annotation what a box needs, and where it stands. */
async function readObjects(path: string) {
  const json: Record<'images' | 'annotations' | 'categories', unknown[]> = {
    images: [],
    annotations: [],
    categories: [],
  }
  const { members, read } = await readJsonLists(path, {
    images: ({ value }) => json.images.push(value),
    categories: ({ value }) => json.categories.push(value),
    annotations: ({ value, range }) => {
      const { image_id, category_id, bbox, iscrowd, segmentation } = (value ?? {}) as Annotation & {
        segmentation?: unknown
      }
      const isShaped =
        typeof segmentation === 'object' &&
        segmentation !== null &&
        !(Array.isArray(segmentation) && segmentation.length === 0)
      json.annotations.push({ image_id, category_id, bbox, iscrowd, isShaped, range })
    },
  })
  const lacks = Object.keys(json).filter(name => !members.has(name))
  if (lacks.length > 0) throw structure(path, `it has no list "${lacks.join('" and no "')}"`)
  return { json, read }
}

async function shapesOf(read: JsonFile['read'], regions: readonly Region[]): Promise<MaskShape[]> {
  const annotations = await read(regions.map(({ range }) => range as JsonRange))
  return annotations.map(value => (value as { segmentation: MaskShape }).segmentation)
}

/** What a detector learns of a file's categories. */
interface Learned {
  readonly classes: readonly string[]
  readonly novel: readonly string[]
}

/** @throws DeclipError ERR_DECLIP_INVALID_ARG for a name that is no category or no class */
function chooseClasses(
  path: string,
  names: ReadonlyMap<Id, string>,
  categories: readonly unknown[],
  needs: DetectorNeeds,
): Learned {
  const frequencies = new Map(
    (categories as { id: Id; frequency?: unknown }[]).map(({ id, frequency }) => [id, frequency]),
  )
  const all = [...names].map(([id, name]): Category => {
    const frequency = frequencies.get(id)
    return typeof frequency === 'string' ? { name, frequency } : { name }
  })
  const wanted = needs.classes && new Set(needs.classes)
  const chosen = wanted ? all.filter(({ name }) => wanted.has(name)) : all
  const refuse = (
    field: string,
    of: string,
    list: readonly string[],
    known: ReadonlySet<string>,
  ) => {
    const stranger = list.find(name => !known.has(name))
    if (stranger === undefined) return
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      `${field}: ${shown(stranger)} is no ${of} of ${path}, which has ${[...known].slice(0, 5).join(', ')}${known.size > 5 ? ', ...' : ''}.`,
    )
  }
  refuse('classes', 'category', needs.classes ?? [], new Set(names.values()))
  const classes = chosen.map(({ name }) => name)
  const novel = needs.novel(chosen)
  refuse('detector.novel', 'class', novel, new Set(classes))
  if (novel.length === classes.length && classes.length > 0) {
    throw new DeclipError(
      'ERR_DECLIP_INVALID_ARG',
      'detector.novel names every class, so that none is left to be learned.',
    )
  }
  return { classes, novel: classes.filter(name => novel.includes(name)) }
}

function nameOf(path: string, i: number, picture: Picture | null): string {
  const name = namedFile(picture ?? {})
  if (name === undefined) throw nameless(path, `images[${i}]`)
  return name
}

function item(path: string, what: string, root: string, name: unknown, regions: Region[]): Item {
  if (typeof name === 'string' && name !== '') {
    return { name, picture: fromFolder(root, name), regions }
  }
  throw nameless(path, what)
}

const nameless = (path: string, what: string) =>
  structure(path, `${what} must have a "file_name", a "coco_url" or an "image"`)

/** Names by category id, in ascending order of the ids. */
function classNames(path: string, categories: readonly unknown[]): Map<Id, string> {
  const names = new Map<Id, string>()
  const taken = new Map<string, number>()
  for (const [i, category] of categories.entries()) {
    const { id, name } = (category ?? {}) as { id?: unknown; name?: unknown }
    if (!isId(id) || typeof name !== 'string' || name.trim() === '') {
      throw structure(
        path,
        `every category must have an "id" and a "name" of its own; categories[${i}] has id ${shown(id)}, name ${shown(name)}`,
      )
    }
    const other = names.get(id)
    if (other !== undefined) {
      throw structure(
        path,
        `two categories have the id ${shown(id)}, ${shown(other)} and ${shown(name)}; every category must have an "id" of its own`,
      )
    }
    if (taken.has(name)) {
      throw structure(
        path,
        `categories[${taken.get(name)}] and [${i}] are both named ${shown(name)}; every category must have a "name" of its own`,
      )
    }
    names.set(id, name)
    taken.set(name, i)
  }
  return new Map([...names].sort(([a], [b]) => order(a, b)))
}

const isId = (id: unknown): id is Id => typeof id === 'number' || typeof id === 'string'

/** Numbers by value and before texts, texts by code units. */
function order(a: Id, b: Id): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  if (typeof a === typeof b) return a < b ? -1 : 1
  return typeof a === 'number' ? -1 : 1
}

interface Annotated {
  readonly name: string
  readonly regions: Region[]
  /** Whether pictures of other names have the same id. */
  ambiguous: boolean
}

/** Boxes by the id of their picture. */
function group(
  path: string,
  pictures: readonly { readonly id: unknown; readonly name: string }[],
  annotations: readonly (Annotation | null)[],
  {
    names,
    needs,
    learned,
  }: {
    readonly names: ReadonlyMap<Id, string>
    readonly needs: Needs
    readonly learned: Learned | undefined
  },
  leftOut: LeftOut,
): Map<Id, Annotated> {
  const groups = new Map<Id, Annotated>()
  if (annotations.length === 0) return groups
  for (const [i, { id, name }] of pictures.entries()) {
    if (!isId(id)) {
      leftOut.add('boxes of pictures without an "id"', `images[${i}] of ${path}, id ${shown(id)}`)
      continue
    }
    const known = groups.get(id)
    if (!known) groups.set(id, { name, regions: [], ambiguous: false })
    else if (known.name !== name) known.ambiguous = true
  }
  const labels = needs.boxes !== 'proposals'
  const classes = learned && new Set(learned.classes)
  const novel = new Set(learned?.novel)
  for (const [i, annotation] of annotations.entries()) {
    const { image_id, category_id, bbox, iscrowd, isShaped, range } = annotation ?? {}
    const leave = (kind: string, what: string) =>
      leftOut.add(kind, `annotations[${i}] of ${path}, ${what}`)
    const picture = groups.get(image_id as Id)
    if (!isId(image_id) || !picture) {
      leave('annotations that belong to no picture', `image_id ${idText(image_id, groups)}`)
      continue
    }
    if (picture.ambiguous) {
      leave('annotations that belong to one of several pictures', `image_id ${shown(image_id)}`)
      continue
    }
    const problem = boxProblem(bbox)
    if (problem !== undefined) {
      leave(problem, `bbox ${shown(bbox)}`)
      continue
    }
    if (iscrowd === 1 || iscrowd === true) {
      leave('boxes of crowds', `bbox ${shown(bbox)}`)
      continue
    }
    const label = isId(category_id) ? names.get(category_id) : undefined
    if (labels && label === undefined) {
      leave('boxes of no category', `category_id ${idText(category_id, names)}`)
    }
    const box = bbox as unknown as Region['box']
    if (!needs.detector) {
      picture.regions.push({ box, label })
      continue
    }
    if (label === undefined) continue
    if (novel.has(label)) leave('objects of novel classes', `category ${shown(label)}`)
    else if (!classes?.has(label)) {
      leave('objects of categories that are not among classes', `category ${shown(label)}`)
    } else if (needs.detector.shapes && !isShaped) {
      leave('objects without a segmentation', `bbox ${shown(bbox)}`)
    } else picture.regions.push({ box, label, range })
  }
  return groups
}

/** An id that is none of `known`; where it is of another type than they are, that is said. */
function idText(id: unknown, known: ReadonlyMap<Id, unknown>): string {
  const types = new Set([...known.keys()].map(key => typeof key))
  const words = { number: 'numbers', string: 'texts' } as const
  const [type] = types
  if (types.size !== 1 || typeof id === type || (type !== 'number' && type !== 'string')) {
    return shown(id)
  }
  const own = typeof id === 'string' ? 'a text' : typeof id === 'number' ? 'a number' : 'no id'
  return `${shown(id)} is ${own}, the ids are ${words[type]}`
}

function structure(path: string, problem: string): DeclipError {
  return new DeclipError(
    'ERR_DECLIP_INVALID_ARG',
    `data.path: ${path} is no COCO-style file: ${problem}.`,
  )
}
