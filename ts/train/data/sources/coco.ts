import { dirname } from 'node:path'
import { namedFile, shown } from '../../../base/coco-entries.js'
import { DeclipError } from '../../../errors.js'
import { fileSource, fromFolder } from './files.js'
import { LeftOut } from './left-out.js'
import { boxProblem, isUsable } from './regions.js'
import type { Item, Needs, Region, Source } from './source.js'
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
  const json = parseJson(path, await readText(path))
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
  const boxes = needs.boxes === 'none' ? [] : (annotations as (Annotation | null)[])
  const regions = group(path, pictures, boxes, names, needs, leftOut)
  const items = pictures
    .map(({ id, name }, i) =>
      item(path, `images[${i}]`, root, name, regions.get(id as Id)?.regions ?? []),
    )
    .filter((item, i) => isUsable(item, needs, leftOut, `images[${i}] of ${path}, ${item.name}`))
  return fileSource(items, { path, needs, leftOut, classes: [...names.values()] })
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
  names: ReadonlyMap<Id, string>,
  needs: Needs,
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
  for (const [i, annotation] of annotations.entries()) {
    const { image_id, category_id, bbox, iscrowd } = annotation ?? {}
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
    picture.regions.push({ box: bbox as unknown as Region['box'], label })
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
